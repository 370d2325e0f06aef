"""What the services of one process share: settings, what is published, the query path, documents made once."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import UTC, datetime

from obscore_tap.availability import note_of, query_faults
from obscore_tap.meters import Meters
from obscore_tap.published import make_published
from obscore_tap.query import Asked, Queries
from obscore_tap.refusals import Refusal
from obscore_tap.running import Database
from obscore_tap.schema import Published
from obscore_tap.tap_schema import column_rows
from obscore_tap.uploads import UploadLimits, Uploads
from obscore_tap.vosi import availability_document
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.locality import Network, networks_of
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.hosts import is_routed, on_primary

_DESCRIBED = "SELECT table_name, column_name, datatype FROM tap_schema.columns"
_LINKED = "SELECT TOP 1 access_url FROM ivoa.obscore"
_LINKS = "/datalink/links?ID="


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a blueprint is made from; nothing else is shared."""

    settings: Settings
    published: Published
    database: Database
    """Runs queries as the role that can only read what is published; among several servers, on a standby."""
    queries: Queries
    primary: Database
    """Runs those with uploaded tables, which no standby has; the same one where there is one server."""
    uploads: Uploads
    meters: Meters
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def base_url(self) -> str:
        """Return the public address below which the services lie, without a slash at its end."""
        return self.settings.services.base_url

    @property
    def proxies(self) -> tuple[Network, ...]:
        """Return the networks of the archive's own proxies, which are believed whom they ask for."""
        return networks_of(self.settings.locality.trusted_proxies)

    def availability(self) -> bytes:
        """Return the VOSI availability document: available are the services whose queries are answered now."""
        faults, notes = query_faults(self.queries, self.database)
        if not faults:
            notes += note_of(self.uploads.check, "asynchronous queries and uploaded tables")
        return availability_document(available=not faults, up_since=self.started, notes=faults + notes)

    def close(self) -> None:
        """Give the connections back."""
        self.uploads.close()
        self.database.close()
        self.primary.close()


def open_services(settings: Settings, meters: Meters | None = None) -> Services:
    """Open what the services need; no connection is made yet.

    Parameters
    ----------
    settings
        Of the services.
    meters
        Where requests and queries are counted; None: in this process alone.

    Raises
    ------
    UsageError
        A database URL is not set.
    """
    limits = settings.tap
    query_url, jobs_url = settings.database.query_url, settings.database.jobs_url
    if query_url is None or jobs_url is None:
        missing = "query_url" if query_url is None else "jobs_url"
        raise UsageError(
            f"no database for the services: start the embedded lake (stac-rucio-sync lake up), or set [database] "
            f"{missing} (docs/tap.md names the roles)"
        )
    published = make_published(settings.epn.schema_name)
    meters = meters or Meters(are_shown=False)
    url, threads = query_url.get_secret_value(), settings.services.threads
    database = Database(url, connections=threads, meters=meters)
    primary = Database(on_primary(url), connections=threads, meters=meters) if is_routed(url) else database
    queries = Queries(
        published,
        database,
        timeout=limits.timeout,
        query_bytes=limits.query_bytes,
        datalink_url=f"{settings.services.base_url}/datalink/links",
        primary=primary,
    )
    uploads = Uploads(
        jobs_url.get_secret_value(),
        UploadLimits(
            bytes=limits.upload_bytes,
            rows=limits.upload_rows,
            seconds=limits.upload_timeout,
            allow_private=limits.allow_private_addresses,
        ),
    )
    return Services(settings, published, database, queries, primary, uploads, meters)


def check_services(settings: Settings) -> str | None:
    """See that the database is there and is the one that this version describes.

    Returns
    -------
    str or None
        What whoever starts the services should know all the same.

    Raises
    ------
    UsageError
        A database URL is not set.
    FatalError
        The database cannot be reached, or TAP_SCHEMA is not of this version.
    """
    services = open_services(settings)
    try:
        told = {tuple(row) for row in _rows(services, _DESCRIBED)}
        linked = [url for row in _rows(services, _LINKED) for url in row]
    except Refusal as error:
        raise FatalError(
            f"the database does not let users' queries run ({error}): run stac-rucio-sync db apply"
        ) from error
    finally:
        services.close()
    ours = {(str(row[0]), str(row[1]), str(row[2])) for row in column_rows(services.published)}
    if told != ours:
        raise FatalError("TAP_SCHEMA in the database is not that of this version: run stac-rucio-sync db apply")
    return _astray(linked, settings.services.base_url)


def _rows(services: Services, query: str) -> list[list[str]]:
    answer = services.queries.answer(query, Asked(max_rows=services.settings.tap.max_maxrec, form="csv"))
    return list(csv.reader(b"".join(answer.chunks).decode().splitlines()[1:]))


def _astray(linked: list[str], base_url: str) -> str | None:
    """Return what to do where the table's links to DataLink lead to other services than these."""
    for url in linked:
        written, links, _ = url.partition(_LINKS)
        if links and written != base_url:
            return (
                f"access_url in ivoa.obscore leads to {written}, and these services are at {base_url}: set [services] "
                "base_url for sync and serve alike (or STAC_RUCIO_SYNC_SERVICES__BASE_URL), and sync again, which "
                "writes the rows anew"
            )
    return None
