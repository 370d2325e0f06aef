"""What a database URL leaves open: which of several servers is meant, and how soon one that is gone is noticed.

A URL may name several hosts (``postgresql://account@a,b/archive``): a primary and the standbys that follow it. libpq
asks them in turn and takes the one that ``target_session_attrs`` wants, so that a failover needs nothing but a new
connection.
"""

from __future__ import annotations

from typing import Final, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from stac_rucio_sync.errors import UsageError

Purpose = Literal["read", "write"]

SEVERAL_SECONDS: Final = 60.0
"""A connection to one of several servers is made afresh when it is so old: those to a primary that stood in for a
standby go back to that."""
_TARGETS: Final[dict[Purpose, str]] = {"read": "prefer-standby", "write": "read-write"}
_ALONE_SECONDS, _AMONG_SEVERAL_SECONDS = "10", "3"
_ALIVE: Final = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""A machine that vanished says nothing: without these, a connection to it would wait for minutes."""
_LOST_STATES: Final = frozenset({"40001", "40P01", "57P01", "57P02", "57P03", "57P05"})
"""SQLSTATEs of a server that stops or starts, and of a standby that had to end a query to follow its primary."""


def parsed(url: str) -> dict[str, str | int | None]:
    """Return what a database URL says, by libpq's key words.

    Raises
    ------
    UsageError
        It is none. libpq's own words about it may hold the password, so they are not told.
    """
    try:
        return conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise UsageError(
            "a URL in [database] of the settings cannot be read: postgresql://account:password@host:port/database is "
            "expected, with special characters in the account and the password %-encoded"
        ) from None


def conninfo(url: str, purpose: Purpose, **defaults: str) -> str:
    """Return a connection string of libpq in which nothing is left open that matters here.

    What the URL says itself stays as it is.

    Parameters
    ----------
    url
        libpq URL or key words.
    purpose
        Among several servers, ``read`` goes to a standby where one answers and else to the primary; ``write`` to the
        primary only.
    defaults
        Further parameters of libpq.

    Raises
    ------
    UsageError
        See `parsed`.
    """
    given = parsed(url)
    several = _names_several(given)
    defaults = {**defaults, **_ALIVE, "connect_timeout": _AMONG_SEVERAL_SECONDS if several else _ALONE_SECONDS}
    if several:
        defaults["target_session_attrs"] = _TARGETS[purpose]
    return make_conninfo(url, **{name: word for name, word in defaults.items() if name not in given})


def is_routed(url: str) -> bool:
    """Tell whether a URL can lead to more than one server: it names several hosts, or says what it wants of one."""
    given = parsed(url)
    return _names_several(given) or given.get("target_session_attrs", "any") != "any"


def on_primary(url: str) -> str:
    """Return the URL with which the same account reads from the primary: what was written is there at once."""
    return make_conninfo(url, target_session_attrs="primary") if is_routed(url) else url


def is_loss(error: psycopg.Error) -> bool:
    """Tell whether a server went away with what it was asked: on another connection it may be answered.

    Only for errors of connections that had been made, and of what changes nothing: a write may have been done.
    """
    state = error.sqlstate or ""
    return isinstance(error, psycopg.OperationalError) and (
        not state or state.startswith("08") or state in _LOST_STATES
    )


def _names_several(given: dict[str, str | int | None]) -> bool:
    return any("," in str(given.get(name) or "") for name in ("host", "hostaddr"))
