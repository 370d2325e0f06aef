"""A file that is read in ranges, over HTTP or from a disk, within limits.

Everything that is asked of a server goes through `stac_rucio_sync.http`: private addresses and redirects to them are
refused unless the limits allow them; a compressed transfer is refused, so no few bytes can stand for many.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from datalink.cutouts.contract import Limits
from datalink.cutouts.errors import CutError


class RangeFile(io.RawIOBase):
    """An open file: seekable, read only, of known size, kept in blocks where they may be read again.

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

    name: str
    size: int
    read_so_far: int
    fault: CutError | None

    def ranges(self, wanted: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        """Yield the bytes of ranges (start, stop), in their order, fetched ahead, and not kept.

        Raises
        ------
        CutError
            It cannot be read, or no more of it may be.
        """
        raise NotImplementedError


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
    raise NotImplementedError


def open_path(path: Path, limits: Limits) -> RangeFile:
    """Open a file on this machine.

    Raises
    ------
    CutError
        It cannot be opened.
    """
    raise NotImplementedError
