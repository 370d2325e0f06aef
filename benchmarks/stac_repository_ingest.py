"""Run by a Python that has stac-repository: ingest a folder of items with its file backend, and print the seconds.

``python stac_repository_ingest.py SOURCES PLACE``; SOURCES holds catalog.json, which becomes the root, and items/.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from stac_repository.file.file_stac_repository import (  # type: ignore[import-not-found] # in its own environment only
    FileStacConfig,
    FileStacRepository,
)


def main() -> None:
    """Ingest the root, then the items below it; say how long the items took and how many there are in the end."""
    sources, place = Path(sys.argv[1]), Path(sys.argv[2])
    repository = FileStacRepository(FileStacConfig(path=str(place)))
    for _ in repository.ingest(str(sources / "catalog.json")):
        pass
    started = time.perf_counter()
    for _ in repository.ingest(str(sources / "items"), parent_id="archive"):
        pass
    taken = time.perf_counter() - started
    held = sum(1 for path in place.rglob("*.json") if path.name.startswith("scene-"))
    print(taken, held)


if __name__ == "__main__":
    main()
