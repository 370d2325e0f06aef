"""A version of the catalogue as pystac reads it: from the repository itself, without writing files anywhere."""

from __future__ import annotations

import os

import pystac

from stac_rucio_sync.catalog.repository import ROOT, Version
from stac_rucio_sync.errors import UsageError


class VersionIO(pystac.StacIO):
    """Reads the objects of one version; their hrefs are paths below ``<repository>/<commit>/``.

    Parameters
    ----------
    version
        The version.
    """

    def __init__(self, version: Version) -> None:
        super().__init__()
        self._version = version
        self.root = f"{version.place.resolve()}/{version.commit.oid}"

    def read_text(self, source: str | os.PathLike[str], *_args: object, **_kwargs: object) -> str:
        """Return the text of an object.

        Raises
        ------
        UsageError
            It does not lie in this version.
        """
        href = os.fspath(source)
        if not href.startswith(f"{self.root}/"):
            raise UsageError(f"{href} does not lie in the catalogue; pystac.StacIO.default() reads it")
        return self._version.tree.read(href[len(self.root) + 1 :]).decode()

    def write_text(self, dest: str | os.PathLike[str], *_args: object, **_kwargs: object) -> None:
        """Refuse.

        Raises
        ------
        UsageError
            Always: a version does not change, a transaction makes a new one.
        """
        raise UsageError(
            f"{os.fspath(dest)} belongs to a version, which does not change: a transaction makes a new one"
        )


def as_pystac(version: Version) -> pystac.Catalog:
    """Return the root of a version, from which pystac follows the links by itself.

    Examples
    --------
    >>> root = as_pystac(repository.version("2024-05-01"))  # doctest: +SKIP
    >>> [item.id for item in root.get_items(recursive=True)]  # doctest: +SKIP
    """
    reading = VersionIO(version)
    return pystac.Catalog.from_file(f"{reading.root}/{ROOT}", stac_io=reading)
