"""The mirror of Rucio's replicas, kept up to date by looks at Rucio and by the events of Hermes, or made anew."""

from stac_rucio_sync.watch.comparison import Comparison
from stac_rucio_sync.watch.described import Described
from stac_rucio_sync.watch.did_links import DidLinks
from stac_rucio_sync.watch.events import Heard, heard_in
from stac_rucio_sync.watch.rebuild import Rebuild, RebuildReport
from stac_rucio_sync.watch.receiver import Receiver
from stac_rucio_sync.watch.watcher import Look, Watcher

__all__ = [
    "Comparison",
    "Described",
    "DidLinks",
    "Heard",
    "Look",
    "Rebuild",
    "RebuildReport",
    "Receiver",
    "Watcher",
    "heard_in",
]
