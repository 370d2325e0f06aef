"""How the catalogue is kept in a bare git repository: its branch, its folders, and where Git LFS has large files.

Large files are Git LFS pointers, and their bytes lie in the repository's ``lfs/objects``, where a clone finds them
without any configuration.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from stac_rucio_sync.catalog.objects import Entry, Folder

BRANCH = "refs/heads/main"
_FILE, _FOLDER = b"100644", b"40000"


def lfs_folder(place: Path) -> Path:
    """Return where Git LFS keeps large files."""
    return place / "lfs" / "objects"


def lfs_object(place: Path, sha256: str) -> Path:
    """Return where Git LFS keeps the bytes with a digest."""
    return lfs_folder(place) / sha256[:2] / sha256[2:4] / sha256


def entries_of(tree: bytes) -> dict[str, Entry]:
    """Read a tree object (gitformat: mode, space, name, NUL, 20 bytes)."""
    entries = {}
    start = 0
    while start < len(tree):
        space = tree.index(b" ", start)
        end = tree.index(b"\0", space)
        name = tree[space + 1 : end].decode(errors="surrogateescape")
        entries[name] = Entry(tree[end + 1 : end + 21].hex(), tree[start:space] == _FOLDER)
        start = end + 21
    return entries


def tree_of(entries: Folder) -> bytes:
    """Write a tree object; git sorts folders as if their names ended in a slash."""
    named = sorted(
        (name.encode(errors="surrogateescape") + (b"/" if entry.is_folder else b""), entry)
        for name, entry in entries.items()
    )
    return b"".join(
        (_FOLDER if entry.is_folder else _FILE) + b" " + name.rstrip(b"/") + b"\0" + bytes.fromhex(entry.oid)
        for name, entry in named
    )


def moment_of(seconds: float) -> datetime:
    """Return a moment as commits have it: UTC, to the second."""
    return datetime.fromtimestamp(int(seconds), UTC)
