"""Which replica is the nearest: where the client is, how near each RSE is, which links it can open, and why."""

from stac_rucio_sync.locality.clients import client_address, networks_of
from stac_rucio_sync.locality.distance import great_circle_km
from stac_rucio_sync.locality.links import link_of
from stac_rucio_sync.locality.places import Locality
from stac_rucio_sync.locality.view import Ranked, View

__all__ = ["Locality", "Ranked", "View", "client_address", "great_circle_km", "link_of", "networks_of"]
