"""Which link an HTTP client opens to read a replica."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

from stac_rucio_sync.addresses import origin_of, without_default_port
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.settings import Locality

_OPENED_AS: Final[Mapping[str, str]] = {"https": "https", "http": "http", "davs": "https", "dav": "http"}
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\\]*)([/?#].*)?", re.DOTALL | re.ASCII)
_BRACKETED = re.compile(r"\[[0-9a-f:.]+\](:[0-9]{1,5})?")
_NOT_OF_A_URL = re.compile(r"[^!#-;=?-\[\]_a-z~]")
_STORAGE_PATH = re.compile(r"[?&]SFN=([^&]*)")


def link_of(pfn: str, rse: str, settings: Locality) -> str | None:
    """Return the link by which an HTTP client reads a replica; None where there is none.

    Parameters
    ----------
    pfn
        The replica's address as Rucio tells it.
    rse
        Name of its RSE.
    settings
        The ``[locality]`` section: schemes that clients open, gateways.

    See Also
    --------
    Links.of : says how.
    """
    return Links(settings).of(pfn, rse)


class Links:
    """Makes links by the settings.

    Parameters
    ----------
    settings
        The ``[locality]`` section.

    Raises
    ------
    UsageError
        A gateway is no http or https URL that paths go behind, or stands for no server.
    """

    def __init__(self, settings: Locality) -> None:
        opened = [_OPENED_AS[scheme] for scheme in map(str.lower, settings.schemes) if scheme in _OPENED_AS]
        self._preference = {scheme: opened.index(scheme) for scheme in opened}
        self._gateways = dict(_gateway(*entry) for entry in settings.gateways.items())

    def of(self, pfn: str, rse: str) -> str | None:
        """Return the link to a replica, or None.

        ``davs`` is opened as ``https`` and ``dav`` as ``http`` (WebDAV is HTTP, RFC 4918); other schemes only through a
        gateway, which goes before the replica's own server. User and password are never a part of a link. A query stays
        as it is, signatures too; a gateway does not get it, for it was made for the replica's own server.
        """
        matched = _ADDRESS.fullmatch(pfn)
        if matched is None:
            return None
        scheme, authority, rest = matched[1].lower(), matched[2].rpartition("@")[2], matched[3] or ""
        if self._gateways:
            gateway = self._gateways.get(rse) or self._gateways.get(origin_of(f"{scheme}://{authority}") or "")
            if gateway is not None:
                return _behind(gateway, scheme, rest)
        opened_as = _OPENED_AS.get(scheme)
        if opened_as not in self._preference:
            return None
        server = _server(opened_as, authority)
        return None if server is None else server + _escaped(rest)

    def preference(self, link: str) -> int:
        """Return the place of a link's scheme among those that clients open; the number of them where it is none."""
        return self._preference.get(link.partition(":")[0], len(self._preference))


def _gateway(stands_for: str, prefix: str) -> tuple[str, str]:
    """Return a gateway by its RSE or ``scheme://host:port``, without a slash at its end."""
    scheme, _, rest = prefix.partition("://")
    if scheme not in ("https", "http") or origin_of(prefix) is None or re.search(r"[?#@]", rest):
        raise UsageError(f"setting locality.gateways: {prefix!r} is no http or https URL that paths go behind")
    key = origin_of(stands_for) if "://" in stands_for else stands_for
    if key is None:
        raise UsageError(f"setting locality.gateways: {stands_for!r} is no RSE and no scheme://host[:port]")
    return key, prefix.rstrip("/")


@lru_cache(maxsize=1024)
def _server(scheme: str, authority: str) -> str | None:
    """Return ``scheme://host[:port]`` without a default port; None where the authority is none."""
    if _BRACKETED.fullmatch(authority.lower()):
        return without_default_port(f"{scheme}://{authority.lower()}")
    origin = origin_of(f"{scheme}://{authority}")
    return None if origin is None else without_default_port(origin)


def _behind(gateway: str, scheme: str, rest: str) -> str | None:
    """Put the path of a replica behind a gateway's prefix; None where it would lead out of it."""
    storage_path = _STORAGE_PATH.search(rest) if scheme == "srm" else None
    path = storage_path[1] if storage_path else re.split(r"[?#]", rest, maxsplit=1)[0]
    if ".." in re.split(r"[/\\]", unquote(path)):
        return None
    return f"{gateway}/{_escaped(path.lstrip('/'))}"


def _escaped(rest: str) -> str:
    """Percent-encode what may not stand in a URL (RFC 3986 §2); what is encoded already stays."""
    return _NOT_OF_A_URL.sub(lambda found: quote(found[0], safe="", errors="surrogatepass"), rest)
