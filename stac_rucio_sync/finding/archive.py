"""Find data products of an archive, by TAP or by a STAC search, and ask its DataLink where their copies are."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests

from stac_rucio_sync.addresses import is_http, leads_inside
from stac_rucio_sync.errors import FatalError, ItemError, TransientError, UsageError
from stac_rucio_sync.finding.copies import Checks, Copy, Nearest
from stac_rucio_sync.http import Http
from stac_rucio_sync.mapping.identifiers import decode, did_of_publisher_did
from stac_rucio_sync.model import ItemKey
from stac_rucio_sync.parts import in_parts

if TYPE_CHECKING:
    from astropy.table import Table

AT_ONCE: Final = 500
"""Data products in one question: services limit the length of a query, and the rows of an answer."""
_MANY: Final = 1_000_000
"""Rows: more than so many products have files."""


class Archive:
    """The services of one archive: TAP and DataLink below one base URL.

    Parameters
    ----------
    url
        Base URL of the services, as their front page has it.

    Raises
    ------
    UsageError
        It is no http or https URL, or pyvo is not installed.
    """

    def __init__(self, url: str) -> None:
        if not is_http(url) or not urlsplit(url).hostname:
            raise UsageError(f"{url!r} is no http or https URL of an archive")
        try:
            import pyvo  # noqa: F401, PLC0415 - an extra, and half a second of imports
        except ImportError as error:
            raise UsageError("finding needs pyvo: pip install 'stac-rucio-sync[vo]'") from error
        self.url = url.rstrip("/")

    def query(self, adql: str) -> Found:
        """Find data products by a query to TAP; the answer must have the column ``obs_publisher_did``.

        Raises
        ------
        UsageError
            The query is wrong, or does not select ``obs_publisher_did``.
        FatalError, TransientError
            The service does not answer.
        """
        table = self._tap(adql)
        if "obs_publisher_did" not in table.colnames:
            raise UsageError("the query must select obs_publisher_did: it says which data products were found")
        ids = dict.fromkeys(str(value) for value in table["obs_publisher_did"] if value)
        return Found(self, tuple(ids), table)

    def search(self, api: str, **search: Any) -> Found:  # noqa: ANN401 - what pystac-client takes
        """Find data products by a search of a STAC API, with the arguments of pystac-client's ``Client.search``.

        Items that the archive does not hold are in ``found.unknown``.

        Raises
        ------
        FatalError, TransientError
            The API or the archive does not answer.
        """
        from pystac_client import Client  # noqa: PLC0415 - a second of imports
        from pystac_client.exceptions import APIError  # noqa: PLC0415 - as above

        try:
            items = list(Client.open(api).search(**search).items_as_dicts())
        except (APIError, requests.RequestException) as error:
            raise FatalError(f"{api} does not answer as a STAC API: {error}") from error
        return self.of_items(items)

    def of_items(self, items: Iterable[Any]) -> Found:
        """Find the data products of STAC items (pystac items, or their dicts) that were found otherwise."""
        named: dict[str, dict[str, list[ItemKey]]] = {}
        keys: dict[ItemKey, str | None] = {}
        for item in items:
            stac = item if isinstance(item, Mapping) else item.to_dict(include_self_link=False)
            properties = stac.get("properties") or {}
            key = ItemKey(str(stac.get("collection") or ""), str(stac["id"]))
            if key not in keys:
                keys[key] = None
                collection = str(properties.get("obs_collection") or key.collection)
                named.setdefault(collection, {}).setdefault(str(properties.get("obs_id") or key.id), []).append(key)
        for collection, by_id in named.items():
            for part in in_parts(by_id, AT_ONCE):
                where = f"obs_collection = {_quoted(collection)} AND obs_id IN {_listed(part)}"
                query = f"SELECT obs_publisher_did, obs_id FROM ivoa.obscore WHERE {where}"  # noqa: S608 - quoted
                for row in self._tap(query, _MANY):
                    one = _item_of(str(row["obs_publisher_did"]), by_id.get(str(row["obs_id"]), []))
                    if one is not None:
                        keys[one] = str(row["obs_publisher_did"])
        unknown = tuple(f"{key.collection}/{key.id}" for key, id_ in keys.items() if id_ is None)
        return Found(self, tuple(filter(None, keys.values())), None, unknown)

    # ------------------------------------------------------------------------------------------------- questions

    def _tap(self, adql: str, maxrec: int | None = None) -> Table:
        from pyvo.dal import TAPService  # noqa: PLC0415 - as above
        from pyvo.dal.exceptions import DALAccessError, DALQueryError  # noqa: PLC0415 - as above

        try:
            return TAPService(f"{self.url}/tap").run_sync(adql, maxrec=maxrec).to_table()
        except DALQueryError as error:
            raise UsageError(str(error.reason)) from error
        except (DALAccessError, requests.RequestException) as error:
            raise TransientError(f"{self.url}/tap does not answer: {error}") from error

    def links(self, ids: Sequence[str], place: Mapping[str, str]) -> list[Copy]:
        """Return all links of data products, as DataLink orders them: of each file the nearest copy first.

        Rows that lead to a service (cut-outs) are no links to bytes, and are left out.

        Raises
        ------
        UsageError
            The archive refuses the question, with its words.
        TransientError
            It does not answer (so for all questions below).
        """
        from pyvo.dal.adhoc import DatalinkQuery  # noqa: PLC0415 - as above
        from pyvo.dal.exceptions import DALAccessError, DALQueryError  # noqa: PLC0415 - as above

        copies: list[Copy] = []
        for part in in_parts(ids, AT_ONCE):
            query = DatalinkQuery(f"{self.url}/datalink/links", **place)
            query["ID"] = part
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # what astropy thinks of the VOTable is nothing for the user
                    table = query.execute(post=True).to_table()
            except DALQueryError as error:
                raise UsageError(str(error.reason)) from error
            except (DALAccessError, requests.RequestException) as error:
                raise TransientError(f"{self.url}/datalink does not answer: {error}") from error
            copies += [Copy.of(row) for row in table if not row["service_def"]]
        return copies

    def checks(self, ids: Sequence[str]) -> dict[tuple[str, str], Checks]:
        """Return the files of data products by product and asset: their DIDs, sizes and checksums."""
        checks: dict[tuple[str, str], Checks] = {}
        for part in in_parts(ids, AT_ONCE):
            columns = "obs_publisher_did, asset, scope, name, bytes, adler32, md5"
            where = f"obs_publisher_did IN {_listed(part)}"
            table = self._tap(f"SELECT {columns} FROM lake.file WHERE {where}", _MANY)  # noqa: S608 - quoted
            checks |= {(str(row["obs_publisher_did"]), str(row["asset"])): Checks.of(row) for row in table}
        return checks

    def http(self) -> Http:
        """Return an HTTP edge; only an archive of one's own network may lead to addresses there."""
        return Http(allow_private=leads_inside(self.url))


