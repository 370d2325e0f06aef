"""Make the accounts of PostgreSQL that an installation logs in with; a second time changes nothing but passwords.

It is run before ``stac-rucio-sync db apply``, which leaves to accounts in none of the services' roles what PostgreSQL
gives everybody, temporary tables among it: so ours are put into their roles first. The URL of a superuser is read from
``STAC_RUCIO_SYNC_DATABASE__ADMIN_URL``, the password of each account from a variable below.
"""

from __future__ import annotations

import os
import sys

import psycopg
from psycopg import sql

#: Account, its variable, and the roles that it is put into (docs/tap.md, "An installation").
ACCOUNTS = {
    "rucio": ("RUCIO_DATABASE_PASSWORD", None),
    "archive_sync": ("SYNC_DATABASE_PASSWORD", "lake_ingest"),
    "archive_tap": ("TAP_DATABASE_PASSWORD", "lake_query"),
    "archive_jobs": ("JOBS_DATABASE_PASSWORD", "lake_jobs"),
    "archive_links": ("LINKS_DATABASE_PASSWORD", "lake_reader"),
}
#: What one query may take: settings of a role are not inherited by its members.
QUERY_SETTINGS = {"temp_file_limit": "10GB", "work_mem": "32MB"}
#: Of Rucio's own tables, and of its external metadata plugin.
RUCIO_SCHEMAS = ("dev", "rucio")


def make_accounts(connection: psycopg.Connection, passwords: dict[str, str]) -> None:
    """Make the accounts with their passwords and roles, the extension, and Rucio's schemas."""
    there = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for account, password in passwords.items():
        # Hashed here: the password itself never reaches a log of the server.
        hashed = connection.pgconn.encrypt_password(password.encode(), account.encode(), b"scram-sha-256").decode()
        verb = sql.SQL("ALTER") if account in there else sql.SQL("CREATE")
        statement = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
        connection.execute(statement.format(verb, sql.Identifier(account), sql.Literal(hashed)))
        role = ACCOUNTS[account][1]
        if role is not None:
            if role not in there:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(account)))
    for name, value in QUERY_SETTINGS.items():
        connection.execute(
            sql.SQL("ALTER ROLE archive_tap SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
        )
    connection.execute("CREATE EXTENSION IF NOT EXISTS pg_sphere")
    if "rucio" in passwords:
        for schema in RUCIO_SCHEMAS:
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION rucio").format(sql.Identifier(schema))
            )


def main() -> None:
    """Do it in one transaction. Rucio's account is left out where its variable is not set at all."""
    passwords = {}
    for account, (variable, _role) in ACCOUNTS.items():
        if account == "rucio" and variable not in os.environ:
            continue
        if not os.environ.get(variable):
            sys.exit(f"accounts: {variable} is not set: no account is made without a password")
        passwords[account] = os.environ[variable]
    with psycopg.connect(os.environ["STAC_RUCIO_SYNC_DATABASE__ADMIN_URL"]) as connection:
        make_accounts(connection, passwords)
    print(f"accounts: {', '.join(passwords)}")  # noqa: T201 - the log of a container


if __name__ == "__main__":
    main()
