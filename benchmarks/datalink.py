"""DataLink against a bare Flask view under the same server, and a thousand files in one request."""

from __future__ import annotations

import http.client
import random
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import psycopg

from benchmarks.figures import Figure
from benchmarks.processors import processor_seconds, with_children
from benchmarks.servers import free_port, running
from stac_rucio_sync.settings import Settings

ITEMS, ROUNDS, CONNECTIONS, ROUND_SECONDS, FILES, POSTS = 50_000, 5, 16, 4.0, 1_000, 15

_MADE = """
    TRUNCATE lake.item CASCADE; TRUNCATE lake.replica; TRUNCATE lake.obscore; TRUNCATE lake.rse;
    INSERT INTO lake.rse VALUES
        ('VIENNA-DISK', true, 'DISK', true, 'vienna', 48.2082, 16.3738, NULL),
        ('SYDNEY-DISK', true, 'DISK', true, 'sydney', -33.8688, 151.2093, NULL);
    INSERT INTO lake.item
        SELECT 'made', 'obs-' || n, 'made', 'f', 'made', 'made..obs-' || n,
            'ivo://made.example/lake?made:made..obs-' || n, '{{}}', false
        FROM generate_series(1, {items}) AS n;
    INSERT INTO lake.file
        SELECT 'made', 'obs-' || n, 'image', 'made', 'made..obs-' || n || '..image.fits', 1000000 + n, '0123abcd',
            NULL, NULL, 'application/fits', '{{data}}', 'An image of the sky', true
        FROM generate_series(1, {items}) AS n;
    INSERT INTO lake.replica
        SELECT scope, name, rse, 'davs://' || lower(rse) || '.example.org:443/rucio/made/' || name, 'AVAILABLE', false
        FROM lake.file, lake.rse;
    INSERT INTO lake.obscore (dataproduct_type, calib_level, obs_collection, obs_id, obs_publisher_did, access_url,
            access_format, s_ra, s_dec, s_polygon, s_bound, t_min, t_max, em_min, em_max, pol_states)
        SELECT 'image', 2, 'made', id, obs_publisher_did, 'https://archive.example.org/', 'text/html', ra, de,
            ARRAY[ra - a, de - a, ra + a, de - a, ra + a, de + a, ra - a, de + a], ARRAY[ra, de, 1.5 * a],
            58849.25, 58849.251, 5.5e-7, 7e-7, NULL
        FROM lake.item, LATERAL (SELECT substr(id, 5)::int) AS number (n),
            LATERAL (SELECT 1 + n * 0.0071 % 358, n * 0.0013 - 45, 0.0625) AS place (ra, de, a);
    """


class _Server(NamedTuple):
    """A server that is measured."""

    port: int
    pid: int


def datalink(settings: Settings) -> list[Figure]:
    """Make items, serve their links, and ask."""
    admin_url, reader_url = settings.database.admin_url, settings.database.reader_url
    assert admin_url is not None, "the lake's settings name no admin"
    assert reader_url is not None, "the lake's settings name no reader"
    with psycopg.connect(admin_url.get_secret_value(), autocommit=True) as admin:
        admin.execute(_MADE.format(items=ITEMS).encode())
        admin.execute("VACUUM (ANALYZE) lake.item, lake.file, lake.replica, lake.obscore")
        with _links(settings) as links, _bare(settings, reader_url.get_secret_value()) as bare:
            return [*_one_id(links, bare, admin), _thousand_files(links.port)]


def _one_id(links: _Server, bare: _Server, admin: psycopg.Connection[Any]) -> Iterator[Figure]:
    chance = random.Random(5)  # noqa: S311 - no secret
    names = [f"made:made..obs-{chance.randint(1, ITEMS)}..image.fits" for _ in range(2_000)]
    ours = [f"/datalink/links?SITE=sydney&ID={quote(name)}" for name in names]
    theirs = [f"/?ID={quote(name)}" for name in names]
    times: tuple[list[float], list[float]] = ([], [])
    rates: tuple[list[float], list[float]] = ([], [])
    work: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        seconds = ROUND_SECONDS if number else 1.0  # the first round warms up
        for which, (server, paths) in enumerate(((links, ours), (bare, theirs))):
            before = _processor_seconds(server, admin)
            taken = _load(server.port, paths, seconds)
            if number:
                times[which].extend(taken)
                rates[which].append(len(taken) / seconds)
                work[which].append((_processor_seconds(server, admin) - before) / len(taken) * 1e6)
    ratio = median(our / their for our, their in zip(*rates, strict=True))
    yield Figure(
        "DataLink: one ID, against a bare view",
        ratio,
        0.5,
        "× requests/s",
        f"{median(rates[0]):,.0f}/s, a view with one look-up {median(rates[1]):,.0f}/s; {CONNECTIONS} connections; "
        f"{median(work[0]):,.0f} and {median(work[1]):,.0f} µs of processor a request, the database's among them",
    )
    yield Figure(
        "DataLink: one ID, 99 of 100 answers within",
        quantiles(times[0], n=100)[98] * 1000,
        30,
        "ms",
        f"{CONNECTIONS} connections; half of them within {median(times[0]) * 1000:.1f} ms, "
        f"the bare view's 99 within {quantiles(times[1], n=100)[98] * 1000:.1f} ms",
        at_least=False,
    )


