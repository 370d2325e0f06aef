"""Which replica is the nearest: where the client is, how near each RSE is, which links it can open, and why."""

from stac_rucio_sync.locality.clients import Network, client_address, client_network, networks_of
from stac_rucio_sync.locality.distance import great_circle_km
from stac_rucio_sync.locality.links import link_of
from stac_rucio_sync.locality.places import Locality
from stac_rucio_sync.locality.view import Ranked, View

__all__ = [
    "Locality",
    "Network",
    "Ranked",
    "View",
    "client_address",
    "client_network",
    "great_circle_km",
    "link_of",
    "networks_of",
]
