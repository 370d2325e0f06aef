"""The answer to a WebDAV PROPFIND (RFC 4918 sections 9.1 and 14), read as it comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final
from xml.parsers import expat  # document types, and with them entities, are refused below

ASKED: Final = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>'
    b"<resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>"
)
_TEXTS = {"DAV: href": "href", "DAV: getcontentlength": "length", "DAV: getlastmodified": "modified"}
_LONGEST_TEXT = 64 * 1024


class MalformedError(Exception):
    """The answer is no multistatus document."""


@dataclass(slots=True)
class Resource:
    """A file or folder as the server describes it."""

    href: str = ""
    length: str = ""
    modified: str = ""
    folder: bool = False

    @property
    def bytes(self) -> int | None:
        """Its size, where the server says it."""
        return int(self.length) if self.length.isascii() and self.length.isdigit() else None

    @property
    def changed(self) -> float | None:
        """When it changed last, in seconds since 1970, where the server says it (RFC 4918 section 15.7)."""
        try:
            return parsedate_to_datetime(self.modified).timestamp()
        except (ValueError, TypeError):
            return None


class _Reader:
    """Expat's handlers; whole resources are taken away as they come."""

    def __init__(self) -> None:
        self.done: list[Resource] = []
        self._depth = 0
        self._resource = Resource()
        self._text: str | None = None

    def start(self, name: str, _attributes: object) -> None:
        self._depth += 1
        if self._depth == 1 and name != "DAV: multistatus":
            raise MalformedError(f"the root element is {name!r}")
        if name == "DAV: response":
            self._resource = Resource()
        elif name == "DAV: collection":
            self._resource.folder = True
        elif name in _TEXTS:
            self._text = ""

    def end(self, name: str) -> None:
        self._depth -= 1
        if name in _TEXTS:
            # The first counts: what the server does not know stands once more, and empty, in a second propstat.
            if not getattr(self._resource, _TEXTS[name]):
                setattr(self._resource, _TEXTS[name], (self._text or "").strip())
            self._text = None
        if name == "DAV: response":
            self.done.append(self._resource)

    def text(self, text: str) -> None:
        if self._text is not None:
            self._text += text
            if len(self._text) > _LONGEST_TEXT:
                raise MalformedError("an address is longer than 64 KiB")

    def doctype(self, *_: object) -> None:
        raise MalformedError("it has a document type")


def resources(blocks: Iterable[bytes]) -> Iterator[Resource]:
    """Yield the resources of an answer, the folder asked for among them.

    Raises
    ------
    MalformedError
        It is something else, or was cut off.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        for block in blocks:
            parser.Parse(block, False)
            yield from reader.done
            reader.done.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise MalformedError(str(error)) from error
    yield from reader.done
