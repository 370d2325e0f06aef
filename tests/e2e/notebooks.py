"""Notebooks of the examples, executed as a reader would: cell by cell, in one set of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

EXAMPLES = Path(__file__).parents[2] / "examples"


def executed(name: str) -> dict[str, Any]:
    """Return the names that a notebook leaves."""
    names: dict[str, Any] = {}
    for cell in orjson.loads((EXAMPLES / name).read_bytes())["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {cell['id']}", "exec"), names)  # noqa: S102 - ours
    return names
