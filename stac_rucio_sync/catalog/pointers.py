"""Large files whose bytes lie elsewhere: pointers of Git LFS, in the place of the file.

The bytes lie in the repository's own ``lfs/objects``, or in the lake; which DID holds them there is written in a hidden
folder of the tree, by the digest that the pointer names. The pointer's format is that of the Git LFS specification,
version 1, which has no room for more than digest and size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import orjson

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import Did

ATTRIBUTES = ".gitattributes"
CONFIG = ".lfsconfig"
CONFIG_TEXT = b"[lfs]\n\tskipdownloaderrors = true\n"
"""Files of the lake need an agent, which no repository can bring along: without it a clone has pointers, not errors."""
LAKE = ".lake"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TEXT = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d{1,18})\n")
LONGEST = 200
"""Bytes; no pointer has more."""
_ATTRIBUTES_OF_LARGE = b" filter=lfs diff=lfs merge=lfs -text"
_GLOB = re.compile(r"[*?\[\\]")


class Pointer(NamedTuple):
    """What stands in the place of a large file."""

    sha256: str
    size: int
    """Bytes."""

    def text(self) -> bytes:
        """Return it as a file."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()


def pointer_in(content: bytes) -> Pointer | None:
    """Return the pointer that a file is; None: it is an ordinary file."""
    found = _TEXT.fullmatch(content) if len(content) < LONGEST else None
    return Pointer(found[1].decode(), int(found[2])) if found else None


def lake_path(sha256: str) -> str:
    """Return the file in the tree that says which DID holds the bytes with a digest.

    Raises
    ------
    UsageError
        It is no SHA-256.
    """
    if not _DIGEST.fullmatch(sha256):
        raise UsageError(f"{sha256[:100]!r} is no SHA-256 (64 hexadecimal digits, small letters)")
    return f"{LAKE}/{sha256[0]}/{sha256[1]}/{sha256}.json"


def lake_record(did: Did) -> bytes:
    """Return that file."""
    return orjson.dumps({"scope": did.scope, "name": did.name}, option=orjson.OPT_APPEND_NEWLINE)


def did_in(record: bytes) -> Did:
    """Return the DID that such a file names."""
    said = orjson.loads(record)
    return Did(said["scope"], said["name"])


def attributes(large: Iterable[str]) -> bytes:
    """Return the file that tells git which files of its folder are large (gitattributes(5))."""
    return b"".join(_pattern(name) + _ATTRIBUTES_OF_LARGE + b"\n" for name in sorted(large))


def large_in(attributes_file: bytes) -> list[bytes]:
    """Return the patterns of the large files that such a file names."""
    ending = _ATTRIBUTES_OF_LARGE
    return [line.removesuffix(ending) for line in attributes_file.splitlines() if line.endswith(ending)]


def is_named(name: str, patterns: Iterable[bytes]) -> bool:
    """Tell whether a file is among those of `large_in`."""
    return _pattern(name) in patterns


def _pattern(name: str) -> bytes:
    escaped = _GLOB.sub(r"\\\g<0>", f"/{name}").encode(errors="surrogateescape")
    quoted = escaped.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'"' + re.sub(rb"[\x00-\x1f\x7f]", lambda found: b"\\%03o" % found[0][0], quoted) + b'"'
