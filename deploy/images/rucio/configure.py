"""Write rucio.cfg and alembic.ini of the server and its daemons from the environment of a container.

They hold passwords, so they are written to memory (a tmpfs) with mode 0600, and never into an image.

==========================  ==========================================================================
``RUCIO_DATABASE_URL``      ``postgresql://role:password@host/database`` of Rucio's own role
``RUCIO_ROOT_PASSWORD``     of Rucio's account ``root``
``RUCIO_CACHE``             ``host:port`` of a memcached
``RUCIO_EVENTS_URL``        where hermes posts events
``RUCIO_EVENTS_PASSWORD``   what it presents there
==========================  ==========================================================================
"""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path

SCHEMA = "dev"


def server_sections(environment: dict[str, str], folder: Path) -> dict[str, dict[str, str]]:
    """Return the sections of rucio.cfg.

    Parameters
    ----------
    environment : dict
        The variables above.
    folder : Path
        Where alembic.ini lies.

    Raises
    ------
    KeyError
        A variable is missing; one that is empty counts as missing.
    """
    return {
        "common": {"logdir": "/tmp", "loglevel": "WARNING"},  # noqa: S108 - logs go to stdout; the folder must be named
        "database": {
            "default": _sqlalchemy_url(environment["RUCIO_DATABASE_URL"]),
            "schema": SCHEMA,
            "pool_size": "20",
            "max_overflow": "10",
        },
        # Rucio's well-known x509, gss and ssh identities are left out, as is its well-known password.
        "bootstrap": {
            "userpass_identity": "root",
            "userpass_pwd": environment["RUCIO_ROOT_PASSWORD"],
            "userpass_email": "root@localhost",
            **{f"{kind}_{part}": "" for kind in ("x509", "gss", "ssh") for part in ("identity", "email")},
        },
        "alembic": {"cfg": str(folder / "alembic.ini")},
        "policy": {
            "package": "rucio_policy",
            "permission": "generic",
            "schema": "generic",
            "lfn2pfn_algorithm_default": "hash",
        },
        "cache": {"url": environment["RUCIO_CACHE"]},
        "conveyor": {"scheme": "file,http,https", "transfertool": "lake"},
        "hermes": {
            "services_list": "elastic",
            "elastic_endpoint": environment["RUCIO_EVENTS_URL"],
            "elastic_username": "hermes",
            "elastic_password": environment["RUCIO_EVENTS_PASSWORD"],
        },
    }


def alembic_sections(environment: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return the sections of alembic.ini, by which Rucio stamps the version of its tables."""
    return {
        "alembic": {
            "script_location": "rucio.db.sqla:migrate_repo",
            "sqlalchemy.url": _sqlalchemy_url(environment["RUCIO_DATABASE_URL"]),
            "version_table_schema": SCHEMA,
        },
        # Alembic's script configures logging from this file, and insists on these sections.
        "loggers": {"keys": "root"},
        "handlers": {"keys": ""},
        "formatters": {"keys": ""},
        "logger_root": {"level": "WARNING", "handlers": ""},
    }


def write(file: Path, sections: dict[str, dict[str, str]]) -> None:
    """Write an ini file that only its owner can read."""
    parser = configparser.RawConfigParser()
    for section, options in sections.items():
        # The readers interpolate: a lone per cent sign would be an error.
        parser[section] = {option: value.replace("%", "%%") for option, value in options.items()}
    file.touch(mode=0o600)
    with file.open("w", encoding="utf-8") as text:
        parser.write(text)


def _sqlalchemy_url(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def main() -> None:
    """Write both files beside each other, where ``RUCIO_CONFIG`` says."""
    config = Path(os.environ["RUCIO_CONFIG"])
    environment = {name: value for name, value in os.environ.items() if value}
    try:
        write(config, server_sections(environment, config.parent))
        write(config.with_name("alembic.ini"), alembic_sections(environment))
    except KeyError as missing:
        sys.exit(f"configure: the environment lacks {missing.args[0]}")


if __name__ == "__main__":
    main()
