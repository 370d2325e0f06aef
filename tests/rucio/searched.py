"""Items as a search gives them, with real files on the lake's origin, and the jobs of replication on them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg

from stac_rucio_sync.locality import Locality
from stac_rucio_sync.model.rules import RuleWish
from stac_rucio_sync.replication.choice import Choice, asked_batches
from stac_rucio_sync.replication.fetching import Fetcher, FetchJob
from stac_rucio_sync.replication.holdings import Holdings
from stac_rucio_sync.replication.manifest import FetchReport, Line
from stac_rucio_sync.replication.registering import Registrar
from stac_rucio_sync.replication.request import Request, RequestJob, RequestReport
from stac_rucio_sync.replication.states import ItemState
from stac_rucio_sync.replication.survey import Destination, Surveyor
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.sources import Source, open_source
from stac_rucio_sync.stores.rucio.rules import RucioRules
from tests.conftest import RunningLake

VIENNA, SYDNEY, SAN_FRANCISCO = "VIENNA-DISK", "SYDNEY-DISK", "SANFRANCISCO-DISK"


@dataclass(frozen=True)
class Searched:
    """Makes items of one scope, and asks for them."""

    lake: RunningLake
    scope: str
    folder: Path

    def settings(self, account: str = "ingest") -> Settings:
        config = {"config": self.lake.facts["accounts"][account], "account": account}
        return self.lake.settings_with(identity={"scope": self.scope}, rucio=config)

    def asset(self, item: str, name: str, content: bytes | None = None, **fields: Any) -> dict[str, Any]:
        """Put a file on the origin and return its asset."""
        content = f"{self.scope} {item} {name}".encode() * 200 if content is None else content
        path = f"{self.scope}/{item}/{name}.bin"
        target = Path(self.lake.facts["origin_dir"]) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        stated = {"file:size": len(content), "file:checksum": "d50110" + md5(content)}
        return {"href": f"{self.lake.facts['origin_url']}/{path}", "roles": ["data"]} | stated | fields

    def at_origin(self, item: str, name: str) -> Path:
        return Path(self.lake.facts["origin_dir"]) / self.scope / item / f"{name}.bin"

    def at(self, rse: str, name: str) -> list[Path]:
        """Return the files of a name on the disk of an RSE."""
        folder = Path(self.lake.facts["rses"][rse]["folder"])
        return [path for path in folder.rglob(name) if self.scope in path.parts]

    def item(self, item: str, **assets: dict[str, Any]) -> dict[str, Any]:
        """Return an item; without assets it has two: ``image`` (data) and ``preview`` (thumbnail)."""
        return {
            "type": "Feature",
            "stac_version": "1.1.0",
            "stac_extensions": ["https://stac-extensions.github.io/file/v2.1.0/schema.json"],
            "id": item,
            "collection": "images",
            "geometry": None,
            "properties": {"datetime": "2024-01-01T00:00:00Z"},
            "links": [],
            "assets": assets
            or {"image": self.asset(item, "image"), "preview": self.asset(item, "preview", roles=["thumbnail"])},
        }

    def source(self, *items: dict[str, Any]) -> Source:
        path = self.folder / "items.ndjson"
        path.write_bytes(b"".join(orjson.dumps(item) + b"\n" for item in items))
        return open_source(str(path))

    def register(self, *items: dict[str, Any]) -> None:
        """Register items as the archive's own account does."""
        settings = self.settings()
        with closing(Registrar(settings)) as registrar:
            for asked, unreadable in asked_batches(self.source(*items), settings, Choice()):
                assert unreadable == []
                assert registrar.register(asked) == {}

    def wait_for_judges(self) -> None:
        """Wait until Rucio's daemons have looked at what was registered: where both want a row, a call is repeated."""
        assert self.lake.settings.database.admin_url is not None
        until = time.monotonic() + 100
        with psycopg.connect(self.lake.settings.database.admin_url.get_secret_value(), autocommit=True) as connection:
            while connection.execute("SELECT 1 FROM dev.updated_dids WHERE scope = %s", [self.scope]).fetchone():
                assert time.monotonic() < until, "the judges do not look at what is new"
                time.sleep(0.1)

    def replicate(
        self, *items: dict[str, Any], rse: str, account: str = "ingest", wish: dict[str, Any] | None = None, **how: Any
    ) -> RequestReport:
        """Ask for copies."""
        settings = self.settings(account)
        request = Request(RuleWish(rse, **(wish or {})), **how)
        with self.edges(account) as (holdings, rules):
            return RequestJob(self.source(*items), settings, request, holdings, rules).run()

    def states(
        self, *items: dict[str, Any], rse: str, account: str = "ingest", wait: float | None = None, choice: Any = None
    ) -> dict[str, ItemState]:
        """Return the states of items by their ids, at once or when nothing is under way."""
        with self.edges(account) as (holdings, rules):
            surveyor = Surveyor(holdings, rules, Destination(rse, rules.rses(rse)))
            batches = asked_batches(self.source(*items), self.settings(account), choice or Choice())
            watched = [one for asked, _ in batches for one in surveyor.look(asked)]
            if wait is not None:
                assert surveyor.wait(watched, wait), surveyor.states(watched)
            return {state.key.id: state for state in surveyor.states(watched)}

    def fetch(
        self,
        *items: dict[str, Any],
        into: Path,
        account: str = "alice",
        rses: Any = None,
        choice: Any = None,
        **at: Any,
    ) -> tuple[FetchReport, list[Line]]:
        """Download; return the report and the manifest."""
        settings = self.settings(account)
        lines: list[Line] = []
        with self.edges(account) as (holdings, _):
            locality = Locality(settings.locality, holdings.topology())
            view = locality.seen_from(locality.place(**at))
            with closing(Fetcher(settings, view, into, rses, 4)) as fetcher:
                job = FetchJob(
                    self.source(*items),
                    settings,
                    choice or Choice(),
                    holdings,
                    fetcher,
                    lambda line, _: lines.append(line),
                )
                return job.run(), lines

    @contextmanager
    def edges(self, account: str) -> Iterator[tuple[Holdings, RucioRules]]:
        settings = self.settings(account)
        with closing(Holdings(settings)) as holdings, closing(RucioRules(settings)) as rules:
            yield holdings, rules


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
