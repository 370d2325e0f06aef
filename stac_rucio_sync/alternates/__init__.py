"""Replicas as alternate assets of STAC items, nearest first: a modifier for pystac-client.

>>> from pystac_client import Client
>>> from stac_rucio_sync.alternates import FromRucio, ReplicaAlternates
>>> modifier = ReplicaAlternates(FromRucio(), site="vienna")  # doctest: +SKIP
>>> client = Client.open("https://stac.example.org/v1", modifier=modifier)  # doctest: +SKIP
"""

from stac_rucio_sync.alternates.lookups import FromMirror, FromRucio, Lookup
from stac_rucio_sync.alternates.modifier import ReplicaAlternates

__all__ = ["FromMirror", "FromRucio", "Lookup", "ReplicaAlternates"]
