"""One file from a URL to a path: continued where an earlier try ended, verified, and there only when it is whole."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from stac_rucio_sync.addresses import public_url
from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.http import Http, RefusedAnswer
from stac_rucio_sync.model import Did

_CHUNK: Final = 2**20
_PART: Final = ".part"
_NOT_SATISFIABLE: Final = 416
_LONGEST: Final = 240
"""Bytes of a file name that file systems take, with room for the ending of partial files."""
_STARTS_AT: Final = re.compile(r"bytes (\d+)-")
_UNSAFE: Final = re.compile(r"/|\A\.|_(?=x[0-9A-F]+_)")

HASTY: Final = 2
"""Tries where another replica can be asked instead."""

OnBytes = Callable[[int], None]


class DamagedError(RefusedAnswer):
    """What came is not the file: its size or checksum is another one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the lake says of a file; None where it does not."""

    bytes: int | None
    adler32: str | None = None
    md5: str | None = None

    @property
    def verified_by(self) -> str:
        """Say by what a file is known to be this one."""
        known = [name for name in ("md5", "adler32") if getattr(self, name)]
        return "+".join(known) if known else "size" if self.bytes is not None else "nothing"


def local_path(folder: Path, did: Did) -> Path:
    """Return where a file is kept: ``folder/scope/name``, whatever the scope and the name are made of.

    No two DIDs share a path, and none leads out of the folder.
    """
    return folder / _safe(did.scope) / _safe(did.name)


def _safe(part: str) -> str:
    safe = _UNSAFE.sub(lambda matched: f"_x{ord(matched[0][0]):X}_", part) or "_x_"
    if len(safe.encode()) <= _LONGEST:
        return safe
    tail = f"...{hashlib.blake2b(safe.encode(), digest_size=16).hexdigest()}{Path(safe).suffix[:12]}"
    return safe.encode()[: _LONGEST - len(tail)].decode(errors="ignore") + tail


def why_not(path: Path, expected: Expected) -> str | None:
    """Return in which way a file is not what is expected; None: it is, as far as anything tells."""
    size = path.stat().st_size
    if expected.bytes is not None and size != expected.bytes:
        return f"it has {size} bytes, registered are {expected.bytes}"
    if expected.adler32 is None and expected.md5 is None:
        return None
    adler32, md5 = 1, hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            adler32 = zlib.adler32(piece, adler32)
            if expected.md5 is not None:
                md5.update(piece)
    if expected.adler32 is not None and f"{adler32:08x}" != expected.adler32:
        return f"it has adler32 {adler32:08x}, registered is {expected.adler32}"
    if expected.md5 is not None and md5.hexdigest() != expected.md5:
        return f"it has md5 {md5.hexdigest()}, registered is {expected.md5}"
    return None


def is_there(path: Path, expected: Expected) -> bool:
    """Tell whether a path holds the file already, whole."""
    return path.is_file() and why_not(path, expected) is None


def fetch(
    http: Http,
    url: str,
    path: Path,
    expected: Expected,
    on_bytes: OnBytes = lambda _: None,
    attempts: int | None = None,
) -> None:
    """Download a file; what an earlier try left beside its path is continued.

    Parameters
    ----------
    http
        The edge; its tries go on from where the last one broke off.
    url
        An http or https URL.
    path
        Where the file will be, when it is whole and verified.
    expected
        Size and checksums.
    on_bytes
        Is told of every piece that came.
    attempts
        Tries at most; None: as many as the edge makes.

    Raises
    ------
    DamagedError
        The bytes are others, also afresh; nothing of them is kept.
    RefusedAnswer, TransientError
        The server does not give it.
    FatalError
        It cannot be written here.
    """
    part = path.with_name(path.name + _PART)

    def whole() -> None:
        _download(http, url, part, expected, on_bytes, attempts)
        wrong = why_not(part, expected)
        if wrong is not None:
            part.unlink(missing_ok=True)
            raise DamagedError(f"{public_url(url)}: {wrong}")

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        continued = _usable(part, expected)
        try:
            whole()
        except RefusedAnswer as refused:
            damaged = isinstance(refused, DamagedError) or refused.status == _NOT_SATISFIABLE
            if damaged:
                part.unlink(missing_ok=True)
            if not (damaged and continued):
                raise
            # The beginning was of something else.
            whole()
        part.replace(path)
    except OSError as error:
        raise FatalError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        _drop_empty(part)


def _drop_empty(part: Path) -> None:
    with suppress(OSError):
        if part.stat().st_size == 0:
            part.unlink()


def discard_part(path: Path) -> None:
    """Throw away what an earlier try left of a file that has come by another way."""
    path.with_name(path.name + _PART).unlink(missing_ok=True)


def _usable(part: Path, expected: Expected) -> bool:
    """Tell whether there is something to continue; what is too long is thrown away."""
    if not part.is_file():
        return False
    size = part.stat().st_size
    if expected.bytes is None or size > expected.bytes:
        part.unlink()
        return False
    return size > 0


def _download(http: Http, url: str, part: Path, expected: Expected, on_bytes: OnBytes, attempts: int | None) -> None:
    part.touch()
    if expected.bytes is not None and part.stat().st_size == expected.bytes:
        return

    def headers() -> Mapping[str, str]:
        size = part.stat().st_size
        return {"Accept-Encoding": "identity"} | ({"Range": f"bytes={size}-"} if size else {})

    def take(response: requests.Response) -> None:
        begin = _begin(response)
        with part.open("r+b") as file:
            if begin > file.seek(0, 2):
                raise RefusedAnswer(f"{public_url(url)} answers with another range than was asked for")
            file.seek(begin)
            file.truncate()
            length = begin
            raw: Any = response.raw
            for piece in raw.stream(_CHUNK, decode_content=False):
                length += len(piece)
                if expected.bytes is not None and length > expected.bytes:
                    raise DamagedError(
                        f"{public_url(url)} gives more than the {expected.bytes} bytes that are registered"
                    )
                file.write(piece)
                on_bytes(len(piece))
        declared = response.headers.get("Content-Length", "")
        if declared.isdigit() and length - begin < int(declared):
            raise ConnectionError("the answer broke off")  # older versions of urllib3 do not say so

    http.ask("GET", url, take, headers=headers, attempts=attempts)


def _begin(response: requests.Response) -> int:
    """Return at which byte an answer begins."""
    if response.status_code != requests.codes.partial_content:
        return 0
    told = _STARTS_AT.match(response.headers.get("Content-Range", ""))
    return int(told[1]) if told else 0
