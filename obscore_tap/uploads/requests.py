"""What a request wants to upload, and how much it may."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

from obscore_tap.adql.words import RESERVED_WORDS
from obscore_tap.refusals import Refusal, TooLarge
from stac_rucio_sync.addresses import is_http

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NEXT: Final = re.compile(r";(?=\s*[A-Za-z][A-Za-z0-9_]*,)")
"""Between two uploads in one value, as TAP 1.0 section 2.5.1 has it and clients send it. URIs can hold a ``;``."""
_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What one request may upload."""

    bytes: int = 100_000_000
    """All its tables together, decompressed."""
    rows: int = 1_000_000
    """Of one table."""
    seconds: float = 60.0
    """For fetching one table by its URI."""
    allow_private: bool = False
    """Whether tables may be fetched from private, loopback and link-local addresses."""
    tables: int = 20
    columns: int = 500
    """Of one table."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One table of a request."""

    name: str
    """A regular identifier of ADQL: the query calls the table ``TAP_UPLOAD.name``."""
    source: IO[bytes] | str
    """The inline part, or the http or https address."""


def requested(values: Sequence[str], parts: Mapping[str, IO[bytes]], limits: UploadLimits) -> tuple[Upload, ...]:
    """Return what the values of UPLOAD mean.

    Parameters
    ----------
    values
        Each ``name,uri`` or several of them with ``;`` between.
    parts
        The inline parts of the request by their labels, to which ``param:label`` refers.
    limits
        See `UploadLimits`.

    Raises
    ------
    Refusal
        A value, a name or an address cannot be, two tables have one name, or a part is missing.
    TooLarge
        There are too many tables.
    """
    pairs = _pairs(values)
    if len(pairs) > limits.tables:
        raise TooLarge(f"{len(pairs)} tables are uploaded: at most {limits.tables} are taken")
    uploads: dict[str, Upload] = {}
    for pair in pairs:
        name, comma, uri = pair.partition(",")
        if not comma:
            raise Refusal(f"UPLOAD is {pair[:80]!r}: the name of a table, a comma and a URI are needed")
        upload = Upload(_checked(name.strip()), _source(uri.strip(), parts))
        if uploads.setdefault(upload.name.lower(), upload) is not upload:
            raise Refusal(f"two uploaded tables are called {upload.name}")
    return tuple(uploads.values())


def labels(values: Sequence[str]) -> list[str]:
    """Return the labels of inline parts that the values of UPLOAD refer to."""
    uris = (pair.partition(",")[2].strip().partition(":") for pair in _pairs(values))
    return [rest for scheme, _, rest in uris if scheme.lower() == "param" and rest]


def _pairs(values: Sequence[str]) -> list[str]:
    return [pair.strip() for value in values for pair in _NEXT.split(value) if pair.strip()]


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise Refusal(
            f"an uploaded table is called {name[:80]!r}: its name must begin with a letter and go on with letters, "
            f"digits and underscores, {_LONGEST_NAME} at most"
        )
    if name.upper() in RESERVED_WORDS:
        raise Refusal(f"an uploaded table is called {name!r}, which is a reserved word of ADQL")
    return name


def _source(uri: str, parts: Mapping[str, IO[bytes]]) -> IO[bytes] | str:
    scheme, colon, rest = uri.partition(":")
    if colon and scheme.lower() == "param":
        if rest not in parts:
            raise Refusal(f"UPLOAD names the part {rest[:80]!r}, which the request does not have")
        return parts[rest]
    if is_http(uri):
        return uri
    raise Refusal(f"a table is to be uploaded from {uri[:80]!r}: the schemes param, http and https are known")
