"""What is filled in where a database URL leaves it open, and what stays as it was given."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from stac_rucio_sync.errors import TransientError, UsageError
from stac_rucio_sync.stores.tables.dump import dump_tables
from stac_rucio_sync.stores.tables.hosts import Purpose, conninfo, is_loss, is_routed, on_primary
from stac_rucio_sync.stores.tables.schema import apply_schema, schema_is_current
from stac_rucio_sync.stores.tables.session import translated

ONE = "postgresql://reader@db/archive"
TWO = "postgresql://reader@a,b:5433/archive"


@pytest.mark.parametrize(
    ("url", "purpose", "wanted"),
    [
        (ONE, "read", None),
        (ONE, "write", None),
        (TWO, "read", "prefer-standby"),
        (TWO, "write", "read-write"),
        ("hostaddr=10.0.0.1,10.0.0.2 dbname=archive", "read", "prefer-standby"),
        (f"{TWO}?target_session_attrs=any", "read", "any"),
        (f"{ONE}?target_session_attrs=standby", "read", "standby"),
    ],
)
def test_which_of_several_servers_is_meant(url: str, purpose: Purpose, wanted: str | None) -> None:
    assert conninfo_to_dict(conninfo(url, purpose)).get("target_session_attrs") == wanted


def test_what_the_url_says_stays() -> None:
    given = conninfo_to_dict(
        conninfo(f"{TWO}?connect_timeout=7&keepalives_idle=60&application_name=mine", "read", application_name="ours")
    )
    assert (given["host"], given["port"], given["user"], given["dbname"]) == ("a,b", ",5433", "reader", "archive")
    assert (given["connect_timeout"], given["keepalives_idle"], given["application_name"]) == ("7", "60", "mine")


def test_a_host_that_says_nothing_is_given_up_sooner_where_there_are_others() -> None:
    waits = [int(str(conninfo_to_dict(conninfo(url, "read"))["connect_timeout"])) for url in (TWO, ONE)]
    assert waits == sorted(set(waits))


def test_the_primary_is_asked_for_where_there_may_be_a_standby() -> None:
    assert not is_routed(ONE)
    assert on_primary(ONE) == ONE
    for url in (TWO, f"{ONE}?target_session_attrs=prefer-standby"):
        assert is_routed(url)
        assert conninfo_to_dict(on_primary(url))["target_session_attrs"] == "primary"


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.CrashShutdown(), True),
        (psycopg.errors.SerializationFailure("conflict with recovery"), True),
        (psycopg.errors.QueryCanceled(), False),
        (psycopg.errors.DiskFull(), False),
        (psycopg.errors.DivisionByZero(), False),
    ],
)
def test_what_may_be_asked_again(error: psycopg.Error, lost: bool) -> None:
    assert is_loss(error) is lost


def test_a_server_that_takes_no_writes_is_told_from_one_that_does_not_answer() -> None:
    error = translated(psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"))
    assert isinstance(error, TransientError), "a standby may be promoted"
    assert "takes no writes" in str(error)


WRONG = [
    "mysql://account:secret@db/archive",
    "account:secret@db/archive",
    "postgresql+psycopg://account:secret@db/archive",
    "postgresql://account:sec%ret@db/archive",
    "postgresql://account:secret@db/archive?secret=1",
]


@pytest.mark.parametrize("url", WRONG)
def test_a_url_that_is_none_is_told_without_the_password(url: str, tmp_path: Path) -> None:
    for use in (
        lambda: conninfo(url, "write"),
        lambda: is_routed(url),
        lambda: schema_is_current(url),
        lambda: apply_schema(url),
        lambda: dump_tables(url, tmp_path / "dump"),
    ):
        with pytest.raises(UsageError, match="postgresql://account:password@host") as told:
            use()
        assert "sec" not in str(told.value)
        assert told.value.__suppress_context__, "a traceback would show what libpq says, and with it the password"
