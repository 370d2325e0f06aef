"""The table of what came into the lake, for ``butler ingest-files``: addresses, and what tells the datasets apart.

ECSV (https://github.com/astropy/astropy-APEs/blob/main/APE6.rst). The first column is the address of a file, the others
are dimensions. They come from a template that the paths fit, or from the files' metadata: of a Butler's dataset
reference its data ID, else all keys with one plain value.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice
from pathlib import Path
from string import Formatter
from typing import Any, Final

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import Uploaded
from stac_rucio_sync.upload.rubin import data_id, reference_in

FILENAME: Final = "filename"
_AT_A_TIME: Final = 10_000
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

Row = tuple[Uploaded, Mapping[str, Any]]


@dataclass(slots=True)
class TableReport:
    """What a table holds."""

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """Files of the lake that are not in it, by the reason."""


class PathTemplate:
    """A pattern of paths in which fields stand for columns: ``{instrument}/{visit:d}_{detector:d}.fits``.

    A field takes letters up to the next ``/``; with ``:d`` it is a whole number. The template fits the end of a path.

    Parameters
    ----------
    template
        The pattern.

    Raises
    ------
    UsageError
        It is none.
    """

    def __init__(self, template: str) -> None:
        try:
            parts = list(Formatter().parse(template))
        except ValueError as error:
            raise UsageError(f"the table's template {template!r} cannot be read: {error}") from error
        self._numbers: set[str] = set()
        pattern = "(?:.*/)?"
        self.columns: list[str] = []
        for literal, name, spec, conversion in parts:
            pattern += re.escape(literal)
            if name is None:
                continue
            if not _NAME.fullmatch(name) or spec not in ("", "d") or conversion or name in (*self.columns, FILENAME):
                raise UsageError(
                    f"the table's template {template!r}: a field is {{name}}, or {{name:d}} for a whole number, each "
                    f"once, and not {FILENAME}"
                )
            self.columns.append(name)
            self._numbers |= {name} if spec else set()
            pattern += f"(?P<{name}>{'[0-9]+' if spec else '[^/]+?'})"
        self._pattern = re.compile(pattern, re.DOTALL)

    def read(self, relative: str) -> dict[str, Any]:
        """Return the columns of a file by its path; empty: the path does not fit."""
        fitting = self._pattern.fullmatch(relative)
        found = {} if fitting is None else fitting.groupdict()
        return {name: int(text) if name in self._numbers else text for name, text in found.items()}


def columns_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what metadata say of a file in plain values."""
    reference = reference_in(metadata)
    said = metadata if reference is None else data_id(reference)
    return {name: value for name, value in said.items() if isinstance(value, bool | int | float | str)}


def write_table(file: Path, rows: Callable[[], Iterable[Row]], columns: Sequence[str] | None) -> TableReport:
    """Write a table, whole or not at all.

    Parameters
    ----------
    file
        Where it is to lie; what is there is replaced.
    rows
        Gives the files, each with its columns; it is called twice, for names and types of all columns must be known
        before the first line is written.
    columns
        The columns; None: all that any file has.

    Raises
    ------
    FatalError
        It cannot be written.
    """
    kinds = _kinds(rows(), columns)
    report = TableReport()
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as opened:
            lines = _complete(rows(), kinds, report)
            part_of_rows = list(islice(lines, _AT_A_TIME))
            opened.writelines(_text(part_of_rows, kinds, whole=True))
            while part_of_rows:
                report.rows += len(part_of_rows)
                part_of_rows = list(islice(lines, _AT_A_TIME))
                opened.writelines(_text(part_of_rows, kinds, whole=False))
        os.replace(part, file)  # noqa: PTH105 - as the other places where files come whole
    except OSError as error:
        part.unlink(missing_ok=True)
        raise FatalError(f"the table {file} cannot be written: {error.strerror or error}") from error
    return report


def _kinds(rows: Iterable[Row], columns: Sequence[str] | None) -> dict[str, type]:
    """Return the columns with the narrowest type that holds all values."""
    met: dict[str, set[type]] = {name: set() for name in columns or ()}
    for uploaded, said in rows:
        for name, value in said.items() if uploaded.fate.in_lake else ():
            if columns is None or name in met:
                met.setdefault(name, set()).add(type(value))
    met.pop(FILENAME, None)
    return {name: _narrowest(types) for name, types in met.items()}


def _narrowest(types: set[type]) -> type:
    if len(types) == 1:
        return next(iter(types))
    return float if types and types <= {int, float} else str


def _complete(rows: Iterable[Row], kinds: Mapping[str, type], report: TableReport) -> Iterator[list[Any]]:
    for uploaded, said in rows:
        if not uploaded.fate.in_lake:
            continue
        lacking = [name for name in kinds if name not in said]
        if uploaded.pfn is None:
            report.left_out[f"no protocol reads from {uploaded.rse}"] += 1
        elif lacking:
            report.left_out[f"no value for {', '.join(lacking)}"] += 1
        else:
            yield [uploaded.pfn, *(kind(said[name]) for name, kind in kinds.items())]


def _text(rows: Sequence[Sequence[Any]], kinds: Mapping[str, type], *, whole: bool) -> Iterator[str]:
    """Yield the lines of a part of the table; that of the first one has the header."""
    from astropy.table import Table  # noqa: PLC0415 - it takes half a second to load

    names, types = [FILENAME, *kinds], [str, *kinds.values()]
    table = Table(rows=rows or None, names=names, dtype=types)
    written = StringIO()
    table.write(written, format="ascii.ecsv")
    lines = written.getvalue().splitlines(keepends=True)
    body = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    yield from lines if whole else lines[body + 1 :]
