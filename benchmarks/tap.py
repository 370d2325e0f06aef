"""TAP against the same SQL through psycopg: what a small query costs more, how fast and lean a large one streams."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Thread
from urllib.parse import urlencode

import psycopg

from benchmarks.figures import Figure, in_turns, ratio_of, seconds
from benchmarks.observations import load, loaded, publisher_did
from obscore_tap.adql.translate import translate
from obscore_tap.published import make_published
from stac_rucio_sync.settings import Settings

ROWS = 1_000_000
ROUNDS, DUMPS, CLIENTS, CLIENT_SECONDS = 60, 3, 8, 6.0
CONES = 4000
SERVER_SECONDS = 30.0
DUMP = "SELECT TOP {rows} * FROM ivoa.obscore"
DUMP_ROWS = 1_000_000
"""At most: a synchronous query has 60 s. Where there are more rows, jobs take them all."""
CONE = (
    "SELECT obs_publisher_did, s_ra, s_dec, access_url FROM ivoa.obscore "
    "WHERE 1 = CONTAINS(POINT('ICRS', s_ra, s_dec), CIRCLE('ICRS', {ra:.5f}, {dec:.5f}, 1.0))"
)
SMALL = {
    "10 rows": "SELECT TOP 10 * FROM ivoa.obscore",
    "one obs_publisher_did": "SELECT * FROM ivoa.obscore WHERE obs_publisher_did = '{did}'",
    "a cone of 1 deg": CONE,
    "a point in s_region": (
        "SELECT obs_publisher_did, s_region FROM ivoa.obscore "
        "WHERE 1 = CONTAINS(POINT('ICRS', {ra:.5f}, {dec:.5f}), s_region)"
    ),
    "a range of time": "SELECT obs_id, t_min FROM ivoa.obscore WHERE t_min BETWEEN {mjd:.4f} AND {mjd:.4f} + 0.1",
}


def tap(settings: Settings, rows: int = ROWS) -> Iterator[Figure]:
    """Load rows, serve them, and ask.

    Parameters
    ----------
    settings
        Of a lake whose ObsCore table may be emptied.
    rows
        How many are made.
    """
    urls = settings.database.admin_url, settings.database.query_url
    if urls[0] is None or urls[1] is None:
        raise AssertionError("the lake's settings name no admin or no role of queries")
    with psycopg.connect(urls[0].get_secret_value(), autocommit=True) as admin:
        if not loaded(admin, rows):
            admin.execute("TRUNCATE lake.obscore")
            load(admin, rows)
    query_url = urls[1].get_secret_value()
    with _serving(settings) as service, psycopg.connect(query_url, autocommit=True) as bare:
        bare.execute("SET jit = off")
        yield from _small(service, bare, rows)
        yield from _dumps(service, bare, min(rows, DUMP_ROWS))
        yield from _clients(service, query_url)


class Service:
    """A running server, and how to ask it on one connection."""

    def __init__(self, port: int, process: int) -> None:
        self.port, self._process = port, process

    def asker(self) -> Callable[[str, int], tuple[float, int]]:
        """Return a function that asks a query, and returns the seconds to its first byte and its bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)

        def ask(adql: str, max_rows: int) -> tuple[float, int]:
            body = urlencode({"LANG": "ADQL", "REQUEST": "doQuery", "QUERY": adql, "MAXREC": max_rows})
            started = time.perf_counter()
            connection.request("POST", "/tap/sync", body, {"Content-Type": "application/x-www-form-urlencoded"})
            response = connection.getresponse()
            first = response.read(1)
            until_first = time.perf_counter() - started
            count = len(first)
            while chunk := response.read(1 << 18):
                count += len(chunk)
            assert response.status == 200, adql
            return until_first, count

        return ask

    def memory(self) -> float:
        """Return the most that any process of the server ever held, in MB."""
        found = [_peak(process) for process in _family(self._process)]
        return max(found) / 1024


def _small(service: Service, bare: psycopg.Connection, rows: int) -> Iterator[Figure]:
    published, ask, chance = make_published("epn"), service.asker(), random.Random(4)  # noqa: S311 - no secret
    for name, template in SMALL.items():
        queries = [_filled(template, chance, rows) for _ in range(ROUNDS + 1)]
        statements = [translate(query, published).sql.encode() for query in queries]

        def ours(number: int, queries: list[str] = queries) -> float:
            return seconds(lambda: ask(queries[number], 20_000))

        def theirs(number: int, statements: list[bytes] = statements) -> float:
            return seconds(lambda: bare.execute(statements[number], prepare=False).fetchall())

        our_times, their_times = in_turns(ROUNDS, ours, theirs)
        yield Figure(
            f"TAP: {name}, more than psycopg",
            (median(our_times) - median(their_times)) * 1000,
            5.0,
            "ms",
            f"{median(our_times) * 1000:.2f} ms over HTTP as VOTable, psycopg {median(their_times) * 1000:.2f} ms",
            at_least=False,
        )


