"""Git objects in the making: few stay in memory and become loose objects, many go to a pack, which git then indexes.

A loose object costs a file; a transaction of thousands would leave the repository slow for everybody. A pack is one
file, whatever it holds, and an abandoned one leaves nothing behind. The formats are those of gitformat-pack(5).
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from stac_rucio_sync.catalog.durable import write_new
from stac_rucio_sync.catalog.git_program import run_git
from stac_rucio_sync.errors import FatalError

LOOSE_OBJECTS = 200
"""Up to so many objects of one commit become loose ones."""
_TYPES = {"commit": 1, "tree": 2, "blob": 3}
_CHUNK = 1 << 20
_LEVEL = 1
"""Of compression: git's repacking does better later, when nobody waits."""


_MANY_LOOSE = 20_000
_FOLDERS_OF_LOOSE = 256
_MANY_PACKS = 50


def pack_if_many(git_dir: Path) -> None:
    """Put objects together where loose ones or packs have become very many: each is a file that readers look into.

    Packs are joined so that each is at least twice the next: large ones are not written anew for a few objects more.

    Raises
    ------
    FatalError
        Git cannot; what is committed is committed.
    """
    if not _are_many(git_dir / "objects"):
        return
    done = run_git("--git-dir", str(git_dir), "repack", "--geometric=2", "-d", "-q")
    if done.returncode != 0:
        raise FatalError(f"git cannot pack the objects of {git_dir}: {done.stderr.decode(errors='replace').strip()}")


def _are_many(objects: Path) -> bool:
    one_of_the_folders = objects / "17"  # names are digests: all folders hold about as many
    loose = len(list(one_of_the_folders.iterdir())) * _FOLDERS_OF_LOOSE if one_of_the_folders.is_dir() else 0
    return loose > _MANY_LOOSE or len(list((objects / "pack").glob("*.pack"))) > _MANY_PACKS


class _Packed(NamedTuple):
    kind: str
    start: int
    length: int


class Pending:
    """Objects that only their writer sees.

    Parameters
    ----------
    git_dir
        The bare repository.
    """

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        self._small: dict[str, tuple[str, bytes]] = {}
        self._packed: dict[str, _Packed] = {}
        self._spool: IO[bytes] | None = None

    def add(self, kind: str, content: bytes) -> str:
        """Take an object of a type (``blob``, ``tree``, ``commit``); return its name."""
        oid = hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)), usedforsecurity=False)
        oid.update(content)
        name = oid.hexdigest()
        if name not in self._small and name not in self._packed:
            self._small[name] = kind, content
            if len(self._small) > LOOSE_OBJECTS or self._spool is not None:
                self._to_spool()
        return name

    def get(self, kind: str, oid: str) -> bytes | None:
        """Return the content of a pending object of a type; None: there is none."""
        if oid in self._small:
            return self._small[oid][1] if self._small[oid][0] == kind else None
        at = self._packed.get(oid)
        if at is None or at.kind != kind or self._spool is None:
            return None
        self._spool.seek(at.start)
        content = zlib.decompress(self._spool.read(at.length))
        self._spool.seek(0, 2)
        return content

    def flush(self, root: str, leads_to: Callable[[str, str, bytes], Iterable[str]]) -> None:
        """Put objects into the repository: the root, and what it leads to.

        What it does not lead to stays here; among the very many of a pack, it goes along.

        Parameters
        ----------
        leads_to
            Returns the names of the objects that one of a name, type and content leads to.
        """
        if self._spool is not None:
            self._to_spool()
            self._index_pack(self._spool)
            self.discard()
            return
        for oid in self._reached(root, leads_to, set()):
            self._write_loose(oid, *self._small.pop(oid))

    def _reached(self, oid: str, leads_to: Callable[[str, str, bytes], Iterable[str]], met: set[str]) -> Iterator[str]:
        """Yield what an object leads to, then itself: where a writer is killed, no object lacks one below it."""
        if oid in self._small and oid not in met:
            met.add(oid)
            for below in leads_to(oid, *self._small[oid]):
                yield from self._reached(below, leads_to, met)
            yield oid

    def discard(self) -> None:
        """Forget all objects."""
        if self._spool is not None:
            self._spool.close()
        self._spool = None
        self._small.clear()
        self._packed.clear()

    def _write_loose(self, oid: str, kind: str, content: bytes) -> None:
        """Write an object as git does (gitrepository-layout: objects/xx/...).

        One that is there already is written again: a power cut may have emptied what an earlier writer left.
        """
        folder = f"{self._git_dir}/objects"
        # One name for all: what a killed writer left there, the next one replaces; git's own clean-up knows it, too.
        incoming = f"{folder}/tmp_obj_catalog"  # noqa: S108 - a name in the repository, as git gives them
        final = f"{folder}/{oid[:2]}/{oid[2:]}"
        write_new(incoming, zlib.compress(b"%s %d\0" % (kind.encode(), len(content)) + content, _LEVEL))
        try:
            os.replace(incoming, final)  # noqa: PTH105 - strings are half the time of paths where objects come by dozens
        except FileNotFoundError:
            Path(final).parent.mkdir(exist_ok=True)
            Path(incoming).replace(final)

    def _to_spool(self) -> None:
        if self._spool is None:
            self._spool = tempfile.TemporaryFile(prefix="pack-")  # noqa: SIM115 - closed by discard()
            self._spool.write(b"\0" * 12)
        for oid, (kind, content) in self._small.items():
            self._spool.write(_head(_TYPES[kind], len(content)))
            start = self._spool.tell()
            self._spool.write(zlib.compress(content, _LEVEL))
            self._packed[oid] = _Packed(kind, start, self._spool.tell() - start)
        self._small.clear()

    def _index_pack(self, spool: IO[bytes]) -> None:
        spool.seek(0)
        spool.write(b"PACK" + (2).to_bytes(4, "big") + len(self._packed).to_bytes(4, "big"))
        spool.seek(0)
        checksum = hashlib.sha1(usedforsecurity=False)
        while chunk := spool.read(_CHUNK):
            checksum.update(chunk)
        spool.write(checksum.digest())
        spool.seek(0)
        done = run_git("--git-dir", str(self._git_dir), "index-pack", "--stdin", "--strict", given=spool)
        if done.returncode != 0:
            raise FatalError(
                f"git cannot take the objects into {self._git_dir}: {done.stderr.decode(errors='replace')}"
            )


def _head(kind: int, size: int) -> bytes:
    """Return type and size of an entry, as packs write them: 4 bits of the size, then 7 a byte."""
    head = bytearray()
    byte = (kind << 4) | (size & 15)
    size >>= 4
    while size:
        head.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    head.append(byte)
    return bytes(head)
