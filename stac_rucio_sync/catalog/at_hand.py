"""Folders that were read or written lately: the upper ones are asked for again and again, and none ever changes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from stac_rucio_sync.catalog.objects import Folder

MOST = 2000


class AtHand:
    """The latest folders by name."""

    def __init__(self) -> None:
        self._folders: dict[str, Folder] = {}

    def get(self, oid: str) -> Folder | None:
        """Return a folder; None: it is not at hand."""
        return self._folders.get(oid)

    def put(self, folders: Mapping[str, Folder]) -> None:
        """Keep folders, in the place of those that came first."""
        self._folders.update(folders)
        for oid in list(islice(self._folders, max(0, len(self._folders) - MOST))):
            del self._folders[oid]
