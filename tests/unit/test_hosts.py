"""What is filled in where a database URL leaves it open, and what stays as it was given."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from stac_rucio_sync.stores.hosts import Purpose, conninfo, is_loss, is_routed, on_primary

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
