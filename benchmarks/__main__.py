"""Run the benchmarks on a lake of their own: ``python -m benchmarks [NAME ...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from benchmarks.alternates import alternates
from benchmarks.catalog import catalog, stac_repository
from benchmarks.datalink import datalink
from benchmarks.figures import Figure
from benchmarks.growth import memory, through
from benchmarks.mapping import mapping, unchanged
from benchmarks.registering import registering
from benchmarks.rows import rows
from benchmarks.sizing import sizing
from benchmarks.soda import soda
from benchmarks.tap import ROWS, tap
from benchmarks.trigger import trigger
from benchmarks.upload import upload
from benchmarks.verify import verify
from stac_rucio_sync.lake import Lake, running_settings
from stac_rucio_sync.lake.home import default_home
from stac_rucio_sync.settings import Settings, load_settings

BENCHMARKS: dict[str, Callable[[Settings], Iterable[Figure]]] = {
    "mapping": mapping,
    "unchanged": unchanged,
    "rows": rows,
    "trigger": trigger,
    "registering": registering,
    "verify": verify,
    "tap": tap,
    "alternates": alternates,
    "datalink": datalink,
    "soda": soda,
    "upload": upload,
}
LONG: dict[str, Callable[[Settings], Iterable[Figure]]] = {"memory": memory, "through": through, "sizing": sizing}
ALONE: dict[str, Callable[[], Iterable[Figure]]] = {"catalog": catalog, "stac-repository": stac_repository}
"""They need no lake."""
BY_NAME = {*LONG, "stac-repository"}
"""Minutes each: run where they are named."""


def main() -> None:
    """Print one line a figure; leave with 1 when one is missed."""
    every = [*BENCHMARKS, *ALONE, *LONG]
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*every, []], metavar="NAME", help=", ".join(every))
    parser.add_argument("--home", type=Path, default=default_home().with_name("bench-lake"), help="home of the lake")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of ObsCore for `tap` and `sizing`")
    parser.add_argument("--keep", action="store_true", help="keep the last run's lake, and its rows for `tap`")
    arguments = parser.parse_args()
    names = arguments.names or [name for name in every if name not in BY_NAME]
    met = [_printed(ALONE[name]()) for name in names if name in ALONE]
    on_lake = [name for name in names if name not in ALONE]
    if on_lake:
        met += _on_lake(on_lake, arguments.home, arguments.rows, keep=arguments.keep)
    if not all(met):
        sys.exit(1)


def _on_lake(names: list[str], home: Path, rows: int, *, keep: bool) -> list[bool]:
    """Run benchmarks on a lake, fresh if not kept; tell of each whether all its figures were met."""
    lake = Lake(home, say=lambda step: print(step, file=sys.stderr))
    if not keep:
        lake.reset()
    lake.up()
    try:
        settings = load_settings(lake_settings=running_settings(home))
        benchmarks = BENCHMARKS | LONG | {"tap": partial(tap, rows=rows), "sizing": partial(sizing, rows=rows)}
        return [_printed(benchmarks[name](settings)) for name in names]
    finally:
        lake.down()


def _printed(figures: Iterable[Figure]) -> bool:
    """Print figures as they come; tell whether all are met."""
    met = True
    for figure in figures:
        print(figure, flush=True)
        met = met and figure.met
    return met


if __name__ == "__main__":
    main()
