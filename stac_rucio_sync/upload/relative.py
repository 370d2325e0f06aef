"""Where files were found: their paths relative to what was named."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class Relative:
    """Tells the paths of files relative to the folders in which the named PATHs lie.

    Parameters
    ----------
    paths
        The PATHs.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._tops = {os.path.abspath(path) for path in paths}  # noqa: PTH100 - resolve() would replace links

    def of(self, path: Path) -> str:
        """Return the path of a file that was found: it begins with the name of the PATH that led to it."""
        top = str(path)
        above = None
        while True:
            if top in self._tops:
                above = os.path.dirname(top)  # noqa: PTH120 - as text: this is done for every file
            parent = os.path.dirname(top)  # noqa: PTH120
            if parent == top:
                break
            top = parent
        return path.name if above is None else os.path.relpath(path, above)
