"""One cut-out: the engine that fits the file, over the copy that is nearest, or the next one where that fails."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from datalink.cutouts.contract import Cutout, Limits
from datalink.cutouts.errors import (
    FileError,
    ForbiddenError,
    LoginError,
    RequestError,
    UnavailableError,
)
from datalink.cutouts.reading import RangeFile, open_path, open_url
from datalink.cutouts.region import Cutting
from datalink.cuttable import Kind, reads_geotiff
from datalink.soda.files import Copy, CutFile, Files, best
from datalink.soda.request import PNG
from datalink.soda.single import fitting
from stac_rucio_sync.settings import Soda

_LOG = logging.getLogger(__name__)
_HELD: Final = 4 * 2**20
"""Bytes that are there before the first one is given away: so long another copy can take over."""
_SUFFIXES: Final = {"application/fits": "fits", "image/fits": "fits", PNG: "png"}
_NO_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut-out that is ready to be sent."""

    cutout: Cutout
    file_name: str
    """What a browser shall save it as."""
    rse: str
    """Where the copy is that it was made from."""
    is_made: bool
    """All of it is there already: its pieces can be taken when the context is left, too."""


class Cutter:
    """Makes cut-outs.

    Parameters
    ----------
    files
        Finds files and their copies.
    settings
        What a cut-out may cost.
    """

    def __init__(self, files: Files, settings: Soda) -> None:
        self._files = files
        self._limits = Limits(
            output_bytes=settings.output_bytes,
            read_bytes=settings.read_bytes,
            seconds=settings.timeout,
            allow_private=settings.allow_private_addresses,
        )

    @contextmanager
    def cut(
        self,
        asked: str,
        wanted: Cutting,
        kind: Kind,
        form: str,
        *,
        token: str | None = None,
        seconds: float | None = None,
    ) -> Iterator[Cut]:
        """Make a cut-out, which can be read as long as the context is open.

        Parameters
        ----------
        asked
            ID of the file, or of its item.
        wanted
            What of it.
        kind
            What the service cuts.
        form
            Media type that is wanted.
        token
            Bearer token of the one who asks, for copies that want a log-in.
        seconds
            What is left of the time; None: as long as a cut-out may take.

        Raises
        ------
        CutError
            There is none; the text says why.
        SyncError
            The mirror does not answer.
        """
        if kind is Kind.GEOTIFF and not reads_geotiff():
            raise RequestError("GeoTIFF files are not cut here: the service lacks what they are read with")
        if kind is Kind.FITS and form == PNG and not reads_geotiff():
            raise RequestError("RESPONSEFORMAT: pictures are not made here: the service lacks what writes them")
        limits = self._limits if seconds is None else replace(self._limits, seconds=min(seconds, self._limits.seconds))
        until = time.monotonic() + limits.seconds
        file = self._files.file(asked, kind)
        wanted = fitting(wanted, file.product, file.extent)
        with ExitStack() as stack:
            rse, cutout, is_made = self._from_a_copy(stack, file, wanted, form, limits, token, until)
            pieces = _in_time(cutout.pieces, until)
            yield Cut(replace(cutout, media_type=form, pieces=pieces), _file_name(file, form), rse, is_made)

    def _from_a_copy(
        self,
        stack: ExitStack,
        file: CutFile,
        wanted: Cutting,
        form: str,
        limits: Limits,
        token: str | None,
        until: float,
    ) -> tuple[str, Cutout, bool]:
        errors: list[Exception] = []
        for copy in self._files.copies(file, token):
            if isinstance(copy, LoginError):
                errors.append(copy)
                continue
            left = replace(limits, seconds=max(0.0, until - time.monotonic()))
            with ExitStack() as opened:
                try:
                    cutout, is_made = _begun(
                        _engine(opened.enter_context(_opened(copy, left)), file, wanted, form, left)
                    )
                except (UnavailableError, FileError, LoginError, ForbiddenError) as error:
                    _LOG.info("%s at %s cannot be cut: %s", file.file.did, copy.rse, error)
                    errors.append(error)
                    continue
                stack.push(opened.pop_all())
                return copy.rse, cutout, is_made
        raise best(errors) if errors else UnavailableError(f"no copy of {file.file.did} can be read now")


def load_engines() -> None:
    """Import what FITS files are cut with, so that no request waits for it: that takes as long as many cut-outs.

    What reads GeoTIFF files and makes pictures loads in a fraction of that, and would take as much memory again: it is
    left to the first request that wants it.
    """
    import datalink.cutouts.cut_fits  # noqa: F401, PLC0415 - to have it loaded, and not before


@contextmanager
def _opened(copy: Copy, limits: Limits) -> Iterator[RangeFile]:
    file = open_path(copy.path, limits) if copy.path is not None else open_url(copy.url or "", limits, copy.token)
    try:
        yield file
    finally:
        file.close()


def _engine(file: RangeFile, of: CutFile, wanted: Cutting, form: str, limits: Limits) -> Cutout:
    """Cut by what fits the file. The engines are imported late: what they need may not be there."""
    if of.kind is Kind.FITS:
        from datalink.cutouts.cut_fits import cut_fits  # noqa: PLC0415

        made = cut_fits(file, wanted, of.name, limits)
        if form != PNG:
            return made
        from datalink.cutouts.preview import png_of_fits  # noqa: PLC0415

        return png_of_fits(made)
    if form == PNG:
        from datalink.cutouts.preview import png_of_geotiff  # noqa: PLC0415

        return png_of_geotiff(file, wanted, limits)
    from datalink.cutouts.geotiff import cut_geotiff  # noqa: PLC0415

    return cut_geotiff(file, wanted, of.name, limits)


def _begun(cutout: Cutout) -> tuple[Cutout, bool]:
    """Make the beginning of a cut-out, or all of a small one; tell whether it is all."""
    made: list[bytes] = []
    size = 0
    for piece in cutout.pieces:
        made.append(piece)
        size += len(piece)
        if size > _HELD:
            return replace(cutout, pieces=chain(made, cutout.pieces)), False
    if not size:
        raise FileError("the cut-out would be empty")
    return Cutout(cutout.media_type, size, iter(made)), True


def _in_time(pieces: Iterator[bytes], until: float) -> Iterator[bytes]:
    """Yield the pieces; whoever takes them too slowly does not get the last ones."""
    for piece in pieces:
        if time.monotonic() > until:
            raise UnavailableError("the cut-out could not be sent in time")
        yield piece


def _file_name(file: CutFile, form: str) -> str:
    name = _NO_FILE_NAME.sub("_", file.file.did.name.rpartition("/")[2])
    stem, dot, _ = name.rpartition(".")
    return f"{stem if dot and stem else name}-cutout.{_SUFFIXES.get(form, 'tif')}"
