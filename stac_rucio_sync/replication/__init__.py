"""Copies of what a search found: rules on items or on chosen assets, their states, and the files themselves."""

from stac_rucio_sync.replication.session import Fetched, Replication

__all__ = ["Fetched", "Replication"]