@dataclass(frozen=True, slots=True)
class Found:
    """Data products that were found."""

    archive: Archive
    ids: tuple[str, ...]
    """Their ``obs_publisher_did``, each once, in the order in which they were found."""
    table: Table | None = None
    """The answer of TAP, where there was one."""
    unknown: tuple[str, ...] = ()
    """Items that the archive does not hold."""

    def __len__(self) -> int:
        return len(self.ids)

    def nearest(
        self,
        *,
        site: str | None = None,
        rse: str | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
        semantics: Sequence[str] | None = ("#this",),
    ) -> Nearest:
        """Ask where the copies of the products' files are, nearest first.

        Parameters
        ----------
        site, rse, latitude, longitude
            Where you are: a site or an RSE of the lake, or degrees north and east; nothing: by your address.
        semantics
            The files whose nearest copy has one of these terms; None: everything that is linked. The default is the
            science files alone, so that nobody downloads more than was meant.

        Raises
        ------
        UsageError
            The archive knows no such place.
        TransientError
            It does not answer.
        """
        named = {"SITE": site, "RSE": rse, "LAT": latitude, "LON": longitude}
        place = {name: str(value) for name, value in named.items() if value is not None}
        return Nearest(self.archive, self.archive.links(self.ids, place), semantics)


def _item_of(publisher_did: str, candidates: Sequence[ItemKey]) -> ItemKey | None:
    """Return the item that a data product is of: several may share the ``obs_id`` that they state."""
    try:
        decoded = decode(did_of_publisher_did(publisher_did).name)
    except ItemError:
        return None
    if decoded is None:  # a shortened name
        return candidates[0] if len(candidates) == 1 else None
    return next((key for key in candidates if key == (decoded.collection, decoded.item)), None)


def _listed(texts: Iterable[str]) -> str:
    return f"({', '.join(map(_quoted, texts))})"


def _quoted(text: str) -> str:
    """Return a character literal of ADQL (2.1 section 2.1.4)."""
    return "'" + text.replace("'", "''") + "'"
