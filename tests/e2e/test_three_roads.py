"""The same items as lines of a file, through a STAC API and as a static catalogue end in the same rows and DIDs."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import rustac
from pystac.utils import make_absolute_href

from stac_rucio_sync.settings import Settings
from tests.conftest import RunningLake
from tests.e2e.annotated import stac_api
from tests.e2e.chosen.found import RucioView, Tables, ask_rucio, ask_tables, run_job, write_lines

PER_COLLECTION = 3
MOST_ASSETS = 12
"""Per item: hundreds of files of one product would only take time."""
STRUCTURAL = {"self", "root", "parent", "collection"}


@dataclass(frozen=True)
class Scoped:
    """A scope of the lake with its settings."""

    settings: Settings
    scope: str

    def rows(self) -> Tables:
        return ask_tables(self.settings, self.scope, self.scope)

    def in_rucio(self, tables: Tables) -> RucioView:
        """Ask Rucio for the items with files and for some without."""
        with_files = [row["name"] for key, row in sorted(tables.items.items()) if tables.files[key]]
        without = [row["name"] for key, row in sorted(tables.items.items()) if not tables.files[key]]
        return ask_rucio(self.settings, self.scope, [*with_files, *without[::10]])


@pytest.fixture
def scoped(lake: RunningLake) -> Scoped:
    scope = "roads" + uuid4().hex[:8]
    return Scoped(lake.settings_with(identity={"scope": scope}), scope)


# ------------------------------------------------------------------------------------------- what must be the same


def comparable(tables: Tables) -> dict[str, Any]:
    """Return all that must not depend on the road: everything but instants, the source's name and the fingerprint."""
    own = {"source", "fingerprint", "first_synced", "last_synced", "metadata_keys"}
    return {
        "items": {
            key: {name: value for name, value in row.items() if name not in own} for key, row in tables.items.items()
        },
        "obscore": tables.obscore,
        "epn": tables.epn,
        "files": tables.files,
        "links": {
            key: {name: {**row, "href": as_path(row["href"])} for name, row in rows.items()}
            for key, rows in tables.links.items()
        },
        "logins": tables.logins,
    }


def as_path(href: str | None) -> str | None:
    """Write a ``file:`` URL as the path that it is."""
    return href and re.sub(r"^file:/+(?=/)", "", href)


def instants_alike(value: Any) -> Any:
    """Write an instant in one way: servers leave out zeros that end a fraction, or put the T that an item lacks."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d[T ][\d:]+(\.\d+)?(Z|[+-]\d\d:\d\d)", value):
        return datetime.fromisoformat(value).astimezone(UTC).isoformat()
    return value


def metadata_alike(view: RucioView) -> dict[str, dict[str, Any]]:
    return {
        name: {key: instants_alike(value) for key, value in metadata.items() if key != "stac:fingerprint"}
        for name, metadata in view.metadata.items()
    }


def assert_same(before: Tables, after: Tables) -> None:
    one, other = comparable(before), comparable(after)
    for table, rows in one.items():
        differing = [key for key in {*rows, *other[table]} if rows.get(key) != other[table].get(key)]
        first = differing[:1]
        assert not differing, (table, len(differing), [(key, rows.get(key), other[table].get(key)) for key in first])


def assert_same_in_rucio(before: RucioView, after: RucioView) -> None:
    assert after.content == before.content
    assert after.files == before.files
    assert after.origins == before.origins
    assert metadata_alike(after) == metadata_alike(before)


# -------------------------------------------------------------------------------------------------- API and lines


def chosen_for_the_api(file: Path) -> list[dict[str, Any]]:
    """Return items of many collections that a STAC API server takes, all with absolute hrefs, sized ones among them."""
    met: Counter[str] = Counter()
    chosen = []
    with gzip.open(file, "rt") as lines:
        for line in lines:
            item = json.loads(line)
            assets = list((item.get("assets") or {}).values())
            whole = item.get("stac_version") in ("1.0.0", "1.1.0") and item.get("geometry") and item.get("bbox")
            if not (whole and item.get("collection") and 0 < len(assets) <= MOST_ASSETS):
                continue
            places = assets + [link for link in item["links"] if link["rel"] not in STRUCTURAL]
            if not all(re.match(r"[a-z0-9]+://", place.get("href") or "") for place in places):
                continue
            if met[item["collection"]] < PER_COLLECTION and accepted(item):
                met[item["collection"]] += 1
                chosen.append(item)
    return chosen


def accepted(item: dict[str, Any]) -> bool:
    """Whether the server can read the item at all; one that it cannot read ends it."""
    try:
        rustac.migrate(item, item["stac_version"])
    except rustac.RustacError:
        return False
    return True


@pytest.fixture
def api_items(real_items: Path) -> list[dict[str, Any]]:
    return chosen_for_the_api(real_items / "items.ndjson.gz")


@pytest.fixture
def api(api_items: list[dict[str, Any]], tmp_path: Path) -> Iterator[str]:
    """A real STAC API server with the chosen items."""
    with stac_api(write_lines(tmp_path / "served.ndjson", api_items), tmp_path) as url:
        yield url


def content_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item without the links that say where it was served from."""
    return {**item, "links": [link for link in item.get("links", []) if link["rel"] not in STRUCTURAL]}


