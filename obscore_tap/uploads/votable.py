"""A VOTable read as it comes: the FIELDs of its first table, then its rows, a piece of the document at a time.

Rows are handed on while the document is parsed, so that memory is bounded by one row however long the table is. Nothing
but the document itself is read: a document type, and with it every entity, is refused, and so is a STREAM elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat  # entities and document types are refused below

from obscore_tap.refusals import Refusal, TooLarge
from obscore_tap.uploads.binary import LONGEST_ROW, Base64, Rows
from obscore_tap.uploads.cells import Value, text_reader
from obscore_tap.uploads.fields import Field, make_field, unique_names

_DEEPEST: Final = 64
_TEXT_BUFFER: Final = 2**16
_WAY_OUT: Final = (
    "write it as BINARY2, BINARY or TABLEDATA (stilts tcopy ofmt='votable(format=BINARY2)', or in Python "
    "table.write(…, format='votable', tabledata_format='binary2'))"
)
_KEPT_TEXT: Final = frozenset({"TD", "DESCRIPTION"})


@dataclass(slots=True)
class _RawField:
    attributes: Mapping[str, str]
    description: str = ""
    null: str | None = None


@dataclass(slots=True)
class _State:
    """Where in the document the parser is."""

    path: list[str] = field(default_factory=list)
    text: list[str] | None = None
    length: int = 0
    raw: list[_RawField] = field(default_factory=list)
    in_table: bool = False
    begun: bool = False
    """Whether the DATA of the first table have begun."""
    over: bool = False
    """Whether the first table is over; what follows is only checked for being XML."""
    failure: str = ""
    """What an INFO with QUERY_STATUS=ERROR says."""


class VOTableReader:
    """Reads one table.

    Parameters
    ----------
    columns
        The most that it may have.
    """

    def __init__(self, columns: int) -> None:
        self.fields: tuple[Field, ...] = ()
        """Complete as soon as `begun`."""
        self.number = 0
        """Of the row that is being read, from 1."""
        self._columns = columns
        self._state = _State()
        self._readers: list[Callable[[str], Value]] = []
        self._row: list[Value] = []
        self._ready: list[list[Value]] = []
        self._base64: Base64 | None = None
        self._binary: Rows | None = None
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.buffer_size = _TEXT_BUFFER
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = _refuse_doctype

    @property
    def begun(self) -> bool:
        """Tell whether the columns are known: the rows begin, or there are none."""
        return self._state.begun

    def feed(self, piece: bytes) -> Iterator[list[Value]]:
        """Read on; yield the rows that are complete by now.

        Raises
        ------
        Refusal
            The document is no XML, or no VOTable that can be read.
        """
        try:
            self._parser.Parse(piece, False)
        except expat.ExpatError as error:
            raise Refusal(f"it is no XML: {error}") from error
        ready, self._ready = self._ready, []
        for row in ready:
            self.number += 1
            yield row

    def end(self) -> None:
        """Tell that there is no more.

        Raises
        ------
        Refusal
            The document is cut off, or has no table.
        """
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise Refusal(f"it is no XML: {error}") from error
        if not self._state.begun:
            reason = f": {self._state.failure}" if self._state.failure else ""
            raise Refusal(f"it is a VOTable without a table{reason}")

    # ------------------------------------------------------------------------------------------------------- elements

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        state = self._state
        tag = name.rpartition(" ")[2]
        if not state.path and tag != "VOTABLE":
            raise Refusal(f"its root is {tag[:40]!r}, not VOTABLE")
        state.path.append(tag)
        if len(state.path) > _DEEPEST:
            raise Refusal(f"its elements are nested more than {_DEEPEST} deep")
        if tag in _KEPT_TEXT and not state.over:
            state.text, state.length = [], 0
        opening = _OPENING.get(tag)
        if opening is not None and not state.over:
            opening(self, attributes)

    def _end(self, name: str) -> None:
        state = self._state
        tag = state.path.pop()
        if state.over:
            return
        closing = _CLOSING.get(tag)
        if closing is not None:
            closing(self)
        if tag in _KEPT_TEXT:
            state.text = None

    def _characters(self, text: str) -> None:
        state = self._state
        if state.text is not None:
            state.length += len(text)
            if state.length > LONGEST_ROW:
                raise TooLarge(f"a cell has more than {LONGEST_ROW} characters")
            state.text.append(text)
        elif self._base64 is not None and self._binary is not None:
            self._ready.extend(self._binary.feed(self._base64.feed(text)))

    def _taken_text(self) -> str:
        return "".join(self._state.text or ())

    def _start_table(self, attributes: dict[str, str]) -> None:
        if "ref" not in attributes:
            self._state.in_table = True

    def _start_field(self, attributes: dict[str, str]) -> None:
        if self._state.in_table:
            self._state.raw.append(_RawField(attributes))
            if len(self._state.raw) > self._columns:
                raise TooLarge(f"it has more than {self._columns} columns")

    def _start_values(self, attributes: dict[str, str]) -> None:
        if self._state.path[-2] == "FIELD" and self._state.raw:
            self._state.raw[-1].null = attributes.get("null")

    def _start_data(self, _attributes: dict[str, str]) -> None:
        if self._state.in_table:
            self._begin()

    def _begin(self) -> None:
        raw = self._state.raw
        if not raw:
            raise Refusal("its table has no FIELD")
        names = unique_names([one.attributes for one in raw])
        self.fields = tuple(
            make_field(one.attributes, one.description, one.null, number, name)
            for number, (one, name) in enumerate(zip(raw, names, strict=True), 1)
        )
        self._readers = [text_reader(one) for one in self.fields]
        self._state.begun = True

    def _start_row(self, _attributes: dict[str, str]) -> None:
        self._row = []

    def _start_cell(self, attributes: dict[str, str]) -> None:
        if "encoding" in attributes:
            raise Refusal(f"a TD has an encoding: cells are text without one; {_WAY_OUT}")

    def _start_binary(self, _attributes: dict[str, str]) -> None:
        self._binary = Rows(self.fields, null_flags=self._state.path[-1] == "BINARY2")

    def _start_fits(self, _attributes: dict[str, str]) -> None:
        raise Refusal(f"it is serialized as FITS, which is not read here; {_WAY_OUT}")

    def _start_stream(self, attributes: dict[str, str]) -> None:
        if attributes.get("href"):
            raise Refusal("its STREAM lies elsewhere: the rows must be in the document itself")
        if attributes.get("encoding", "none").strip() != "base64":
            raise Refusal("its STREAM is not encoded in base64")
        self._base64 = Base64()

    def _end_description(self) -> None:
        if self._state.path[-1:] == ["FIELD"] and self._state.raw:
            self._state.raw[-1].description = self._taken_text()

    def _start_info(self, attributes: dict[str, str]) -> None:
        if attributes.get("name") == "QUERY_STATUS" and attributes.get("value") == "ERROR":
            self._state.failure = "its QUERY_STATUS is ERROR"

    def _end_cell(self) -> None:
        number = len(self._row)
        if number >= len(self._readers):
            raise Refusal(f"row {self._count()} has more cells than there are columns")
        try:
            self._row.append(self._readers[number](self._taken_text()))
        except ValueError as error:
            raise cell_refusal(self._count(), self.fields[number], self._taken_text(), error) from error

    def _end_row(self) -> None:
        if len(self._row) != len(self.fields):
            raise Refusal(f"row {self._count()} has {len(self._row)} cells: there are {len(self.fields)} columns")
        self._ready.append(self._row)

    def _count(self) -> int:
        return self.number + len(self._ready) + 1

    def _end_stream(self) -> None:
        if self._base64 is not None and self._binary is not None:
            self._base64.end()
            self._binary.end()
        self._base64 = None

    def _end_table(self) -> None:
        state = self._state
        if state.in_table:
            if not state.begun:
                self._begin()
            state.over = True


def cell_refusal(row: int, field: Field, shown: object, error: ValueError) -> Refusal:
    """Return what is said of a cell whose value is not of its column's type."""
    return Refusal(f"row {row}, column {field.name!r}: {str(shown)[:60]!r} is no {field.datatype} ({error})")


def _refuse_doctype(*_told: object) -> None:
    raise Refusal("it has a document type, which no VOTable needs and this service does not read")


_OPENING: Final[Mapping[str, Callable[[VOTableReader, dict[str, str]], None]]] = {
    "TABLE": VOTableReader._start_table,
    "FIELD": VOTableReader._start_field,
    "VALUES": VOTableReader._start_values,
    "DATA": VOTableReader._start_data,
    "TR": VOTableReader._start_row,
    "TD": VOTableReader._start_cell,
    "BINARY": VOTableReader._start_binary,
    "BINARY2": VOTableReader._start_binary,
    "FITS": VOTableReader._start_fits,
    "STREAM": VOTableReader._start_stream,
    "INFO": VOTableReader._start_info,
}
_CLOSING: Final[Mapping[str, Callable[[VOTableReader], None]]] = {
    "TD": VOTableReader._end_cell,
    "TR": VOTableReader._end_row,
    "STREAM": VOTableReader._end_stream,
    "DESCRIPTION": VOTableReader._end_description,
    "TABLE": VOTableReader._end_table,
}
