"""Assets whose files were uploaded say where in the lake the bytes are; what is not there is not ingested."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.catalog.fates import ProductFate
from stac_rucio_sync.catalog.ingest import Ingest
from stac_rucio_sync.catalog.processors import processor
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.mapping.assets import map_assets
from stac_rucio_sync.mapping.item import parse_item
from stac_rucio_sync.model import Did, ItemRead, LakePlace, Uploaded, UploadFate
from stac_rucio_sync.settings import Settings
from tests.catalog.examples import collection, item
from tests.catalog.test_ingest import observation, stored, write

FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with Repository.create(tmp_path / "repository", backend="filesystem", identifier="archive") as made:
        yield made


def uploaded(file: Path, fate: UploadFate = UploadFate.UPLOADED, **said: Any) -> Uploaded:
    """Tell what became of a file as an upload does."""
    content = file.read_bytes()
    facts: dict[str, Any] = {
        "bytes": len(content),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "pfn": f"https://vienna.example.org/{file.name.replace(' ', '%20')}",
    }
    return Uploaded(file, Did("user.jdoe", file.name.replace(" ", "_")), "VIENNA-DISK", fate, **(facts | said))


def fates(repository: Repository, source: Path, lookup: Any = uploaded, **options: Any) -> list[ProductFate]:
    told: list[ProductFate] = []
    job = Ingest(repository, processor("stac"), assets="upload", in_lake=lookup, on_fate=told.append, **options)
    job.run([str(source)])
    return told


def test_an_asset_says_where_in_the_lake_its_file_is(repository: Repository, tmp_path: Path) -> None:
    (fate,) = fates(repository, observation(tmp_path / "in"))
    assert fate.fate == "added"
    stac = stored(repository, "o1")
    assert stac["assets"]["image"] == {
        "href": "https://vienna.example.org/im%20age.fits",
        "rucio:rse": "VIENNA-DISK",
        "rucio:scope": "user.jdoe",
        "rucio:name": "im_age.fits",
        "file:size": 8,
        "file:checksum": "d50110" + hashlib.md5(b"an image", usedforsecurity=False).hexdigest(),
    }
    assert stac["assets"]["more"] == {"href": "https://example.org/more.fits"}
    assert stac["stac_extensions"] == [FILE]
    files, _ = map_assets(parse_item(ItemRead(stac, None, "here"), Settings()), Settings(), {})
    assert [(file.did.name, file.in_lake, file.replicas) for file in files] == [
        ("im_age.fits", LakePlace("VIENNA-DISK", "https://vienna.example.org/im%20age.fits"), ()),
        ("notes.txt", LakePlace("VIENNA-DISK", "https://vienna.example.org/notes.txt"), ()),
    ]
    assert not [path for path, _ in repository.head().tree.files() if path.endswith((".fits", ".txt"))]


@pytest.mark.parametrize(
    ("lookup", "reason"),
    [
        (lambda _: None, "is none of the files that were uploaded"),
        (lambda file: uploaded(file, UploadFate.CONFLICT, reason="it has other bytes"), "conflict: it has other bytes"),
        (lambda file: uploaded(file, pfn=None), "from which no protocol reads"),
    ],
    ids=["not uploaded", "refused", "nobody reads it"],
)
def test_an_item_whose_file_is_not_in_the_lake_is_not_ingested(
    repository: Repository, tmp_path: Path, lookup: Any, reason: str
) -> None:
    (fate,) = fates(repository, observation(tmp_path / "in"), lookup)
    assert fate.fate == "failed"
    assert reason in str(fate.reason)
    assert not repository.head().find("o1")


def test_an_item_of_before_gets_its_places_in_the_lake_once_and_keeps_them(
    repository: Repository, tmp_path: Path
) -> None:
    source = observation(tmp_path / "in")
    link = Ingest(repository, processor("stac"))
    link.run([str(source)])
    assert stored(repository, "o1")["assets"]["image"]["href"].startswith("file:")
    assert [fate.fate for fate in fates(repository, source)] == ["modified"]
    assert [fate.fate for fate in fates(repository, source)] == ["unchanged"]
    assert link.run([str(source)]).counts["unchanged"] == 1
    assert stored(repository, "o1")["assets"]["image"]["rucio:rse"] == "VIENNA-DISK"


def test_a_whole_catalogue_has_its_files_in_the_lake(repository: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "survey"
    linked = {"links": [{"rel": "item", "href": "./o1/o1.json"}, {"rel": "root", "href": "./collection.json"}]}
    root = write(folder / "collection.json", collection("fields") | linked)
    (folder / "o1").mkdir()
    (folder / "o1" / "im age.fits").write_bytes(b"an image")
    (folder / "o1" / "b.fits").write_bytes(b"b")
    stac = item("o1")
    stac["assets"] = {
        "image": {"href": "./im%20age.fits"},
        "other": {"href": (folder / "o1" / "b.fits").as_uri()},
        "more": {"href": "https://example.org/more.fits"},
    }
    document = write(folder / "o1" / "o1.json", stac)

    (fate,) = fates(repository, folder)

    assert fate.fate == "added", fate.reason
    assets = stored(repository, "o1")["assets"]
    assert assets["image"]["rucio:name"] == "im_age.fits"
    assert assets["other"]["href"] == "https://vienna.example.org/b.fits"
    assert assets["more"] == {"href": "https://example.org/more.fits"}
    assert stored(repository, "o1")["stac_extensions"] == [FILE]
    assert set(processor("stac").documents(str(folder))) == {root, document}
    (refused,) = fates(repository, write(tmp_path / "o2.json", item("o2") | {"assets": {"a": {"href": "gone.fits"}}}))
    assert "there is no file gone.fits" in str(refused.reason)


def test_documents_are_what_is_stac_and_no_data(tmp_path: Path) -> None:
    source = observation(tmp_path / "in")
    assert list(processor("stac").documents(str(source))) == [source]
    assert list(processor("fits").documents(str(tmp_path / "in" / "images" / "im age.fits"))) == []


def test_without_an_upload_nothing_is_in_the_lake(repository: Repository) -> None:
    with pytest.raises(UsageError, match="stac-rucio-sync upload PATH --catalog"):
        Ingest(repository, processor("stac"), assets="upload")
