"""SODA: a small cut-out of a large image over a slow line, against fetching the image and cutting it."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import psycopg
import requests
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS

from benchmarks.figures import Figure
from benchmarks.servers import free_port, running
from stac_rucio_sync.settings import Settings

SIDE, WINDOW = 16_384, 256
"""Pixels: float32, so the image has 1 GB."""
RATE, LATENCY = 100_000_000, 0.005
"""Bytes a second that the line lets through, seconds that each answer waits."""
ROUNDS, DOWNLOADS, CLIENTS, EACH = 15, 3, 8, 15
_PIXEL = 0.2 / 3600.0
_CENTRE = (150.0, 2.0)
_DID = "made:made..image..image.fits"

_MADE = """
    TRUNCATE lake.item CASCADE; TRUNCATE lake.replica; TRUNCATE lake.obscore; TRUNCATE lake.rse;
    INSERT INTO lake.rse VALUES ('SLOW', true, 'DISK', true, 'vienna', 48.2082, 16.3738, NULL);
    INSERT INTO lake.item VALUES ('made', 'image', 'made', 'f', 'made', 'made..image',
        'ivo://made.example/lake?made:made..image', '{{}}', false);
    INSERT INTO lake.file VALUES ('made', 'image', 'image', 'made', 'made..image..image.fits', {size}, '0123abcd',
        NULL, NULL, 'application/fits', '{{data}}', 'An image of the sky', true);
    INSERT INTO lake.replica
        VALUES ('made', 'made..image..image.fits', 'SLOW', '{url}/image.fits', 'AVAILABLE', false);
    INSERT INTO lake.obscore (dataproduct_type, calib_level, obs_collection, obs_id, obs_publisher_did, access_url,
            access_format, s_ra, s_dec)
        VALUES ('image', 2, 'made', 'image', 'ivo://made.example/lake?made:made..image', 'https://example.org/',
            'text/html', 150, 2);
    """


def soda(settings: Settings) -> Iterator[Figure]:
    """Make an image, put it at the end of a slow line, and cut it."""
    admin_url = settings.database.admin_url
    assert admin_url is not None, "the lake's settings name no admin"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.fits")
        wcs = _image(path)
        slow, port = free_port(), free_port()
        replica = f"http://127.0.0.1:{slow}"
        with psycopg.connect(admin_url.get_secret_value(), autocommit=True) as admin:
            admin.execute(_MADE.format(size=path.stat().st_size, url=replica).encode())
        urls = {name: getattr(settings.database, name.lower()) for name in ("QUERY_URL", "JOBS_URL", "READER_URL")}
        named = {f"STAC_RUCIO_SYNC_DATABASE__{name}": url.get_secret_value() for name, url in urls.items()}
        named["STAC_RUCIO_SYNC_SODA__ALLOW_PRIVATE_ADDRESSES"] = "true"
        with (
            running(["benchmarks.slow_replica", str(path), str(slow), str(RATE), str(LATENCY)], {}, slow),
            running(["stac_rucio_sync.cli", "serve", "--port", str(port)], named, port) as server,
        ):
            bench = _Bench(path, wcs, replica, f"http://127.0.0.1:{port}/soda/sync", server)
            yield from bench.one_client()
            yield bench.memory("one client", 150)
            yield bench.many_clients()
            yield bench.memory(f"{CLIENTS} clients", 200)


def _image(path: Path) -> WCS:
    """Write an image of 1 GB, a band of rows after the other; return its coordinates."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.radesys = ["RA---TAN", "DEC--TAN"], list(_CENTRE), "ICRS"
    wcs.wcs.crpix, wcs.wcs.cdelt = [SIDE / 2 + 0.5] * 2, [-_PIXEL, _PIXEL]
    header = fits.PrimaryHDU(header=wcs.to_header()).header
    header.update({"BITPIX": -32, "NAXIS": 2})
    header.insert("NAXIS", ("NAXIS1", SIDE), after=True)
    header.insert("NAXIS1", ("NAXIS2", SIDE), after=True)
    chance = np.random.default_rng(8)
    with path.open("wb") as stream:
        stream.write(header.tostring().encode())
        for _ in range(SIDE // WINDOW):
            stream.write(chance.standard_normal((WINDOW, SIDE), dtype=np.float32).astype(">f4").tobytes())
        stream.write(bytes(-SIDE * SIDE * 4 % 2880))
    return wcs


class _Bench:
    """The services, and the line behind them."""

    def __init__(self, path: Path, wcs: WCS, replica: str, url: str, server: int) -> None:
        self._path = path
        self._wcs = wcs
        self._replica = replica
        self._url = url
        self._server = server
        self._chance = random.Random(8)  # noqa: S311 - no secret

    def one_client(self) -> Iterator[Figure]:
        """Cut at places by chance, and fetch the file and cut it, in turns."""
        self._cut(self._place())  # loads what is loaded late
        times: list[float] = []
        read: list[int] = []
        whole: list[float] = []
        for number in range(ROUNDS):
            if number % (ROUNDS // DOWNLOADS) == 0:
                whole.append(self._fetched_and_cut(self._place()))
            place, before = self._place(), self._sent()
            started = time.perf_counter()
            content = self._cut(place)
            times.append(time.perf_counter() - started)
            read.append(self._sent() - before)
            self._check(content, place)
        size = self._path.stat().st_size
        yield Figure(
            f"SODA: {WINDOW}² of {size / 1e9:.1f} GB, read",
            max(read) / size * 100,
            2,
            "% of the file",
            f"{max(read) / 1e6:.1f} MB at most",
            at_least=False,
        )
        yield Figure(
            f"SODA: {WINDOW}² of {size / 1e9:.1f} GB, against fetching",
            median(whole) / median(times),
            20,
            "× faster",
            f"{median(times) * 1000:.0f} ms, {max(times) * 1000:.0f} ms at most; fetching and cutting "
            f"{median(whole):.1f} s; {RATE // 10**6} MB/s, {LATENCY * 1000:.0f} ms",
        )

    def many_clients(self) -> Figure:
        """Cut from several threads at once."""
        busy = 0

        def ask(_: int) -> float:
            nonlocal busy
            place, started = self._place(), time.perf_counter()
            while (answer := self._answer(place)).status_code == 503:
                busy += 1
                time.sleep(0.1)
            answer.raise_for_status()
            return time.perf_counter() - started

        with ThreadPoolExecutor(CLIENTS) as clients:
            times = list(clients.map(ask, range(CLIENTS * EACH)))
        return Figure(
            f"SODA: {CLIENTS} clients, 99 of 100 cut-outs within",
            quantiles(times, n=100)[98] * 1000,
            4000,
            "ms",
            f"half of them within {median(times) * 1000:.0f} ms, over one line; {busy} times it was busy",
            at_least=False,
        )

    def memory(self, when: str, most: float) -> Figure:
        """Return the peak of the largest process of the server."""
        peak = max(_peak(process) for process in _family(self._server))
        return Figure(f"SODA: memory of a server process, {when}", peak / 1e6, most, "MB", "its peak", at_least=False)

    def _place(self) -> tuple[int, int]:
        return self._chance.randrange(SIDE - WINDOW), self._chance.randrange(SIDE - WINDOW)

    def _answer(self, place: tuple[int, int]) -> requests.Response:
        x, y = place
        corners = np.array([[x, y], [x + WINDOW - 1, y], [x + WINDOW - 1, y + WINDOW - 1], [x, y + WINDOW - 1]])
        points = self._wcs.wcs_pix2world(corners, 0)
        polygon = " ".join(repr(float(one)) for one in points.ravel())
        return requests.get(self._url, {"ID": _DID, "POLYGON": polygon}, timeout=60)

    def _cut(self, place: tuple[int, int]) -> bytes:
        answer = self._answer(place)
        assert answer.status_code == 200, answer.text
        return answer.content

    def _check(self, content: bytes, place: tuple[int, int]) -> None:
        """See that the pixels are those of the file."""
        x, y = place
        with fits.open(BytesIO(content)) as cut, fits.open(self._path, memmap=True) as whole:
            height, width = cut[0].data.shape
            assert WINDOW <= height <= WINDOW + 2, (height, width)
            assert WINDOW <= width <= WINDOW + 2, (height, width)
            left, bottom = (round(float(one)) for one in self._wcs.wcs_world2pix([cut_origin(cut[0].header)], 0)[0])
            assert abs(left - x) <= 1, (left, x)
            assert abs(bottom - y) <= 1, (bottom, y)
            assert np.array_equal(cut[0].data, whole[0].data[bottom : bottom + height, left : left + width])

    def _fetched_and_cut(self, place: tuple[int, int]) -> float:
        """Return the seconds that fetching the whole file and cutting it takes."""
        started = time.perf_counter()
        with tempfile.NamedTemporaryFile() as file:
            with requests.get(f"{self._replica}/image.fits", stream=True, timeout=60) as answer:
                for piece in answer.iter_content(2**20):
                    file.write(piece)
            file.flush()
            with fits.open(file.name, memmap=True) as whole:
                middle = SkyCoord(*self._wcs.wcs_pix2world([place], 0)[0] * [1, 1], unit="deg")
                Cutout2D(whole[0].data, middle, (WINDOW, WINDOW), wcs=self._wcs, mode="trim").data.copy()
        return time.perf_counter() - started

    def _sent(self) -> int:
        return int(requests.get(f"{self._replica}/sent", timeout=60).text)


def cut_origin(header: fits.Header) -> list[float]:
    """Return where the first pixel of a cut-out lies, in degrees."""
    return [float(one) for one in WCS(header).wcs_pix2world([[0, 0]], 0)[0]]


def _family(process: int) -> list[int]:
    """Return a process and its children."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(one for child in children for one in _family(int(child)))]


def _peak(process: int) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
