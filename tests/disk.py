"""Databases of tests do not wait for the disk: processes are killed here, but nobody cuts the power."""

from __future__ import annotations

import psycopg


def spare_the_disk(admin_url: str) -> None:
    """Have a running server leave it to the system when to write; it is forgotten when the server starts again."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
