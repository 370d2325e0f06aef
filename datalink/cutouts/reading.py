"""A file that is read in ranges, over HTTP or from a disk, within limits.

Everything that is asked of a server goes through `stac_rucio_sync.http`: private addresses and redirects to them are
refused unless the limits allow them; a compressed transfer is refused, so no few bytes can stand for many.
"""

from __future__ import annotations

import io
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datalink.cutouts.contract import Limits
from datalink.cutouts.errors import CutError, LimitError, UnavailableError
from datalink.cutouts.places import LocalPlace, Place, WebPlace

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK: Final = 64 * 2**10
"""Bytes that are fetched at least, and kept."""
AHEAD: Final = 2**20
"""Bytes that are fetched at most at once for a caller who reads on and on."""
KEPT: Final = 256
"""Blocks that are kept: 16 MiB."""
LANES: Final = 8
"""Ranges under way at a time."""


class RangeFile(io.RawIOBase):
    """An open file: seekable, read only, of known size, kept in blocks where they may be read again.

    One thread reads it at a time.

    Parameters
    ----------
    place
        Where it lies.
    limits
        What reading it may cost; the time runs from now.

    Attributes
    ----------
    name
        As it may be shown in messages: no login, no token.
    size
        Bytes.
    read_so_far
        Bytes that were fetched, for logs and benchmarks.
    fault
        The first error that a read met: for callers whose library (GDAL) does not pass exceptions on.
    """

    def __init__(self, place: Place, limits: Limits) -> None:
        super().__init__()
        self.fault: CutError | None = None
        self.read_so_far = 0
        self._most = limits.read_bytes
        self._limits = limits
        self._place = place
        self._until = time.monotonic() + limits.seconds
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._position = 0
        self._next = 0
        self._length = 1
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self.name = place.name
        first = place.open(BLOCK, self._until)
        self.size = place.size
        self.read_so_far += len(first)
        self._keep(0, first)

    # ------------------------------------------------------------------------------------------------ as a file

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to another byte; behind the end there is nothing to read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read as many bytes as the buffer takes, fewer only at the end of the file.

        Raises
        ------
        CutError
            It cannot be read, or no more of it may be.
        """
        view = memoryview(buffer).cast("B")
        start, stop = self._position, min(self._position + len(view), self.size)
        done = 0
        try:
            while start + done < stop:
                piece = self._piece(start + done, stop)
                view[done : done + len(piece)] = piece
                done += len(piece)
        except CutError as error:
            self.fault = self.fault or error
            raise
        self._position = start + done
        return done

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes, no more than there are: what a broken file says of its length takes no memory."""
        left = max(self.size - self._position, 0)
        into = bytearray(left if size is None or size < 0 else min(size, left))
        self.readinto(into)
        return bytes(into)

    def close(self) -> None:
        """Close it and the connections to its place."""
        if not self.closed:
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)
            self._place.close()
            self._blocks.clear()
        super().close()

    @contextmanager
    def no_more_than(self, length: int) -> Iterator[None]:
        """Let so many bytes be fetched at most until the block ends."""
        before = self._most
        self._most = min(before, self.read_so_far + length)
        try:
            yield
        finally:
            self._most = before

    # ---------------------------------------------------------------------------------------------------- ranges

    def ranges(self, wanted: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        """Yield the bytes of ranges (start, stop), in their order, fetched ahead, and not kept.

        Up to `LANES` of them are in memory at a time, so they should not be much longer than `AHEAD`.

        Raises
        ------
        CutError
            It cannot be read, or no more of it may be.
        """
        if not self._place.is_far:
            for start, stop in wanted:
                yield self._fetch(start, stop)
            return
        under_way: deque[Future[bytes]] = deque()
        try:
            for start, stop in wanted:
                under_way.append(self._lanes().submit(self._fetch, start, stop))
                if len(under_way) >= LANES:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()

    def prepare(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Fetch the blocks of ranges (start, stop) that will be read next, several at a time.

        All together they should be shorter than what is kept: `KEPT` blocks.

        Raises
        ------
        CutError
            They cannot be fetched, or no more may be.
        """
        numbers = {n for start, stop in wanted for n in range(start // BLOCK, -(-min(stop, self.size) // BLOCK))}
        missing = sorted(numbers - self._blocks.keys())
        runs: list[list[int]] = []
        for number in missing:
            if runs and runs[-1][1] == number and number - runs[-1][0] < AHEAD // BLOCK:
                runs[-1][1] = number + 1
            else:
                runs.append([number, number + 1])
        ranges = [(first * BLOCK, min(end * BLOCK, self.size)) for first, end in runs]
        for (first, _), fetched in zip(runs, self.ranges(ranges), strict=True):
            self._keep(first, fetched)

    def _lanes(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(LANES, thread_name_prefix="ranges")
        return self._pool

    def check_time(self) -> None:
        """Check that there is time left for it.

        Raises
        ------
        UnavailableError
            There is none.
        """
        if time.monotonic() > self._until:
            raise UnavailableError(f"{self.name} could not be read within {self._limits.seconds:g} seconds")

    def _fetch(self, start: int, stop: int) -> bytes:
        self.check_time()
        with self._lock:
            self.read_so_far += stop - start
            if self.read_so_far > self._most:
                raise LimitError(f"more of {self.name} would have to be read for this than may be")
        return self._place.fetch(start, stop, self._until)

    # ---------------------------------------------------------------------------------------------------- blocks

    def _piece(self, start: int, stop: int) -> memoryview:
        """Return bytes from ``start`` on: as far as the block goes that they are in, not beyond ``stop``."""
        number = start // BLOCK
        if number not in self._blocks:
            self._load(number, stop)
        self._blocks.move_to_end(number)
        first = number * BLOCK
        return memoryview(self._blocks[number])[start - first : stop - first]

    def _load(self, number: int, stop: int) -> None:
        """Fetch a block with the missing ones after it: all that are asked for, and more if they are read in a row."""
        self._length = min(2 * self._length, AHEAD // BLOCK) if number == self._next and number else 1
        wanted = max(self._length, min(-(-stop // BLOCK) - number, AHEAD // BLOCK))
        end = number + 1
        while end < number + wanted and end not in self._blocks:
            end += 1
        start = number * BLOCK
        self._keep(number, self._fetch(start, min(end * BLOCK, self.size)))
        self._next = end

    def _keep(self, number: int, fetched: bytes) -> None:
        for start in range(0, len(fetched), BLOCK):
            self._blocks[number + start // BLOCK] = fetched[start : start + BLOCK]
        while len(self._blocks) > KEPT:
            self._blocks.popitem(last=False)


def open_url(url: str, limits: Limits, token: str | None = None) -> RangeFile:
    """Open a file at an http or https URL.

    Parameters
    ----------
    url
        Where it lies.
    limits
        What reading it may cost.
    token
        A bearer token for that server; it is sent to no other, whatever the server redirects to.

    Raises
    ------
    CutError
        It cannot be opened: `UnavailableError` where another copy may help.
    """
    return _opened(WebPlace(url, limits, token), limits)


def open_path(path: Path, limits: Limits) -> RangeFile:
    """Open a file on this machine.

    Raises
    ------
    CutError
        It cannot be opened.
    """
    return _opened(LocalPlace(path), limits)


def _opened(place: Place, limits: Limits) -> RangeFile:
    try:
        return RangeFile(place, limits)
    except BaseException:
        place.close()
        raise
