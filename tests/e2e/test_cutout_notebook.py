"""The notebook on cut-outs, executed cell by cell: cone search, DataLink, SODA, picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from astropy.wcs import WCS

from tests.e2e.archive import Archive

NOTEBOOK = Path(__file__).parents[2] / "examples" / "cutout.ipynb"
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pyvo leaves its sessions to the collector


@pytest.fixture(scope="module")
def notebook() -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(NOTEBOOK.read_bytes())
    return read


def test_the_notebook_is_stored_clean(notebook: dict[str, Any]) -> None:
    """nbformat 4.5: every cell has an id of its own; what a run left is nobody's business."""
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]


def test_the_notebook_runs_against_an_archive(
    notebook: dict[str, Any], archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE", archive.url)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {cell['id']}", "exec"), names)  # noqa: S102 - ours

    star = names["cutouts"][names["largest"]]
    assert WCS(star.header).footprint_contains(names["STAR"])
    brightest = np.unravel_index(np.argmax(star.data), star.data.shape)[::-1]
    assert WCS(star.header).world_to_pixel(names["STAR"]) == pytest.approx(brightest, abs=1.0)
    assert [part.data.shape[0] for part in names["channels"]] == [4, 4, 4]
    figure = names["figure"]
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    assert len(figure.axes) == 4
    for axes in figure.axes:  # each picture is one of many brightnesses
        left, bottom, right, top = (int(one) for one in axes.get_window_extent().extents)
        inside = drawn[len(drawn) - top : len(drawn) - bottom, left:right].reshape(-1, 3)
        assert len(np.unique(inside, axis=0)) > 30
    names["plt"].close(figure)
