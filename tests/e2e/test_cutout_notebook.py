"""The notebook on cut-outs, executed cell by cell: cone search, DataLink, SODA, picture."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from tests.e2e.archive import Archive
from tests.e2e.notebooks import executed

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # pyvo leaves its sessions to the collector


def test_the_notebook_runs_against_an_archive(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIVE", archive.url)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    names = executed("cutout.ipynb")

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
