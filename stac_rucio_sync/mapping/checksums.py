"""Checksums that an item states: what Rucio can hold, and what is only kept as text. Nothing is ever invented.

The file extension (2.1, ``file:checksum``) wants a self-identifying multihash in hexadecimal digits:
``<code as unsigned varint><length as unsigned varint><digest>``. Rucio can hold MD5 and Adler-32.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_MD5: Final = 0xD5
_DIGESTS: Final[Mapping[int, tuple[str, int]]] = {
    0x11: ("sha1", 20),
    0x12: ("sha2-256", 32),
    0x13: ("sha2-512", 64),
    0x14: ("sha3-512", 64),
    0x15: ("sha3-384", 48),
    0x16: ("sha3-256", 32),
    0x17: ("sha3-224", 28),
    0x1A: ("keccak-224", 28),
    0x1B: ("keccak-256", 32),
    0x1C: ("keccak-384", 48),
    0x1D: ("keccak-512", 64),
    0x1E: ("blake3", 32),
    0x20: ("sha2-384", 48),
    0x1012: ("sha2-256-trunc254-padded", 32),
    0x1013: ("sha2-224", 28),
    0x1014: ("sha2-512-224", 28),
    0x1015: ("sha2-512-256", 32),
    0xD4: ("md4", 16),
    _MD5: ("md5", 16),
    0xB220: ("blake2b-256", 32),
    0xB240: ("blake2b-512", 64),
    0xB260: ("blake2s-256", 32),
}
"""Codes of the multicodec table with their digests' lengths in bytes."""

_MD5_PREFIX: Final = "d50110"
"""The code of MD5 as a varint, and its length in bytes."""
_CHECKSUM_FIELDS: Final = ("file:checksum", "checksum:multihash")
"""The file extension's field, and the one of the checksum extension that it took in."""
_ADLER32 = re.compile(r"[0-9A-Fa-f]{1,8}", re.ASCII)
_LONGEST_TEXT: Final = 300


class Checksums(NamedTuple):
    """What an item states of a file's checksums."""

    md5: str | None = None
    """32 hexadecimal digits, lower case."""
    adler32: str | None = None
    """8 hexadecimal digits, lower case."""
    unverified: str | None = None
    """``algorithm:digest`` of another algorithm, or the text as it stands where it is no right multihash."""


class Multihash(NamedTuple):
    """A multihash taken apart."""

    algorithm: str
    digest: str
    """Hexadecimal digits, lower case."""


def parse_multihash(text: str) -> Multihash | None:
    """Take a multihash in hexadecimal digits apart.

    None: it is none, its code is unknown, or its digest has not the length that it says and that the code wants.
    """
    try:
        octets = bytes.fromhex(text) if text.isalnum() else b""
    except ValueError:
        return None
    code, start = _varint(octets, 0)
    length, start = _varint(octets, start)
    algorithm, wanted = _DIGESTS.get(code, ("", -1))
    if length != wanted or len(octets) - start != wanted:
        return None
    return Multihash(algorithm, octets[start:].hex())


def md5_multihash(md5: str) -> str:
    """Return the multihash of an MD5 in hexadecimal digits, as ``file:checksum`` has it."""
    return _MD5_PREFIX + md5


def stated_checksums(stac: Mapping[str, Any]) -> Checksums:
    """Return the checksums that an asset (or one of its alternates) states of its bytes.

    Bare digests without a code are kept as unverified text, because nothing says what they are of. ``rucio:adler32``
    is stac-rucio's, in the asset or its ``rucio:config``; leading zeros that were lost are put back.
    """
    adler32 = stated_adler32(stac)
    for field in _CHECKSUM_FIELDS:
        stated = stac.get(field)
        if not isinstance(stated, str) or not stated.strip():
            continue
        multihash = parse_multihash(stated.strip())
        if multihash is None:
            return Checksums(None, adler32, stated.strip().replace("\0", "")[:_LONGEST_TEXT])
        if multihash.algorithm == "md5":
            return Checksums(multihash.digest, adler32, None)
        return Checksums(None, adler32, f"{multihash.algorithm}:{multihash.digest}")
    return Checksums(None, adler32, None)


def stated_adler32(stac: Mapping[str, Any]) -> str | None:
    """Return ``rucio:adler32`` with all its 8 digits; None where it is missing or no Adler-32."""
    config = stac.get("rucio:config")
    stated = config.get("rucio:adler32") if isinstance(config, Mapping) else None
    if stated is None:
        stated = stac.get("rucio:adler32")
    if isinstance(stated, str) and _ADLER32.fullmatch(stated):
        return stated.lower().zfill(8)
    return None


def _varint(octets: bytes, start: int) -> tuple[int, int]:
    """Read an unsigned varint (at most 9 octets, shortest form) at ``start``; (-1, start) where there is none."""
    number = 0
    for position, octet in enumerate(octets[start : start + 9]):
        number |= (octet & 0x7F) << (7 * position)
        if octet < 0x80:
            return (-1, start) if octet == 0 and position else (number, start + position + 1)
    return -1, start