def as_text(item: Mapping[str, Any]) -> str:
    return json.dumps(content_of(item), sort_keys=True)


def test_lines_and_api_end_in_the_same_rows_and_dids(
    scoped: Scoped, api: str, api_items: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert len(api_items) >= 190
    assert len({item["collection"] for item in api_items}) > 100
    assert sum(any("file:size" in asset for asset in item["assets"].values()) for item in api_items) >= 50
    report, _ = run_job(write_lines(tmp_path / "lines.ndjson", api_items), scoped.scope, scoped.settings)
    assert report.read == len(api_items)
    assert (report.quarantined, report.failed) == (0, 0)
    tables = scoped.rows()
    rucio = scoped.in_rucio(tables)
    assert len(tables.items) == len(api_items)

    # What the server gives back as it got it is unchanged; what it wrote otherwise (zeros of fractions, empty lists)
    # counts as changed, and nothing counts as new.
    served = {
        (item["collection"], item["id"]): item
        for item in requests.get(f"{api}/search", params={"limit": 10_000}, timeout=60).json()["features"]
    }
    assert len(served) == len(api_items)
    pairs = [(item, served[item["collection"], item["id"]]) for item in api_items]
    same_text = sum(as_text(item) == as_text(answer) for item, answer in pairs)
    # 30 and 30.0 are one number in JSON, but two texts: either may count as unchanged.
    same_value = sum(content_of(item) == content_of(answer) for item, answer in pairs)
    told, requests_sent = run_job(api, f"{scoped.scope}-api", scoped.settings, dry_run=True)
    assert (told.read, told.unchanged + told.changed) == (len(api_items), len(api_items))
    assert len(api_items) / 2 < same_text <= told.unchanged <= same_value
    assert requests_sent == 0

    # Everything done again by the second road: the same rows, files, links, replicas and metadata.
    again, _ = run_job(api, f"{scoped.scope}-api", scoped.settings, full=True)
    assert (again.read, again.quarantined, again.failed) == (len(api_items), 0, 0)
    after = scoped.rows()
    assert {row["source"] for row in after.items.values()} == {f"{scoped.scope}-api"}
    assert_same(tables, after)
    assert_same_in_rucio(rucio, scoped.in_rucio(after))


# ----------------------------------------------------------------------------------- static catalogue and lines


def unpacked(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tree:
        tree.extractall(folder)  # noqa: S202 - the archives lie beside the checkout and are not written by anyone else
    return folder


def crawled(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the items of a static catalogue by its links, each once; links that lead nowhere are passed over."""
    waiting, met = [root], set()
    while waiting:
        path = waiting.pop()
        if path in met or not path.is_file():
            continue
        met.add(path)
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.get("type") == "Feature":
            yield path, document
            continue
        for link in document.get("links", []):
            if link["rel"] in ("child", "item"):
                waiting.append(Path(make_absolute_href(link["href"], str(path))))


def with_absolute_hrefs(path: Path, item: dict[str, Any]) -> dict[str, Any]:
    """Return an item as a line of a file must have it: nothing relative, as pystac resolves it."""
    assets = {
        key: {**asset, "href": make_absolute_href(asset["href"], str(path))} for key, asset in item["assets"].items()
    }
    links = [
        {**link, "href": make_absolute_href(link["href"], str(path))}
        for link in item["links"]
        if link["rel"] not in STRUCTURAL
    ]
    return {**item, "assets": assets, "links": links}


@pytest.mark.parametrize(
    ("tree", "root", "at_least", "files"),
    [
        # Relative hrefs to files beside the items; items without a collection.
        ("noaa-cdr", "noaa-cdr/catalog.json", 100, 0),
        # Nested catalogues with links that lead nowhere, and files of stated size.
        ("planet-open-stac", "planet-open-stac/open-skysat-data/collection.json", 15, 8),
    ],
)
def test_static_catalogue_and_lines_end_in_the_same_rows_and_dids(
    scoped: Scoped, real_items: Path, tmp_path: Path, tree: str, root: str, at_least: int, files: int
) -> None:
    folder = unpacked(real_items / "tree" / f"{tree}.tar.gz", tmp_path / "tree")
    items = {
        (item.get("collection") or "items", item["id"]): with_absolute_hrefs(path, item)
        for path, item in crawled(folder / root)
    }
    assert len(items) >= at_least
    report, _ = run_job(folder / root, scoped.scope, scoped.settings)
    tables = scoped.rows()
    assert set(tables.items) == set(items)
    assert report.added + report.changed + report.unchanged == len(items)
    assert report.files >= files
    rucio = scoped.in_rucio(tables)

    again, _ = run_job(
        write_lines(tmp_path / "lines.ndjson", items.values()), f"{scoped.scope}-lines", scoped.settings, full=True
    )
    assert (again.read, again.added, again.quarantined, again.failed) == (len(items), 0, 0, 0)
    after = scoped.rows()
    assert_same(tables, after)
    assert_same_in_rucio(rucio, scoped.in_rucio(after))
