"""Where a client is."""

from __future__ import annotations

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.locality.clients import SiteNetworks, address_of
from stac_rucio_sync.locality.distance import Point, point_of
from stac_rucio_sync.locality.links import Links
from stac_rucio_sync.locality.maxmind import maxmind_file
from stac_rucio_sync.locality.sites import Sites
from stac_rucio_sync.locality.view import View
from stac_rucio_sync.model.held import Place, Topology
from stac_rucio_sync.settings import Locality as LocalitySettings

_NAMED_SITES = 20


class Locality:
    """The one policy of what is near, for DataLink, the alternate assets and the command line alike.

    Parameters
    ----------
    settings
        The ``[locality]`` section.
    topology
        The RSEs and their declared distances, as the mirror or Rucio tells them.

    Raises
    ------
    UsageError
        A network, a gateway or the MaxMind file of the settings is wrong.
    """

    def __init__(self, settings: LocalitySettings, topology: Topology) -> None:
        self._topology = topology
        self._networks = SiteNetworks(settings.networks)
        self._sites = Sites(topology.rses, settings.sites, tuple(settings.networks.values()))
        self._links = Links(settings)
        self._maxmind = maxmind_file(settings.maxmind) if settings.maxmind is not None else None

    def place(
        self,
        *,
        site: str | None = None,
        rse: str | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
        address: str | None = None,
    ) -> Place:
        """Return where a client is: the first of site, RSE, coordinates and address that is given tells.

        Coordinates beside a site or an RSE say where the client is at it. What is empty is not given.

        Parameters
        ----------
        site
            A site by its name, in any case.
        rse
            An RSE that the client is next to.
        latitude, longitude
            Degrees north and east, both or neither. Zero is a real coordinate.
        address
            IPv4 or IPv6 address: the smallest network of the settings tells the site, else the MaxMind file the
            coordinates.

        Raises
        ------
        UsageError
            The site or RSE is unknown, a coordinate stands alone or is out of range, the address is none.
        """
        given = _given(latitude, longitude)
        if site and site.strip():
            return self._at_site(site, given)
        if rse and rse.strip():
            return self._at_rse(rse.strip(), given)
        if given is not None:
            return Place(latitude=given[0], longitude=given[1], told_by="LAT and LON")
        return self._at_address(address.strip()) if address and address.strip() else Place()

    def seen_from(self, place: Place) -> View:
        """Return the lake as it is seen from a place."""
        return View(place, self._topology, self._sites, self._links)

    def _at_site(self, site: str, given: Point | None) -> Place:
        known = self._sites.name_of(site)
        if known is None:
            raise UsageError(f"no site is called {site.strip()!r}; there {self._known_sites()}")
        latitude, longitude = given or self._sites.point_of(known) or (None, None)
        return Place(known, None, latitude, longitude, "SITE")

    def _known_sites(self) -> str:
        names = self._sites.names()
        if not names:
            return "is none: no RSE has the attribute site, and the settings name none"
        more = f" and {len(names) - _NAMED_SITES} more" if len(names) > _NAMED_SITES else ""
        return f"are {', '.join(names[:_NAMED_SITES])}{more}"

    def _at_rse(self, name: str, given: Point | None) -> Place:
        rse = self._topology.rses.get(name) or self._topology.rses.get(name.upper())
        if rse is None:
            raise UsageError(f"no RSE is called {name!r}")
        latitude, longitude = given or self._sites.point_of_rse(rse) or (None, None)
        return Place(rse.site, rse.rse, latitude, longitude, "RSE")

    def _at_address(self, text: str) -> Place:
        address = address_of(text)
        if address is None:
            raise UsageError(f"{text!r} is no IPv4 or IPv6 address")
        located = self._maxmind.find(address) if self._maxmind is not None else None
        network = self._networks.find(address)
        if network is not None:
            site = self._sites.name_of(network[1]) or network[1]
            latitude, longitude = self._sites.point_of(site) or located or (None, None)
            return Place(site, None, latitude, longitude, f"the network {network[0]}")
        if located is not None:
            return Place(latitude=located[0], longitude=located[1], told_by="the MaxMind file")
        return Place()


def _given(latitude: float | None, longitude: float | None) -> Point | None:
    if latitude is None and longitude is None:
        return None
    if latitude is None or longitude is None:
        missing = "latitude" if latitude is None else "longitude"
        raise UsageError(f"a place needs both coordinates: the {missing} is missing")
    point = point_of(latitude, longitude)
    if point is None:
        raise UsageError(
            f"{latitude:g}, {longitude:g} is no place: a latitude is -90 to 90 degrees, a longitude -180 to 180"
        )
    return point
