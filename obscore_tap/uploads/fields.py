"""Columns of an uploaded VOTable: what a FIELD becomes (VOTable 1.4 section 4.1, DALI 1.1 section 3.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Final

from obscore_tap.adql.words import RESERVED_WORDS
from obscore_tap.refusals import Refusal
from obscore_tap.schema import Column, Datatype

_SIZES: Final = {
    "boolean": 1, "bit": 1, "unsignedByte": 1, "short": 2, "int": 4, "long": 8, "char": 1, "unicodeChar": 2,
    "float": 4, "double": 8, "floatComplex": 8, "doubleComplex": 16,
}  # fmt: skip
"""Bytes of one element in BINARY; of bits, eight share one."""
_SCALARS: Final = {
    "boolean": Datatype.BOOLEAN, "bit": Datatype.SMALLINT, "unsignedByte": Datatype.SMALLINT,
    "short": Datatype.SMALLINT, "int": Datatype.INTEGER, "long": Datatype.BIGINT, "float": Datatype.REAL,
    "double": Datatype.DOUBLE, "floatComplex": Datatype.DOUBLES, "doubleComplex": Datatype.DOUBLES,
}  # fmt: skip
_ARRAYS: Final = {
    "boolean": Datatype.TEXT, "bit": Datatype.TEXT, "unsignedByte": Datatype.BLOB, "short": Datatype.INTEGERS,
    "int": Datatype.INTEGERS, "long": Datatype.TEXT, "float": Datatype.DOUBLES, "double": Datatype.DOUBLES,
    "floatComplex": Datatype.DOUBLES, "doubleComplex": Datatype.DOUBLES,
}  # fmt: skip
"""Arrays that no type of a result can carry without loss become the text that TABLEDATA has for them."""
_SHAPES: Final = {"point": (Datatype.POINT, 2), "circle": (Datatype.CIRCLE, 3), "interval": (Datatype.INTERVAL, 2)}
_DIMENSIONS: Final = re.compile(r"(?:[0-9]{1,9}x)*(?:[0-9]{1,9}\*?|\*)")
_REGULAR: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Field:
    """A FIELD, and the column that it becomes."""

    name: str
    """For errors."""
    datatype: str
    """Of VOTable."""
    length: int | None
    """Elements of each value; None where it varies."""
    scalar: bool
    null: str | None
    """The text that stands for null (VALUES null)."""
    column: Column

    @property
    def element_bytes(self) -> int:
        """Return the bytes of one element in BINARY and BINARY2."""
        return _SIZES[self.datatype]

    @property
    def is_text(self) -> bool:
        """Tell whether a value is a string, whatever it becomes."""
        return self.datatype in ("char", "unicodeChar")


def make_field(attributes: Mapping[str, str], description: str, null: str | None, number: int, name: str) -> Field:
    """Return what a FIELD element says.

    Parameters
    ----------
    attributes
        Of the element.
    description
        Text of its DESCRIPTION.
    null
        Attribute of its VALUES.
    number
        Its place among the FIELDs, from 1.
    name
        What the column is called (see `unique_names`).

    Raises
    ------
    Refusal
        Its datatype or its arraysize is none of VOTable's.
    """
    datatype = attributes.get("datatype", "").strip()
    if datatype not in _SIZES:
        raise Refusal(f"column {name!r} has the datatype {datatype[:40]!r}, which VOTable does not know")
    length, scalar = _length(attributes.get("arraysize", "").strip(), name)
    xtype = attributes.get("xtype", "").strip()
    column = Column(
        name=_identifier(name),
        datatype=_target(datatype, length, scalar, xtype),
        description=" ".join(description.split()),
        ucd=attributes.get("ucd", "").strip(),
        unit=attributes.get("unit", "").strip(),
        utype=attributes.get("utype", "").strip(),
        xtype=xtype,
        unicode=datatype == "unicodeChar",
        expression=f"c{number}",
    )
    return Field(name, datatype, length, scalar, null, column)


def with_unicode(column: Column) -> Column:
    """Return a column that turned out to hold more than ASCII."""
    return replace(column, unicode=True)


def unique_names(fields: Sequence[Mapping[str, str]]) -> list[str]:
    """Return what the columns are called: their names, or their IDs; a name that comes again gets a number.

    VOTable lets FIELDs share a name, a table of a query does not.
    """
    names: list[str] = []
    for number, attributes in enumerate(fields, 1):
        name = (attributes.get("name") or attributes.get("ID") or f"column_{number}").strip()[:_LONGEST_NAME]
        again = name = "".join(letter if letter.isprintable() else "_" for letter in name) or f"column_{number}"
        count = 1
        while again in names:
            count += 1
            again = f"{name}_{count}"
        names.append(again)
    return names


def _identifier(name: str) -> str:
    """Return a name as ADQL writes it: delimited where it is no regular identifier."""
    if _REGULAR.fullmatch(name) and name.upper() not in RESERVED_WORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def _length(arraysize: str, name: str) -> tuple[int | None, bool]:
    if not arraysize:
        return 1, True
    if not _DIMENSIONS.fullmatch(arraysize):
        raise Refusal(f"column {name!r} has the arraysize {arraysize[:40]!r}, which VOTable does not know")
    if arraysize.endswith("*"):
        return None, False
    length = prod(int(size) for size in arraysize.split("x"))
    return length, False


def _target(datatype: str, length: int | None, scalar: bool, xtype: str) -> Datatype:
    if datatype in ("char", "unicodeChar"):
        if xtype in ("timestamp", "adql:TIMESTAMP"):
            return Datatype.TIMESTAMP
        return Datatype.POINT if xtype == "adql:POINT" else Datatype.TEXT
    if datatype in ("float", "double") and not scalar:
        shape = _SHAPES.get(xtype)
        if shape is not None and length in (shape[1], None):
            return shape[0]
        if xtype == "polygon":
            return Datatype.POLYGON
    if datatype in ("short", "int") and xtype == "interval" and length in (2, None):
        return Datatype.INTERVAL
    return _SCALARS[datatype] if scalar else _ARRAYS[datatype]
