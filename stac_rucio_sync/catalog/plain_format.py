"""How the catalogue is kept in plain files and folders, named by their content, that any program can read.

::

    files/ab/abcd...          the content of a file, read only
    folders/12/1234.../       a folder: its files are hard links, its folders symbolic links to other folders
    commits/5678.../          commit.json, and catalog, a symbolic link to the root folder
    current                   a symbolic link to the latest commit: current/catalog/catalog.json is the catalogue
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from stac_rucio_sync.catalog.objects import Entry, Folder, MissingObjectError

DIGITS = 40
"""Of SHA-256 in a name: so many that no two contents ever share one, so few that a link fits into its inode."""
LISTING = ".entries"
"""In each folder: names, kinds and objects of its entries; a name with a dot in front is none of the catalogue's."""
_NAME = re.compile(f"[0-9a-f]{{{DIGITS}}}")


def name_of(content: bytes) -> str:
    """Return the name of an object with this content."""
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def file_path(place: Path, oid: str) -> Path:
    """Return where the content of a file lies.

    Raises
    ------
    MissingObjectError
        It is no name of an object (so for all functions of this module that take one).
    """
    return place / "files" / checked(oid)[:2] / oid


def folder_path(place: Path, oid: str) -> Path:
    """Return where a folder lies."""
    return place / "folders" / checked(oid)[:2] / oid


def listing_of(entries: Folder) -> bytes:
    """Write the listing of a folder."""
    named = {name: f"{'d' if entry.is_folder else 'f'} {entry.oid}" for name, entry in sorted(entries.items())}
    return json.dumps(named, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogateescape")


def entries_of(listing: bytes) -> dict[str, Entry]:
    """Read the listing of a folder."""
    named: dict[str, str] = json.loads(listing.decode(errors="surrogateescape"))
    return {name: Entry(said[2:], said[0] == "d") for name, said in named.items()}


def checked(oid: str) -> str:
    """Return the name of an object as it is."""
    if not _NAME.fullmatch(oid):
        raise MissingObjectError(f"{oid[:100]!r} names no object")
    return oid
