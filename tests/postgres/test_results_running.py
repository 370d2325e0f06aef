"""Queries that break, take too long, or lose their reader; connections that go: on a real server."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from astropy.io.votable import parse

from obscore_tap.database import QueryTimeout
from obscore_tap.refusals import Failed, Refusal, Unavailable
from obscore_tap.results import gzipped, negotiate
from obscore_tap.running import Answer, Database, run
from obscore_tap.schema import Datatype, OutputColumn, Translation
from tests.postgres.conftest import Database as Urls
from tests.postgres.conftest import Server, make_database

NUMBER = (OutputColumn("i", Datatype.INTEGER),)
MARK = "a query of this test"


@pytest.fixture(scope="module")
def database(server: Server, template: str) -> Iterator[Urls]:
    yield from make_database(server, template)


@pytest.fixture
def service(database: Urls) -> Iterator[Database]:
    made = Database(database.reader_url, connections=2, wait=0.5, application=MARK)
    yield made
    made.close()


def numbers(count: int) -> Translation:
    return of(f"SELECT generate_series(1, {count})")  # in FROM, all of it would be made first


def of(sql: str) -> Translation:
    return Translation(sql, NUMBER, frozenset())


def asked(
    service: Database,
    translation: Translation,
    form: str = "votable",
    timeout: float = 30,
    late_errors: bool = True,
    started: Callable[[Callable[[], None]], None] | None = None,
) -> Answer:
    return run(
        service,
        translation,
        negotiate(form),
        max_rows=10**9,
        timeout=timeout,
        late_errors=late_errors,
        started=started,
    )


def running(admin: psycopg.Connection) -> int:
    found = admin.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND state = 'active'", [MARK]
    ).fetchone()
    assert found is not None
    return int(found[0])


def becomes(expected: int, admin: psycopg.Connection, seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while running(admin) != expected:
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


ENDLESS = numbers(2_000_000_000)
SLOW = of("SELECT i FROM generate_series(1, 3) i WHERE pg_sleep(i * 20) IS NOT NULL")


@pytest.mark.parametrize("packed", [False, True])
def test_a_reader_that_goes_away_leaves_no_query_running(
    service: Database, admin: psycopg.Connection, packed: bool
) -> None:
    answer = asked(service, ENDLESS, "csv")
    chunks = gzipped(answer.chunks) if packed else answer.chunks
    assert next(iter(chunks))
    assert running(admin) == 1
    chunks.close()
    assert becomes(0, admin)
    assert read(asked(service, numbers(3), "csv")) == b"i\r\n1\r\n2\r\n3\r\n"


def test_an_answer_that_nobody_reads_leaves_no_query_running(service: Database, admin: psycopg.Connection) -> None:
    asked(service, ENDLESS).chunks.close()
    assert becomes(0, admin)
    for _ in range(5):  # neither is a connection lost
        asked(service, numbers(5)).chunks.close()
        asked(service, ENDLESS).chunks.close()
    assert becomes(0, admin)


def read(answer: Answer) -> bytes:
    return b"".join(answer.chunks)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT 1 / (i - 3) FROM generate_series(1, 5) i", "division by zero"),
        ("SELECT 2147483647 + i FROM generate_series(1, 5) i", "integer out of range"),
        ("SELECT (ln(0 * i))::integer FROM generate_series(1, 5) i", "logarithm"),
        ("SELECT (SELECT j FROM generate_series(1, 2) j) FROM generate_series(1, 5) i", "more than one row"),
        ("SELECT area(spoly '{(0d,0d),(1d,1d),(0d,1d),(1d,0d)}')::integer", "polygon"),
    ],
)
def test_what_a_query_does_wrong_is_its_own_fault(service: Database, sql: str, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        asked(service, of(sql))
    assert refused.value.status == 400
    assert said in str(refused.value)
    assert read(asked(service, numbers(1), "csv")) == b"i\r\n1\r\n"


@pytest.mark.parametrize(
    "sql", ["SELECT nothing FROM nowhere", "SELECT 1; SELECT 2", "SELECT count(*)::integer FROM pg_authid"]
)
def test_sql_that_the_database_refuses_is_our_fault_and_says_nothing_of_it(service: Database, sql: str) -> None:
    with pytest.raises(Failed) as failed:
        asked(service, of(sql))
    assert "nowhere" not in str(failed.value)
    assert "pg_authid" not in str(failed.value)


@pytest.mark.parametrize("form", ["votable", "votable/td", "csv", "tsv", "json", "parquet"])
def test_rows_that_no_memory_should_hold_are_refused(service: Database, form: str) -> None:
    text = (OutputColumn("t", Datatype.TEXT, unicode=False),)
    long = "SELECT repeat('x', i) FROM (VALUES (10), (500000), (3000000)) AS n(i)"
    assert len(read(asked(service, Translation(f"{long} WHERE i < 1000000", text, frozenset()), form))) > 400
    with pytest.raises(Refusal, match="more than 2000000 bytes") as refused:
        read(asked(service, Translation(long, text, frozenset()), form))
    assert refused.value.status == 400
    many = "SELECT repeat('x', 1000000) FROM generate_series(1, 40) i"
    answer = asked(service, Translation(many, text, frozenset()), "csv")
    assert max(map(len, answer.chunks)) < 40_000_000, "memory is bounded by bytes, not only by rows"


def test_a_value_that_postgresql_cannot_hold_is_told_of_in_words(service: Database) -> None:
    # OFFSET 0: the half of it is made once, for it is half a gigabyte.
    huge = of(
        "SELECT length(x || x) FROM (SELECT repeat('x', i) AS x FROM (VALUES (550000000)) AS n(i) OFFSET 0) AS half"
    )
    with pytest.raises(Refusal, match="a value in it is longer than 1 GB"):
        read(asked(service, huge, timeout=300))


def test_one_message_holds_one_statement(service: Database) -> None:
    with pytest.raises(Failed):
        service.query("SELECT 1; COMMIT; SELECT 2", 5)


def test_nothing_can_be_written(service: Database, database: Urls) -> None:
    writer = Database(database.ingest_url, connections=1)
    with pytest.raises(Failed):
        writer.query("CREATE TEMPORARY TABLE x (i integer)", 5)
    writer.close()


LATE = of("SELECT 1 / (200000 - i) FROM (SELECT generate_series(1, 300000) AS i OFFSET 0) n")


@pytest.mark.parametrize("form", ["votable/b2", "votable/b", "votable/td"])
def test_an_error_after_the_first_rows_stands_after_the_table(service: Database, form: str) -> None:
    answer = asked(service, LATE, form)
    document = parse(io.BytesIO(read(answer)))
    told = [(info.value, info.content) for info in document.resources[0].infos]
    assert told[0][0] == "OK"
    assert told[-1][0] == "ERROR"
    assert "division by zero" in str(told[-1][1])
    assert "division by zero" in answer.ending.error
    assert len(document.get_first_table().array) == answer.ending.rows > 0


@pytest.mark.parametrize(("form", "late_errors"), [("csv", True), ("parquet", True), ("votable", False)])
def test_a_document_that_cannot_tell_of_an_error_breaks_off(service: Database, form: str, late_errors: bool) -> None:
    answer = asked(service, LATE, form, late_errors=late_errors)
    with pytest.raises(Refusal, match="division by zero"):
        read(answer)


def test_a_query_ends_with_its_time(service: Database, admin: psycopg.Connection) -> None:
    with pytest.raises(QueryTimeout, match=r"longer than 0\.3 s"):
        asked(service, SLOW, timeout=0.3)
    assert running(admin) == 0
    answer = asked(service, ENDLESS, timeout=1.5)  # of which the first rows take a part
    read_on = iter(answer.chunks)
    time.sleep(1.7)
    for _ in read_on:
        pass
    assert "longer than 1.5 s" in answer.ending.error
    assert read(asked(service, SLOW_ENOUGH, "csv", timeout=30)) == b"i\r\n1\r\n"  # the next one has its own time


SLOW_ENOUGH = of("SELECT 1 WHERE pg_sleep(1.6) IS NOT NULL")


def test_a_query_is_cancelled_from_another_thread_before_its_first_row(
    service: Database, admin: psycopg.Connection
) -> None:
    cancels: list[Callable[[], None]] = []

    def cancel() -> None:
        assert becomes(1, admin)
        cancels[0]()

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    with pytest.raises(Refusal, match="cancelled"):
        asked(service, SLOW, started=cancels.append)
    cancelling.join()
    assert running(admin) == 0
    cancels[0]()


def test_a_cancel_that_comes_too_late_hits_no_other_query(service: Database) -> None:
    cancels: list[Callable[[], None]] = []
    first = asked(service, numbers(3), started=cancels.append)
    read(first)
    second = asked(service, numbers(1_000_000), "csv")
    cancels[0]()
    assert read(second).endswith(b"\r\n1000000\r\n")


def test_a_query_is_cancelled_between_its_rows(service: Database, admin: psycopg.Connection) -> None:
    cancels: list[Callable[[], None]] = []
    answer = asked(service, ENDLESS, "csv", started=cancels.append)
    next(answer.chunks)
    cancels[0]()
    with pytest.raises(Refusal, match="cancelled"):
        read(answer)
    assert becomes(0, admin)


def test_more_queries_than_connections_wait_and_are_turned_away(service: Database) -> None:
    running_queries = [asked(service, ENDLESS) for _ in range(2)]
    with pytest.raises(Unavailable, match="too many"):
        asked(service, numbers(1))
    running_queries[0].chunks.close()
    assert read(asked(service, numbers(1), "csv")) == b"i\r\n1\r\n"
    running_queries[1].chunks.close()


def test_idle_connections_that_the_server_closed_are_not_used(service: Database, admin: psycopg.Connection) -> None:
    held = [asked(service, ENDLESS), asked(service, numbers(2))]
    assert read(held[1])
    held[0].chunks.close()
    for _ in range(3):
        read(asked(service, numbers(1)))
        ended = admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s", [MARK]
        ).fetchall()
        assert ended
        assert read(asked(service, numbers(1), "csv")) == b"i\r\n1\r\n"


def test_a_connection_lost_on_the_way_is_not_the_querys_fault(service: Database, admin: psycopg.Connection) -> None:
    answer = asked(service, ENDLESS, "csv")
    next(answer.chunks)
    admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s", [MARK])
    with pytest.raises(Unavailable):
        read(answer)
    assert read(asked(service, numbers(1), "csv")) == b"i\r\n1\r\n"


def end_queries(admin: psycopg.Connection, times: int) -> None:
    """End the connections of running queries, one after the other."""
    for _ in range(times):
        assert becomes(1, admin)
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = %s AND state = 'active'",
            [MARK],
        )


@pytest.mark.parametrize("times", [1, 2])
def test_a_query_whose_connection_is_lost_before_its_first_row_is_asked_once_more(
    service: Database, admin: psycopg.Connection, times: int
) -> None:
    cancels: list[Callable[[], None]] = []
    ending = threading.Thread(target=end_queries, args=(admin, times))
    ending.start()
    if times == 1:
        assert read(asked(service, SLOW_ENOUGH, "csv", started=cancels.append)) == b"i\r\n1\r\n"
    else:
        with pytest.raises(Unavailable):
            asked(service, SLOW_ENOUGH, started=cancels.append)
    ending.join()
    assert len(cancels) == 2
    assert read(asked(service, numbers(1), "csv")) == b"i\r\n1\r\n"


def test_the_query_that_is_asked_once_more_can_be_cancelled(service: Database, admin: psycopg.Connection) -> None:
    cancels: list[Callable[[], None]] = []

    def end_then_cancel() -> None:
        end_queries(admin, 1)
        while len(cancels) < 2 or not becomes(1, admin):
            time.sleep(0.01)
        cancels[1]()

    ending = threading.Thread(target=end_then_cancel)
    ending.start()
    with pytest.raises(Refusal, match="cancelled"):
        asked(service, SLOW, started=cancels.append)
    ending.join()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    nowhere = Database("postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=2")
    with pytest.raises(Unavailable):
        asked(nowhere, numbers(1))


def test_rows_come_before_the_query_is_done(service: Database) -> None:
    answer = asked(
        service, of("SELECT i FROM generate_series(1, 4000) i WHERE i < 2000 OR pg_sleep(0.002) IS NOT NULL")
    )
    assert answer.length is None
    assert 0 < answer.ending.rows < 2000
    answer.chunks.close()
