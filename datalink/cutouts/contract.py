"""What a cut-out is, and what it may cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one cut-out may cost."""

    output_bytes: int = 2 * 2**30
    """Of the cut-out; so far as it can be told, it is before any pixel is read."""
    pixels: int = 2**29
    """That the cut-out, or one tile that must be decompressed for it, may have."""
    read_bytes: int = 4 * 2**30
    """That may be read of the file."""
    unranged_bytes: int = 64 * 2**20
    """The longest file that is read whole where its server knows no ranges."""
    seconds: float = 300.0
    """From the opening of the file to the last byte that is read of it."""
    answer_seconds: float = 30.0
    """That its server may be silent."""
    allow_private: bool = False
    """Whether files may be read from loopback, private and link-local addresses."""


@dataclass(frozen=True, slots=True)
class Cutout:
    """A cut-out, ready to be sent: all that can be known before its pixels are read was checked.

    A copy that breaks off, or a compressed tile that is broken, is met only while the pieces are taken; the length
    tells a client that something is missing.
    """

    media_type: str
    length: int | None
    """Bytes, where that is known before they are made."""
    pieces: Iterator[bytes]
    """To be taken once, while the file that it is of is still open."""