def _thousand_files(port: int) -> Figure:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times, count = [], 0
    for number in range(POSTS + 1):
        first = number * FILES
        ids = [("ID", f"made:made..obs-{first + n}..image.fits") for n in range(1, FILES + 1)]
        body = urlencode([*ids, ("LAT", "48.2"), ("LON", "16.4")])
        started = time.perf_counter()
        connection.request("POST", "/datalink/links", body, {"Content-Type": "application/x-www-form-urlencoded"})
        response = connection.getresponse()
        answer = response.read()
        if number:
            times.append(time.perf_counter() - started)
        count = answer.count(b"<TR>") - answer.count(b"<TD>#cutout</TD>")
        assert (response.status, count) == (200, 2 * FILES), answer[:500]
    return Figure(
        f"DataLink: {FILES:,} files in one request",
        median(times) * 1000,
        200,
        "ms",
        f"{count:,} rows; the slowest of {POSTS} took {max(times) * 1000:.0f} ms",
        at_least=False,
    )


def _processor_seconds(server: _Server, admin: psycopg.Connection[Any]) -> float:
    """Return what a server has taken so far, and the database for both: the other one has nothing to do meanwhile."""
    asking = admin.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'lake_reader'").fetchall()
    return processor_seconds([*with_children(server.pid), *(pid for (pid,) in asking)])


def _load(port: int, paths: Sequence[str], seconds: float) -> list[float]:
    """Ask on some connections, on each anew as soon as it is answered; return the seconds of each answer.

    One thread and no HTTP library: the client shares the machine with the server.
    """
    requests = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode() for path in paths]
    waiting = selectors.DefaultSelector()
    times: list[float] = []
    sent: dict[socket.socket, float] = {}
    read: dict[socket.socket, bytes] = {}
    number = 0
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", port), 30)
        waiting.register(connection, selectors.EVENT_READ)
        sent[connection], read[connection] = time.perf_counter(), b""
        connection.sendall(requests[number % len(requests)])
        number += 1
    until = time.perf_counter() + seconds
    while (now := time.perf_counter()) < until:
        for key, _ in waiting.select(1.0):
            connection = key.fileobj  # type: ignore[assignment] # sockets are what was registered
            read[connection] += connection.recv(1 << 16)
            if not _is_whole(read[connection]):
                continue
            now = time.perf_counter()
            times.append(now - sent[connection])
            sent[connection], read[connection] = now, b""
            connection.sendall(requests[number % len(requests)])
            number += 1
    for connection in sent:
        connection.close()
    return times


def _is_whole(answer: bytes) -> bool:
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    assert answer.startswith(b"HTTP/1.1 200"), answer[:1000]
    start = answer.index(b"content-length: ") + 16
    return len(answer) >= end + 4 + int(answer[start : answer.index(b"\r", start)])


@contextmanager
def _links(settings: Settings) -> Iterator[_Server]:
    """Run the services."""
    urls = {name: getattr(settings.database, name.lower()) for name in ("QUERY_URL", "JOBS_URL", "READER_URL")}
    named = {f"STAC_RUCIO_SYNC_DATABASE__{name}": url.get_secret_value() for name, url in urls.items()}
    port = free_port()
    with running(["stac_rucio_sync.cli", "serve", "--port", str(port)], named, port) as pid:
        yield _Server(port, pid)


@contextmanager
def _bare(settings: Settings, url: str) -> Iterator[_Server]:
    """Run the bare view."""
    port, services = free_port(), settings.services
    arguments = ["benchmarks.bare_links", str(port), str(services.workers), str(services.threads)]
    with running(arguments, {"BARE_LINKS_URL": url}, port) as pid:
        yield _Server(port, pid)
