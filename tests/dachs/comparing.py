"""The same rows from two servers, however each of them writes them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from astropy.table import Table

TABLES = {
    "obscore": "ivoa.obscore",
    "epn_core": "epn.epn_core",
    "file": "lake.file",
    "replica": "lake.replica",
    "rse": "lake.rse",
}
"""DaCHS's names without their schema, and ours."""
_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+")
_KEYS = ("granule_uid", "obs_publisher_did", "asset", "rse")


def rows(service: Any, query: str) -> Table:
    """All rows, in the order of their keys."""
    found = service.search(query, maxrec=100_000).to_table()
    found.sort([name for name in _KEYS if name in found.colnames])
    return found


def value(cell: Any) -> Any:
    """A cell as plain Python: null, text, number, or vertices, however the region was written."""
    if cell is None or cell is np.ma.masked or (isinstance(cell, float | np.floating) and np.isnan(cell)):
        return None
    if isinstance(cell, np.ndarray):
        return [float(number) for number in cell] or None
    if isinstance(cell, str | np.str_):
        if cell.upper().startswith("POLYGON ICRS ") or cell.startswith("POLYGON UNKNOWNFRAME "):
            return [float(number) for number in cell.split()[2:]]
        if _SECONDS.fullmatch(cell):
            return cell.rstrip("0").rstrip(".")  # DaCHS writes all six digits of a fraction
        return None if cell.startswith("CIRCLE ") else str(cell) or None  # a VOTable has no other null text
    return cell.item() if isinstance(cell, np.generic) else cell


def same(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, float | list) and isinstance(other, float | list):
        return np.shape(one) == np.shape(other) and bool(np.allclose(one, other, rtol=tolerance, atol=1e-9))
    return bool(one == other)


def assert_same_rows(theirs: Table, ours: Table, tolerance: float = 1e-13) -> None:
    assert theirs.colnames == ours.colnames
    assert len(theirs) == len(ours) > 0
    for name in ours.colnames:
        for got, wanted in zip(theirs[name], ours[name], strict=True):
            assert same(value(got), value(wanted), tolerance), (name, got, wanted)
