"""The configuration files that a lake writes: for Rucio's server, for its clients, and for the project's commands."""

from __future__ import annotations

import configparser
import io
import json
from collections.abc import Mapping

from stac_rucio_sync.lake.cluster import DATABASE, database_url
from stac_rucio_sync.lake.home import WATCH_PORT, WATCH_SENDER, LakeHome, LakeState

SCHEMA = "dev"
_NO_CACHE = "127.0.0.1:1"  # closed: without an address Rucio would take any memcached on the standard port
_EXTERNAL_PLUGIN = "rucio.core.did_meta_plugins.postgres_meta.ExternalPostgresJSONDidMeta"


def server_config(home: LakeHome, state: LakeState, *, cached: bool) -> str:
    """Return rucio.cfg of the server and its daemons. It holds passwords.

    Parameters
    ----------
    home : LakeHome
        The lake's folders.
    state : LakeState
        Passwords, ports, the metadata plugin and the receiver of events.
    cached : bool
        Whether a memcached runs.
    """
    url = database_url("rucio", state.passwords, state.ports["postgres"])
    sections: dict[str, dict[str, str]] = {
        "common": {"logdir": str(home.log), "loglevel": "WARNING"},
        "database": {
            "default": url.replace("postgresql://", "postgresql+psycopg://"),
            "schema": SCHEMA,
            "pool_size": "20",
            "max_overflow": "10",
        },
        # The well-known x509, gss and ssh identities of Rucio's own defaults are left out.
        "bootstrap": {
            "userpass_identity": "root",
            "userpass_pwd": state.passwords["account:root"],
            "userpass_email": "root@localhost",
            **{f"{kind}_{part}": "" for kind in ("x509", "gss", "ssh") for part in ("identity", "email")},
        },
        "alembic": {"cfg": str(home.server / "alembic.ini")},
        "policy": {"package": "rucio_policy", **_POLICY},
        "cache": {"url": f"127.0.0.1:{state.ports['memcached']}" if cached else _NO_CACHE},
        "conveyor": {"scheme": "file,http,https", "transfertool": "lake"},
        "hermes": _hermes(state),
    }
    if state.metadata == "postgres":
        sections["metadata"] = {
            "plugins": _EXTERNAL_PLUGIN,
            "postgres_service_host": "127.0.0.1",
            "postgres_service_port": str(state.ports["postgres"]),
            "postgres_db": DATABASE,
            "postgres_user": "rucio",
            "postgres_password": state.passwords["role:rucio"],
            "postgres_db_schema": "rucio",
            "postgres_table": "dids",
            "postgres_table_is_managed": "True",
        }
    return _ini(sections)


_POLICY = {"permission": "generic", "schema": "generic", "lfn2pfn_algorithm_default": "hash"}


def _hermes(state: LakeState) -> dict[str, str]:
    if state.events_url:
        return {"services_list": "elastic", "elastic_endpoint": state.events_url}
    return {
        "services_list": "elastic",
        "elastic_endpoint": f"http://127.0.0.1:{state.ports[WATCH_PORT]}/events",
        "elastic_username": "hermes",
        "elastic_password": state.passwords[WATCH_SENDER],
    }


def alembic_config(state: LakeState) -> str:
    """Return the ini file that Rucio stamps its tables with. It holds a password."""
    url = database_url("rucio", state.passwords, state.ports["postgres"])
    return _ini(
        {
            "alembic": {
                "script_location": "rucio.db.sqla:migrate_repo",
                "sqlalchemy.url": url.replace("postgresql://", "postgresql+psycopg://"),
                "version_table_schema": SCHEMA,
            },
            # Alembic's script configures logging from this file, and insists on these sections.
            "loggers": {"keys": "root"},
            "handlers": {"keys": ""},
            "formatters": {"keys": ""},
            "logger_root": {"level": "WARNING", "handlers": ""},
        }
    )


def client_config(home: LakeHome, state: LakeState, account: str) -> str:
    """Return rucio.cfg of the client of one account.

    It has no ``[database]``, with which client code takes itself for a server, and a token file of its own: Rucio's
    default is shared by all servers of a user, and makes one account act as another.
    """
    server = f"http://127.0.0.1:{state.ports['rucio']}"
    return _ini(
        {
            "client": {
                "rucio_host": server,
                "auth_host": server,
                "auth_type": "userpass",
                "username": account,
                "password": state.passwords[f"account:{account}"],
                "account": account,
                "auth_token_file_path": str(home.client / account / "token"),
                "request_retries": "3",
            },
            "policy": _POLICY,
        }
    )


def settings_toml(home: LakeHome, state: LakeState) -> str:
    """Return the settings layer of a running lake (see `stac_rucio_sync.settings`). It holds passwords."""
    port = state.ports["postgres"]
    tables: dict[str, Mapping[str, str | bool | int]] = {
        "database": {
            "url": database_url("lake_ingest", state.passwords, port),
            "admin_url": database_url("postgres", state.passwords, port),
            "reader_url": database_url("lake_reader", state.passwords, port),
            "query_url": database_url("lake_query", state.passwords, port),
            "jobs_url": database_url("lake_jobs", state.passwords, port),
        },
        "rucio": {"config": str(home.client_config("ingest")), "account": "ingest", "metadata": state.metadata},
        "origins": {"create": True},
        "tap": {"results_folder": str(home.path / "tap-jobs")},  # not shared with the jobs of another database
        "soda": {"allow_private_addresses": True},  # its storage is on this machine
        "watch": {"port": state.ports[WATCH_PORT], "token": state.passwords[WATCH_SENDER]},
    }
    # A JSON string, boolean or number is a TOML one too.
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in table.items())
        for name, table in tables.items()
    )


def _ini(sections: Mapping[str, Mapping[str, str]]) -> str:
    parser = configparser.RawConfigParser()
    for section, options in sections.items():
        parser.add_section(section)
        for option, value in options.items():
            # The readers interpolate: a lone per cent sign would be an error.
            parser.set(section, option, value.replace("%", "%%"))
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()
