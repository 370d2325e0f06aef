"""Downloads of what a search found: from the nearest replica that gives the file, verified, told in a manifest."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.model import Did
from stac_rucio_sync.replication.choice import Choice
from stac_rucio_sync.replication.manifest import FileFate, Line
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json
from tests.lake.rest import ORIGIN_DOMAINS
from tests.rucio.searched import SYDNEY, VIENNA, Searched

IMAGE = Choice(assets=frozenset({"image"}))


@pytest.fixture
def searched(lake: Any, scope: str, tmp_path: Path) -> Searched:
    return Searched(lake, scope, tmp_path)


@dataclass(frozen=True)
class Copied:
    """An item with copies of its image at the origin, in Vienna and in Sydney."""

    searched: Searched
    item: dict[str, Any]


@pytest.fixture(scope="module")
def copied(lake: Any, tmp_path_factory: pytest.TempPathFactory) -> Copied:
    searched = Searched(lake, "t" + uuid.uuid4().hex[:12], tmp_path_factory.mktemp("copied"))
    item = searched.item("m31")
    searched.register(item)
    searched.replicate(item, rse=f"{VIENNA}|{SYDNEY}", choice=IMAGE, wish={"copies": 2})
    for rse in (VIENNA, SYDNEY):
        searched.states(item, rse=rse, wait=60, choice=IMAGE)
    return Copied(searched, item)


def by_asset(lines: list[Line]) -> dict[str, Line]:
    return {line.asset: line for line in lines}


def test_every_file_comes_from_the_nearest_replica(copied: Copied, tmp_path: Path) -> None:
    searched = copied.searched
    content = searched.at_origin("m31", "image").read_bytes()
    places: list[tuple[dict[str, Any], str]] = [
        ({"site": "vienna"}, VIENNA),
        ({"latitude": -35.0, "longitude": 149.0}, SYDNEY),
    ]
    for number, (at, rse) in enumerate(places):
        into = tmp_path / str(number)
        report, lines = searched.fetch(copied.item, into=into, **at)
        image = by_asset(lines)["image"]
        assert (image.fate, image.rse, image.verified_by) == (FileFate.FETCHED, rse, "md5")
        assert image.path == into / searched.scope / "images..m31..image.bin"
        assert image.path.read_bytes() == content
        assert by_asset(lines)["preview"].rse not in (VIENNA, SYDNEY)
        assert (report.fates[FileFate.FETCHED], report.clean) == (2, True)


def test_what_is_there_is_recognised_and_what_is_damaged_is_fetched_again(searched: Searched, tmp_path: Path) -> None:
    item = searched.item("m31")
    searched.register(item)
    searched.fetch(item, into=tmp_path)
    again, lines = searched.fetch(item, into=tmp_path)
    assert (again.fates[FileFate.PRESENT], again.bytes, again.clean) == (2, 0, True)
    path = by_asset(lines)["image"].path
    assert path is not None
    path.write_bytes(b"\0" * path.stat().st_size)
    third, lines = searched.fetch(item, into=tmp_path)
    assert (third.fates[FileFate.PRESENT], third.fates[FileFate.FETCHED]) == (1, 1)
    assert path.read_bytes() == searched.at_origin("m31", "image").read_bytes()


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other bytes")])
def test_where_a_replica_fails_the_next_one_is_taken(copied: Copied, tmp_path: Path, damage: Any) -> None:
    searched = copied.searched
    content = searched.at_origin("m31", "image").read_bytes()
    [copy] = searched.at(VIENNA, "images..m31..image.bin")
    damage(copy)
    try:
        report, lines = searched.fetch(copied.item, into=tmp_path, choice=IMAGE, site="vienna")
    finally:
        copy.write_bytes(content)
    [image] = lines
    assert image.fate is FileFate.FETCHED
    assert image.rse != VIENNA
    assert image.reason is not None
    assert image.reason.startswith(f"{VIENNA}: http")
    assert image.path is not None
    assert image.path.read_bytes() == content
    assert report.clean


def test_what_no_replica_gives_is_named_and_is_no_success(searched: Searched, tmp_path: Path) -> None:
    item = searched.item("m31")
    searched.register(item)
    searched.at_origin("m31", "image").unlink()
    report, lines = searched.fetch(item, into=tmp_path, choice=IMAGE)
    [image] = lines
    assert (image.fate, image.path) == (FileFate.FAILED, None)
    assert "404" in (image.reason or "")
    assert not report.clean
    elsewhere, lines = searched.fetch(item, into=tmp_path, choice=IMAGE, rses=frozenset({SYDNEY}))
    assert (lines[0].fate, lines[0].reason) == (FileFate.UNAVAILABLE, "it has no replica there")
    assert not elsewhere.clean
    assert list(tmp_path.rglob("*.bin")) == []


def test_nothing_downloaded_is_no_success(searched: Searched, tmp_path: Path) -> None:
    registered, unknown = searched.item("m31"), searched.item("m51")
    searched.register(registered)
    nothing, lines = searched.fetch(unknown, into=tmp_path)
    assert (nothing.clean, list(nothing.not_registered)) == (False, ["images/m51"])
    assert {line.fate for line in lines} == {FileFate.LINK_ONLY}
    assert not searched.fetch(registered, into=tmp_path, choice=Choice(assets=frozenset({"nosuch"})))[0].clean
    assert not searched.fetch(into=tmp_path)[0].clean


@pytest.fixture
def only_by_rucio(searched: Searched, root: RucioCalls, tmp_path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """An item whose image has one replica, at an RSE that is read by the scheme ``file`` alone."""
    item = searched.item("m31")
    searched.register(item)
    rse, file = f"FILES-{uuid.uuid4().hex[:8].upper()}", Did(searched.scope, "images..m31..image.bin")
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "image").write_bytes(searched.at_origin("m31", "image").read_bytes())
    root.send("add_rse", rse, deterministic=False)
    protocol = {"scheme": "file", "hostname": "localhost", "port": 0, "prefix": f"{folder}/", "domains": ORIGIN_DOMAINS}
    root.send("add_protocol", rse, protocol | {"impl": "rucio.rse.protocols.posix.Default"})
    asset = item["assets"]["image"]
    where = {**did_json(file), "bytes": asset["file:size"], "md5": asset["file:checksum"][6:]}
    root.send("add_replicas", rse, [where | {"pfn": f"file://localhost{folder}/image"}])
    searched.at_origin("m31", "image").unlink()
    yield item, rse
    root.send("update_rse", rse, {"availability_read": False})


def test_what_no_http_client_opens_is_left_to_rucios_own_client(
    searched: Searched, only_by_rucio: tuple[dict[str, Any], str], tmp_path: Path
) -> None:
    item, rse = only_by_rucio
    report, lines = searched.fetch(item, into=tmp_path / "copies", choice=IMAGE)
    [image] = lines
    assert (image.fate, image.rse, report.clean) == (FileFate.FETCHED, rse, True)
    assert image.path is not None
    assert image.path.read_bytes() == (tmp_path / "store" / "image").read_bytes()
    assert [path.name for path in image.path.parent.iterdir()] == [image.path.name]


def test_rucio_is_asked_by_the_main_thread_alone(
    copied: Copied, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its client takes stdout from the whole process while it logs in: the manifest's lines would be lost."""
    asking: set[str] = set()
    send = RucioCalls.send

    def noted(calls: RucioCalls, *arguments: Any, **options: Any) -> Any:
        asking.add(threading.current_thread().name)
        return send(calls, *arguments, **options)

    monkeypatch.setattr(RucioCalls, "send", noted)
    assert copied.searched.fetch(copied.item, into=tmp_path, site="san-francisco")[0].clean
    assert asking == {threading.main_thread().name}
