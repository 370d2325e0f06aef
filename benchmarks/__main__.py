"""Run the benchmarks on a lake of their own: ``python -m benchmarks [NAME ...]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.alternates import alternates
from benchmarks.datalink import datalink
from benchmarks.figures import Figure
from benchmarks.growth import memory, through
from benchmarks.mapping import mapping, unchanged
from benchmarks.registering import registering
from benchmarks.rows import rows
from benchmarks.tap import ROWS, tap
from benchmarks.trigger import trigger
from benchmarks.verify import verify
from stac_rucio_sync.lake import Lake, running_settings
from stac_rucio_sync.lake.home import default_home
from stac_rucio_sync.settings import Settings, load_settings

BENCHMARKS: dict[str, Callable[[Settings], list[Figure]]] = {
    "mapping": mapping,
    "unchanged": unchanged,
    "rows": rows,
    "trigger": trigger,
    "registering": registering,
    "verify": verify,
    "tap": tap,
    "alternates": alternates,
    "datalink": datalink,
}
LONG: dict[str, Callable[[Settings], list[Figure]]] = {"memory": memory, "through": through}
"""Ten minutes each: run where they are named."""
EVERY = BENCHMARKS | LONG


def main() -> None:
    """Print one line a figure; leave with 1 when one is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*EVERY, []], metavar="NAME", help=", ".join(EVERY))
    parser.add_argument("--home", type=Path, default=default_home().with_name("bench-lake"), help="home of the lake")
    parser.add_argument("--rows", type=int, default=ROWS, help="rows of ObsCore that `tap` is measured on")
    arguments = parser.parse_args()
    lake = Lake(arguments.home, say=lambda step: print(step, file=sys.stderr))
    lake.reset()
    lake.up()
    try:
        settings = load_settings(lake_settings=running_settings(arguments.home))
        figures = []
        for name in arguments.names or BENCHMARKS:
            benchmark = partial(tap, rows=arguments.rows) if name == "tap" else EVERY[name]
            for figure in benchmark(settings):
                print(figure, flush=True)
                figures.append(figure)
    finally:
        lake.down()
    if not all(figure.met for figure in figures):
        sys.exit(1)


if __name__ == "__main__":
    main()