def _filled(template: str, chance: random.Random, rows: int) -> str:
    return template.format(
        ra=chance.uniform(5, 350),
        dec=chance.uniform(-60, 60),
        mjd=chance.uniform(58_000, 60_990),
        did=publisher_did(chance.randrange(rows)),
    )


def _dumps(service: Service, bare: psycopg.Connection, rows: int) -> Iterator[Figure]:
    adql = DUMP.format(rows=rows)
    statement = b"COPY (" + translate(adql, make_published("epn")).sql.encode() + b") TO STDOUT"
    ask = service.asker()
    firsts: tuple[list[float], list[float]] = ([], [])

    def ours(_: int) -> float:
        started = time.perf_counter()
        firsts[0].append(ask(adql, rows)[0])
        return time.perf_counter() - started

    def copied(_: int) -> float:
        started = time.perf_counter()
        with bare.cursor().copy(statement) as copy:
            lines = iter(copy)
            next(lines)
            firsts[1].append(time.perf_counter() - started)
            for _line in lines:
                pass
        return time.perf_counter() - started

    ask(DUMP.format(rows=rows // 10), rows)
    tenth = service.memory()
    our_times, their_times = in_turns(DUMPS, ours, copied)
    yield Figure(
        f"TAP: {rows:,} rows as BINARY2, against COPY",
        ratio_of(our_times, their_times),
        0.7,
        "× COPY TO STDOUT",
        f"{rows / median(our_times):,.0f} rows/s over HTTP, COPY {rows / median(their_times):,.0f}",
    )
    yield Figure(
        "TAP: first byte of it, after the first row",
        (median(firsts[0]) - median(firsts[1])) * 1000,
        100,
        "ms",
        f"first byte after {median(firsts[0]) * 1000:.1f} ms",
        at_least=False,
    )
    yield Figure(
        "TAP: memory of a process of the server",
        service.memory(),
        150,
        "MB",
        f"at most, ever; {tenth:.0f} MB after a tenth of the rows",
        at_least=False,
    )


def _clients(service: Service, url: str) -> Iterator[Figure]:
    published, chance = make_published("epn"), random.Random(4)  # noqa: S311 - no secret
    queries = [_filled(CONE, chance, 1) for _ in range(CONES)]
    statements = [translate(query, published).sql.encode() for query in queries]

    def http_client() -> Callable[[int], object]:
        ask = service.asker()
        return lambda number: ask(queries[number % CONES], 20_000)

    def sql_client() -> Callable[[int], object]:
        connection = psycopg.connect(url, autocommit=True)
        return lambda number: connection.execute(statements[number % CONES], prepare=False).fetchall()

    _rate(http_client)  # the caches of the database are as warm for the one as for the other
    served, database = _rate(http_client), _rate(sql_client)
    yield Figure(
        f"TAP: cones of 1 deg, {CLIENTS} clients",
        served,
        300,
        "requests/s",
        f"the same SQL by {CLIENTS} clients of psycopg, {database:,.0f}/s; clients on the same machine",
    )


def _rate(make: Callable[[], Callable[[int], object]]) -> float:
    """Return how many works a second some threads get done."""
    counts = [0] * CLIENTS
    until = time.perf_counter() + CLIENT_SECONDS

    def client(number: int) -> None:
        work = make()
        while time.perf_counter() < until:
            work(number * CONES // CLIENTS + counts[number])
            counts[number] += 1

    threads = [Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / CLIENT_SECONDS


@contextmanager
def _serving(settings: Settings) -> Iterator[Service]:
    """Run the real server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secrets = {f"{role}_URL": getattr(settings.database, f"{role.lower()}_url") for role in ("QUERY", "JOBS", "READER")}
    named = {f"STAC_RUCIO_SYNC_DATABASE__{name}": url.get_secret_value() for name, url in secrets.items() if url}
    server = subprocess.Popen(
        [sys.executable, "-m", "stac_rucio_sync.cli", "serve", "--port", str(port)], env=os.environ | named
    )
    try:
        _wait_until_open(server, port)
        yield Service(port, server.pid)
    finally:
        server.terminate()
        server.wait()


def _wait_until_open(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + SERVER_SECONDS
    while True:
        assert server.poll() is None, "the server ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until, "the server does not listen"
            time.sleep(0.1)
        else:
            return


def _family(process: int) -> list[int]:
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in children for one in _family(int(child)))]


def _peak(process: int) -> int:
    """Return the peak of the resident memory of a process, in kB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
