"""JSON text that holds items: one to a line, one alone, or a FeatureCollection of any length."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from gzip import BadGzipFile
from io import BufferedReader, RawIOBase
from typing import Any

import ijson
import orjson

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.model import Change, ItemBroken, ItemRead, JsonObject
from stac_rucio_sync.sources.protocol import Reading

MAX_LINE = 64 * 2**20
"""Bytes of the longest line that is parsed."""
MAX_WHOLE = 16 * 2**20
"""Bytes of the longest document that is parsed in one piece."""
_BOM = b"\xef\xbb\xbf"
DAMAGED = (EOFError, BadGzipFile, zlib.error)


def read_lines(file: BufferedReader, shown: str) -> Iterator[Change]:
    """Yield the items of a newline-delimited JSON file; a line that is none is broken, and the next is read.

    Raises
    ------
    FatalError
        The file cannot be read to its end (a truncated or damaged gzip, a failing disk); what came before was yielded.
    """
    number = 0
    while line := _line(file, shown, number + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > MAX_LINE:
            yield ItemBroken(f"{shown}:{number}", f"the line is longer than {MAX_LINE} bytes")
            while line and not line.endswith(b"\n"):
                line = _line(file, shown, number)
        elif not line.isspace():
            yield _from_line(line, f"{shown}:{number}")


def _line(file: BufferedReader, shown: str, number: int) -> bytes:
    try:
        return file.readline(MAX_LINE + 1)
    except DAMAGED as error:
        raise FatalError(f"{shown}: the compressed file is damaged or cut off near line {number}: {error}") from error
    except OSError as error:
        raise FatalError(f"{shown}: {error.strerror or error}") from error


def _from_line(line: bytes, position: str) -> Change:
    try:
        stac = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return ItemBroken(position, f"the line is not JSON: {error}")
    return _change(stac, None, position)


def _change(stac: Any, href: str | None, position: str) -> Change:  # noqa: ANN401 - any JSON
    """Take an object for an item, whatever else is wrong with it; what is no object cannot be one."""
    if not isinstance(stac, dict):
        return ItemBroken(position, f"it is a JSON {_KINDS[type(stac)]}, not an object")
    return ItemRead(stac, href, position)


_KINDS = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def read_document(file: BufferedReader, shown: str, href: str | None, reading: Reading) -> Iterator[Change]:
    """Yield the items of a JSON document: an Item, a FeatureCollection, an array of items, or lines after all.

    A document of up to ``MAX_WHOLE`` bytes is parsed in one piece. A longer one is not taken into memory: its
    features are parsed one after the other.

    Raises
    ------
    FatalError
        It is none of these, or it cannot be read to its end; what came before was yielded.
    """
    replay = Replay(file)
    head = replay.head
    try:
        document = orjson.loads(head) if len(head) <= MAX_WHOLE else None
    except orjson.JSONDecodeError:
        document = None
    if document is not None:
        yield from _whole(document, shown, href, reading)
    elif _begins_with_item(head):
        yield from read_lines(BufferedReader(replay), shown)
    else:
        yield from _streamed(replay, shown, "item" if head[:1] == b"[" else "features.item")


class Replay(RawIOBase):
    """A file whose beginning was looked at and is read again: its head, the rest, and the damage where there is one."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._damage: Exception | None = None
        head = bytearray()
        try:
            while len(head) <= MAX_WHOLE and (piece := file.read1(2**20)):
                head += piece
        except (OSError, *DAMAGED) as error:
            self._damage = error
        self.head = bytes(head).removeprefix(_BOM).lstrip()
        """The first ``MAX_WHOLE`` bytes and some; no more than that: the whole file."""
        self._at = 0

    def readable(self) -> bool:
        """Return true: it is all that it is for."""
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - RawIOBase's own signature
        """Read up to the buffer's length."""
        piece = self.head[self._at : self._at + len(buffer)]
        self._at += len(piece)
        if not piece and len(buffer):
            if self._damage is not None:
                raise self._damage
            piece = self._file.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _begins_with_item(head: bytes) -> bool:
    """Tell whether the first line is a whole object that looks like an item: the file is one of lines."""
    line, newline, _ = head.partition(b"\n")
    if not newline:
        return False
    try:
        first = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(first, dict) and first.get("type") == "Feature"


def _whole(document: Any, shown: str, href: str | None, reading: Reading) -> Iterator[Change]:  # noqa: ANN401
    features = document
    if isinstance(document, dict):
        if document.get("type") == "Feature":
            yield ItemRead(document, href, shown)
            return
        features = document.get("features")
        if has_next(document):
            reading.miss(f"{shown} is one page of a longer answer and only it was read: give the root of the STAC API")
    if not isinstance(features, list):
        raise FatalError(f"{shown} is neither a STAC Item nor an ItemCollection")
    for number, feature in enumerate(features):
        yield _change(feature, None, f"{shown}#features/{number}")


def has_next(page: JsonObject) -> bool:
    """Tell whether a FeatureCollection links to a next page."""
    links = page.get("links")
    return isinstance(links, list) and any(isinstance(link, dict) and link.get("rel") == "next" for link in links)


def _streamed(file: RawIOBase, shown: str, prefix: str) -> Iterator[Change]:
    number = -1
    try:
        for number, feature in enumerate(ijson.items(file, prefix, use_float=True)):
            yield _change(feature, None, f"{shown}#features/{number}")
    except ijson.JSONError as error:
        reason = _first_line(error)
        raise FatalError(f"{shown} is not JSON, or is cut off, after {number + 1} items: {reason}") from error
    except (OSError, *DAMAGED) as error:
        raise FatalError(f"{shown} is damaged or cut off after {number + 1} items: {error}") from error
    if number < 0:
        raise FatalError(f"{shown} is neither a STAC Item nor an ItemCollection with items")


def _first_line(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return (text.decode(errors="replace") if isinstance(text, bytes) else str(text)).partition("\n")[0]
