"""``catalog``: the commands of the versioned catalogue, each imported when it is called."""

from __future__ import annotations

from typing import Final

import click

from stac_rucio_sync.commands.lazy import LazyGroup, Place

_CONTENTS = "stac_rucio_sync.commands.catalog_contents"
_INGEST = "stac_rucio_sync.commands.catalog_ingest"
_HISTORY = "stac_rucio_sync.commands.catalog_history"
_LARGE = "stac_rucio_sync.commands.catalog_large"
_COPIES = "stac_rucio_sync.commands.catalog_copies"

CATALOG_COMMANDS: Final = {
    "init": Place(_CONTENTS, "init", "Make an empty catalogue in the folder DIR."),
    "ingest": Place(
        _INGEST, "ingest", "Take the products of SOURCE into the catalogue; one whose version is the same is skipped."
    ),
    "prune": Place(_INGEST, "prune", "Remove objects with all below them; earlier versions keep them."),
    "move": Place(_CONTENTS, "move", "Put items below another catalogue or collection, in one commit."),
    "allow": Place(_CONTENTS, "allow", "Say which operations the catalogue allows from now on, or show which."),
    "show-backends": Place(_CONTENTS, "show_backends", "List the ways in which a catalogue can be kept."),
    "show-processors": Place(
        _INGEST,
        "show_processors",
        "List what can make STAC of products: built in, or found as modules and entry points.",
    ),
    "history": Place(_HISTORY, "history", "List the commits, or what became of the objects called ID."),
    "show": Place(_HISTORY, "show", "Show a commit and what it changed, or an object as it was then."),
    "diff": Place(_HISTORY, "diff", "List the objects that differ between two versions, field by field."),
    "rollback": Place(_HISTORY, "rollback", "Make a new commit that holds what an earlier one held."),
    "export": Place(_COPIES, "export", "Write a version as a static catalogue to the folder DIR."),
    "backup": Place(_COPIES, "backup", "Bring a backup at URI in step with the catalogue, history included."),
    "restore": Place(_COPIES, "restore", "Make the catalogue DIR of the backup at URI, history included."),
    "gc": Place(
        "stac_rucio_sync.commands.catalog_garbage", "gc", "Take away what no version holds, and pack the rest."
    ),
    "clone": Place(_LARGE, "clone", "Clone the catalogue SOURCE (git backend) to DIR, with its large files."),
    "lfs-setup": Place(_LARGE, "lfs_setup", "Have Git LFS fetch the large files of the clone DIR from the lake, too."),
    "lfs-agent": Place(_LARGE, "lfs_agent", "Answer Git LFS, which starts this."),
}
"""The commands of ``catalog``."""


@click.group(cls=LazyGroup, places=CATALOG_COMMANDS)
def catalog() -> None:
    """Keep a STAC catalogue with its history: transactions, rollback, backup.

    Every command but init, restore, clone and lfs-… works on the catalogue that -C names, else the one that
    STAC_RUCIO_SYNC_CATALOG names, else the folder where you are.

    \b
    Example:
      stac-rucio-sync catalog init survey
      stac-rucio-sync catalog ingest -C survey images/*.json
      stac-rucio-sync catalog history -C survey
    """
