"""From the disk to findable in one command: in the lake, in the catalogue, in TAP, and the nearest copy is given."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests

from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.cli import main
from stac_rucio_sync.settings import ENVIRONMENT_PREFIX, Rucio
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from tests.catalog.examples import item
from tests.catalog.test_fits_processor import image, wcs_at
from tests.conftest import RunningLake
from tests.e2e.archive import served

RSE, FAR = "VIENNA-LOCALGROUPDISK", "SYDNEY-DISK"
SPACE = "{http://www.ivoa.net/xml/VOTable/v1.3}"
TABLEDATA = "application/x-votable+xml;serialization=TABLEDATA"
Run = Callable[..., tuple[int, dict[str, Any]]]


@dataclass(frozen=True)
class Bench:
    """A lake, an empty catalogue, and a scope of its own."""

    lake: RunningLake
    scope: str
    folder: Path
    run: Run
    """Runs a command; returns its exit code and what it printed as JSON."""

    @property
    def catalog(self) -> Path:
        return self.folder / "survey.git"

    def upload(self, *paths: Path, **options: str) -> tuple[int, dict[str, Any]]:
        named = {"rse": RSE, "scope": self.scope} | options
        return self.run("upload", *map(str, paths), *(f"--{key.replace('_', '-')}={named[key]}" for key in named))

    def stac(self, identifier: str, catalog: Path | None = None) -> dict[str, Any]:
        with Repository(catalog or self.catalog) as repository:
            (located,) = repository.head().find(identifier)
            return repository.head().stac(located.path)

    def calls(self, account: str = "root") -> RucioCalls:
        return RucioCalls(Rucio(config=Path(self.lake.facts["accounts"][account]), account=account))


@pytest.fixture
def bench(
    lake: RunningLake,
    scope: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Bench:
    monkeypatch.setenv(f"{ENVIRONMENT_PREFIX}IDENTITY__SCOPE", scope)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        with pytest.raises(SystemExit) as left:
            main(["--home", str(lake.home), *arguments, "--json"])
        return int(left.value.code or 0), json.loads(capsys.readouterr().out)

    Repository.create(tmp_path / "survey.git", backend="git").close()
    return Bench(lake, scope, tmp_path, run)


def rows_of(votable: bytes) -> list[dict[str, Any]]:
    root = ElementTree.fromstring(votable)
    names = [str(field.get("name")) for field in root.iter(f"{SPACE}FIELD")]
    return [dict(zip(names, (cell.text for cell in row), strict=True)) for row in root.iter(f"{SPACE}TR")]


def test_files_on_disk_are_found_by_tap_and_read_from_the_nearest_copy(bench: Bench) -> None:
    collection = f"night-{bench.scope}"
    night = bench.folder / "night 1"
    night.mkdir()
    for number, name in enumerate(("m 13", "m92")):
        image(night / f"{name}.fits", wcs_at(250.0 + number, 36.0), DATE_OBS="2012-03-04T05:06:07", OBJECT=name)
    (night / "notes.txt").write_text("seeing 1.2")
    wanted = {"catalog": str(bench.catalog), "collection": collection, "processor": "fits"}

    code, report = bench.upload(night, include="m 13*")  # one that went before it was to be findable
    assert (code, report["uploaded"]) == (0, 1), report

    code, report = bench.upload(night, report=str(bench.folder / "report.jsonl"), **wanted)

    assert (code, report["files"], report["present"], report["uploaded"]) == (0, 3, 1, 2), report
    assert (report["catalog"]["counts"], report["sync"]["added"], report["sync"]["files"]) == ({"added": 2}, 2, 2)
    assert report["catalog"]["commits"] == 1
    told = {
        Path(line["path"]).name: line
        for line in map(json.loads, (bench.folder / "report.jsonl").read_text().splitlines())
    }
    assert told.keys() == {"m 13.fits", "m92.fits", "notes.txt"}
    asset = bench.stac("m 13")["assets"]["image"]
    name = told["m 13.fits"]["did"].split(":")[1]
    assert (asset["rucio:rse"], asset["rucio:scope"], asset["rucio:name"]) == (RSE, bench.scope, name)
    assert (asset["href"], asset["file:size"]) == (told["m 13.fits"]["pfn"], told["m 13.fits"]["bytes"])
    with served(bench.lake, bench.folder / "serve.log") as url:
        query = f"SELECT target_name, access_url FROM ivoa.obscore WHERE obs_collection = '{collection}'"  # noqa: S608 - ours
        asked = {"LANG": "ADQL", "QUERY": query, "RESPONSEFORMAT": TABLEDATA}
        answer = requests.get(f"{url}/tap/sync", params=asked, timeout=60)
        found = {row["target_name"]: row for row in rows_of(answer.content)}
        assert found.keys() == {"m 13", "m92"}
        (this,) = [row for row in _links(url, found["m 13"], SITE="vienna") if row["semantics"] == "#this"]
        assert (this["rse"], this["access_url"]) == (RSE, asset["href"])
        assert requests.get(this["access_url"], timeout=60).content == (night / "m 13.fits").read_bytes()

        said = told["m 13.fits"]
        copy = {"scope": bench.scope, "name": name, "bytes": said["bytes"], "adler32": said["adler32"]}
        bench.calls().send("add_replicas", FAR, [copy])
        assert bench.run("sync", str(bench.catalog), "--full")[0] == 0
        for site, nearest in (("vienna", RSE), ("sydney", FAR)):
            (this,) = [row for row in _links(url, found["m 13"], SITE=site) if row["semantics"] == "#this"]
            assert this["rse"] == nearest

    code, audit = bench.run("verify", str(bench.catalog))
    assert (code, audit["differences"]) == (0, 0), json.dumps(audit)
    code, report = bench.upload(night, **wanted)
    assert (code, report["present"], report["catalog"]["counts"]) == (0, 3, {"unchanged": 2})
    assert (report["sync"]["read"], report["catalog"]["commits"]) == (0, 0)


def _links(url: str, row: dict[str, Any], **parameters: str) -> list[dict[str, Any]]:
    identifier = row["access_url"].partition("ID=")[2]
    answer = requests.get(f"{url}/datalink/links?ID={identifier}", params=parameters, timeout=60)
    assert answer.ok, answer.text
    return rows_of(answer.content)


def test_items_that_lie_beside_their_files_are_not_uploaded_and_what_fails_is_told(bench: Bench) -> None:
    folder = bench.folder / "in"
    folder.mkdir()
    for name in ("good", "lost"):
        (folder / f"{name}.dat").write_bytes(name.encode())
        stac = item(name, f"c-{bench.scope}") | {"assets": {"data": {"href": f"{name}.dat", "roles": ["data"]}}}
        (folder / f"{name}.json").write_text(json.dumps(stac))
    calls = bench.calls()
    calls.send("add_scope", "ingest", bench.scope)
    other = {"scope": bench.scope, "name": "in..lost.dat", "bytes": 3, "adler32": "00000001"}
    calls.send("add_replicas", RSE, [other])

    inside = folder / "catalogue.git"
    shutil.copytree(bench.catalog, inside)

    code, report = bench.upload(folder, catalog=str(inside))

    assert code == 1
    assert (report["files"], report["uploaded"], report["conflict"]) == (2, 1, 1), report
    assert report["catalog"]["counts"] == {"added": 1, "failed": 1}
    (failure,) = report["catalog"]["failures"]
    assert "is not in the lake (conflict" in failure["reason"]
    assert bench.stac("good", inside)["assets"]["data"]["rucio:name"] == "in..good.dat"
    assert (report["sync"]["added"], report["sync"]["files"]) == (1, 1)


def test_metadata_and_the_table_of_an_upload(bench: Bench) -> None:
    folder = bench.folder / "raw"
    folder.mkdir()
    for visit, said in ((1, {"band": "r"}), (2, {"lifetime": 5}), (3, None)):
        (folder / f"HSC_{visit}.dat").write_bytes(b"raw %d" % visit)
        if said is not None:
            (folder / f"HSC_{visit}.dat.json").write_text(json.dumps(said))
    table = bench.folder / "raw.ecsv"

    code, report = bench.upload(
        folder, metadata="sidecars", table=str(table), table_template="{instrument}_{visit:d}.dat"
    )

    assert code == 1
    assert (report["files"], report["uploaded"], report["refused"]) == (3, 2, 1), report
    assert report["table"] == {"file": str(table), "rows": 2, "left_out": {}}
    assert [line.split()[-1] for line in table.read_text().splitlines()[-2:]] == ["1", "3"]
    found = bench.calls().send("get_metadata", bench.scope, "raw..HSC_1.dat", plugin="JSON")
    assert found == {"band": "r"}


def test_what_cannot_be_findable_is_said_before_anything_is_sent(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    (bench.folder / "a.dat").write_bytes(b"a")
    for options, reason in (
        ({"catalog": str(bench.folder)}, "catalogue"),
        ({"catalog": str(bench.catalog), "processor": "none"}, "no processor none"),
        ({"collection": "c"}, "--catalog"),
        ({"table_column": "a"}, "--table"),
        ({"metadata": str(bench.folder / "none.csv")}, "cannot be read"),
    ):
        arguments = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        with pytest.raises(SystemExit) as left:
            main(["--home", str(bench.lake.home), "upload", str(bench.folder / "a.dat"), "--rse", RSE, *arguments])
        assert left.value.code == 2
        assert reason in capsys.readouterr().err
