"""From an ID to the file that is cut, and to the copies that it is read from, the service's nearest first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from datalink.cutouts.errors import FileError, LoginError, RequestError, UnavailableError
from datalink.cuttable import Kind, kind_of
from datalink.links import LinkFinder
from obscore_tap.values import shown
from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.locality import View
from stac_rucio_sync.mapping.identifiers import did_of_publisher_did, obs_publisher_did
from stac_rucio_sync.model import Extent, HeldFile, HeldItem, Replica
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.mirror import Mirror

_NAMED: Final = 20
"""Files of an item that a message names at most."""


class UnknownError(RequestError):
    """The archive holds nothing of that name."""

    status = 404


@dataclass(frozen=True, slots=True)
class CutFile:
    """A file that can be cut."""

    name: str
    """Its IVOA identifier."""
    file: HeldFile
    kind: Kind
    product: str | None
    """The ``dataproduct_type`` of its item."""
    extent: Extent | None
    """What the item covers; None where nobody says."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A place that the file can be read from: one of the two."""

    rse: str
    url: str | None = None
    path: Path | None = None
    token: str | None = None
    """The bearer token of the one who asks, where the place wants to know that."""


class Files:
    """Finds files and their copies.

    Parameters
    ----------
    settings
        Where the service is, and which copies lie on its machine.
    mirror
        What is held where.
    """

    def __init__(self, settings: Settings, mirror: Mirror) -> None:
        self._settings = settings
        self._soda = settings.soda
        self._mirror = mirror
        self._finder = LinkFinder(settings, mirror)

    def file(self, asked: str, kind: Kind) -> CutFile:
        """Return the file that an ID stands for.

        Parameters
        ----------
        asked
            ID of a file, or of an item that has one file that can be cut.
        kind
            What the service cuts.

        Raises
        ------
        RequestError
            It stands for none, or for several, which the text names.
        TransientError
            The mirror does not answer.
        """
        try:
            did = did_of_publisher_did(asked)
        except ItemError as error:
            raise RequestError(f"ID: {error}") from error
        held = self._mirror.held([did]).get(did)
        if held is None or not held.files:
            raise UnknownError(f"ID: the archive holds no file of {did}")
        found = [file for file in held.files if kind_of(file) is kind]
        if not found:
            raise RequestError(f"ID: {shown(asked, 300)}: {_why_not(held, kind)}")
        if len(found) > 1:
            names = [obs_publisher_did(file.did, self._settings) for file in found]
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            raise RequestError(
                f"ID: {shown(asked, 300)} has {len(names)} files that can be cut; name one of them: "
                f"{', '.join(names[:_NAMED])}{more}"
            )
        name = obs_publisher_did(found[0].did, self._settings)
        return CutFile(name, found[0], kind, held.dataproduct_type, held.extent)

    def copies(self, file: CutFile, token: str | None) -> Iterator[Copy | LoginError]:
        """Yield the copies of a file that can be read now: those on this machine, then the nearest ones.

        A copy that wants a log-in, where nobody gave one, is an error among them: others may do without.

        Raises
        ------
        TransientError
            The mirror does not answer.
        """
        view = self._view()
        ranked = view.ranked(file.file.replicas)
        for one in ranked:
            is_open = one.replica.state == "AVAILABLE" and (one.rse is None or one.rse.available_read)
            if is_open and (path := self._path(one.replica)) is not None:
                yield Copy(one.replica.rse, path=path)
        for one in ranked:
            if not one.readable or one.url is None or self._path(one.replica) is not None:
                continue
            if not one.replica.needs_login:
                yield Copy(one.replica.rse, one.url)
            elif token is None:
                yield LoginError(f"the copy at {one.replica.rse} is given to those who log in: send a bearer token")
            elif not one.url.startswith("https://") and not self._soda.allow_private_addresses:
                yield LoginError(f"the copy at {one.replica.rse} is not read by https, so no token is sent there")
            else:
                yield Copy(one.replica.rse, one.url, token=token)

    def _view(self) -> View:
        locality = self._finder.locality()
        return self._finder.view(locality.place(site=self._soda.site, rse=self._soda.rse))

    def _path(self, replica: Replica) -> Path | None:
        """Return where a copy lies on this machine, if the settings say so."""
        for beginning, folder in self._soda.folders.items():
            start = beginning.rstrip("/") + "/"
            if replica.pfn.startswith(start):
                return path_below(folder, replica.pfn.removeprefix(start))
        return None


def path_below(folder: Path, rest: str) -> Path | None:
    """Return a path below a folder; None where it would lead out of it, by its words or by links on the disk.

    Parameters
    ----------
    folder
        Where it has to stay.
    rest
        The end of a replica's address.
    """
    path = unquote(re.split(r"[?#]", rest, maxsplit=1)[0])
    if "\0" in path or ".." in re.split(r"[/\\]", path):
        return None
    root = folder.resolve()
    found = (root / path.lstrip("/")).resolve()
    return found if found.is_relative_to(root) else None


def best(errors: Sequence[Exception]) -> Exception:
    """Return which of the errors that copies met tells most of what to do: log in, wait, or give up."""
    for kind in (LoginError, UnavailableError):
        found = next((error for error in errors if isinstance(error, kind)), None)
        if found is not None:
            return found
    return next((error for error in errors if not isinstance(error, FileError)), errors[0])


def _why_not(held: HeldItem, kind: Kind) -> str:
    other = Kind.GEOTIFF if kind is Kind.FITS else Kind.FITS
    if any(kind_of(file) is other for file in held.files):
        what = "maps of bodies (GeoTIFF)" if other is Kind.GEOTIFF else "images of the sky (FITS)"
        return f"it holds {what}, which {other.path}/sync and {other.path}/async cut"
    return "it is nothing that can be cut: FITS images and GeoTIFF maps can"
