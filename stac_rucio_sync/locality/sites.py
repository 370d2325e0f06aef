"""The sites: which RSEs are at one, and where it lies. Names of sites are compared without regard to case."""

from __future__ import annotations

from collections.abc import Mapping

from stac_rucio_sync.locality.distance import Point, point_of
from stac_rucio_sync.model.found import Rse
from stac_rucio_sync.settings import Coordinates


class Sites:
    """What is known of sites.

    Parameters
    ----------
    rses
        The RSEs by name.
    coordinates
        Where the settings say that sites lie; that goes before what a site's RSEs say of it.
    others
        Sites that are known by name only.
    """

    def __init__(
        self, rses: Mapping[str, Rse], coordinates: Mapping[str, Coordinates], others: tuple[str, ...] = ()
    ) -> None:
        self._names: dict[str, str] = {}
        self._rses: dict[str, list[str]] = {}
        self._points: dict[str, Point] = {}
        for site, place in coordinates.items():
            self._points[self._known(site)] = (place.latitude, place.longitude)
        for name, rse in sorted(rses.items()):
            if rse.site:
                key = self._known(rse.site)
                self._rses.setdefault(key, []).append(name)
                point = point_of(rse.latitude, rse.longitude)
                if point is not None:
                    self._points.setdefault(key, point)
        for site in others:
            self._known(site)

    def _known(self, site: str) -> str:
        key = _key(site)
        self._names.setdefault(key, site.strip())
        return key

    def names(self) -> list[str]:
        """Return the names of all sites, sorted."""
        return sorted(self._names.values())

    def name_of(self, site: str) -> str | None:
        """Return a site's name as it was first written; None where no such site is known."""
        return self._names.get(_key(site))

    def are_one(self, site: str, other: str | None) -> bool:
        """Tell whether two names are of one site."""
        return other is not None and _key(site) == _key(other)

    def rses_at(self, site: str | None) -> tuple[str, ...]:
        """Return the names of a site's RSEs."""
        return () if site is None else tuple(self._rses.get(_key(site), ()))

    def point_of(self, site: str | None) -> Point | None:
        """Return where a site lies: as the settings say, else as the first of its RSEs that says it."""
        return None if site is None else self._points.get(_key(site))

    def point_of_rse(self, rse: Rse) -> Point | None:
        """Return where an RSE lies: as it says itself, else as its site does. One coordinate alone says nothing."""
        return point_of(rse.latitude, rse.longitude) or self.point_of(rse.site)


def _key(site: str) -> str:
    return site.strip().casefold()
