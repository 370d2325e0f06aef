"""Where files lie: what the path algorithms say is what Rucio's server says, for each of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest

from rucio_policy.paths import BY_NAME
from stac_rucio_sync.cli import cli
from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.stores.rucio.uploads import RucioUploads
from stac_rucio_sync.upload.paths import path_at
from tests.conftest import RunningLake
from tests.lake.rest import Account, origin_protocol, replica

UPLOADS, ARCHIVE = "VIENNA-LOCALGROUPDISK", "VIENNA-ARCHIVE-LOCALGROUPDISK"
DIDS = (
    Did("user.jdoe", "test.file.1"),
    Did("group.survey.north", "night1..a.fits"),
    Did("data", "plain"),
    Did("data.x", "deep/er/file.fits"),
)


@pytest.fixture(scope="module")
def root(lake: RunningLake) -> Account:
    return Account(Path(lake.facts["accounts"]["root"]))


@pytest.fixture(scope="module")
def edge(lake: RunningLake) -> Iterator[RucioUploads]:
    with closing(RucioUploads(lake.settings)) as opened:
        yield opened


def rse_of(root: Account, algorithm: str) -> str:
    """Make a deterministic RSE that names its algorithm."""
    rse = f"PATHS-{uuid.uuid4().hex[:8].upper()}"
    root.do("POST", f"rses/{rse}", {"deterministic": True})
    root.do("POST", f"rses/{rse}/attr/lfn2pfn_algorithm", {"value": algorithm})
    root.do("POST", f"rses/{rse}/protocols/http", origin_protocol("127.0.0.1", 1) | {"prefix": "/some/folder/"})
    return rse


@pytest.mark.parametrize("algorithm", sorted(BY_NAME))
def test_the_server_says_the_same_of_each_algorithm(root: Account, edge: RucioUploads, algorithm: str) -> None:
    rse = rse_of(root, algorithm)
    told: dict[str, str] = {}
    for did in DIDS:
        told |= root.do("GET", f"rses/{rse}/lfns2pfns?{urlencode({'lfn': str(did)})}").json()
    ours = {did: path_at(edge, rse, did) for did in DIDS}
    assert {path.algorithm for path in ours.values()} == {algorithm}
    assert {str(did): path.pfn for did, path in ours.items()} == told
    assert {path.pfn for path in ours.values()} == {
        f"http://127.0.0.1:1/some/folder/{path.path.lstrip('/')}" for path in ours.values()
    }


@pytest.mark.parametrize("algorithm", ["documented_hash", "naming_convention"])
def test_a_registered_file_is_listed_at_the_path_of_its_algorithm(
    root: Account, edge: RucioUploads, scope: str, algorithm: str
) -> None:
    rse, did = rse_of(root, algorithm), Did(scope, "test.file.1")
    root.add_scope(scope)
    file = {key: value for key, value in replica(*did, b"bytes", "").items() if key != "pfn"}
    root.do("POST", "replicas", {"rse": rse, "files": [file]})
    assert list(root.replicas(*did)["pfns"]) == [path_at(edge, rse, did).pfn]


def test_a_transfer_puts_a_file_where_its_dataset_says(
    lake: RunningLake, root: Account, edge: RucioUploads, scope: str
) -> None:
    did, dataset = Did(scope, "test.file.1"), Did("user.alice", f"set-{scope}")
    add_file(lake, root, did)
    alice = Account(Path(lake.facts["accounts"]["alice"]))
    alice.do("POST", f"dids/{dataset.scope}/{dataset.name}", {"type": "DATASET"})
    alice.do("POST", f"dids/{dataset.scope}/{dataset.name}/dids", {"dids": [did._asdict()]})
    expected = path_at(edge, ARCHIVE, did, dataset)
    assert expected.path == f"/user.alice/set-{scope}/{scope}/test.file.1"

    alice.wait_for_rule(alice.add_rule(dataset.scope, dataset.name, ARCHIVE), "OK")

    assert (Path(lake.facts["rses"][ARCHIVE]["folder"]) / expected.path[1:]).read_bytes() == b"bytes"
    kept = path_at(edge, ARCHIVE, did)
    assert (kept.path, kept.algorithm) == (expected.path, None)
    assert kept.pfn == f"{lake.facts['rses'][ARCHIVE]['url']}{expected.path}"


def test_a_transferred_file_of_no_dataset_lies_among_the_others(
    lake: RunningLake, root: Account, edge: RucioUploads, scope: str
) -> None:
    did = Did(scope, "test.file.1")
    add_file(lake, root, did)
    root.wait_for_rule(root.add_rule(*did, ARCHIVE), "OK")
    assert path_at(edge, ARCHIVE, did).path == f"/other/other/{scope}/test.file.1"


def add_file(lake: RunningLake, root: Account, did: Did) -> None:
    """Bring a file into the lake, at an RSE that it can be copied from."""
    site = lake.facts["rses"]["VIENNA-DISK"]
    root.add_scope(did.scope)
    file = {key: value for key, value in replica(*did, b"bytes", "").items() if key != "pfn"}
    root.do("POST", "replicas", {"rse": "VIENNA-DISK", "files": [file]})
    [pfn] = root.replicas(*did)["pfns"]
    place = Path(site["folder"]) / pfn.removeprefix(site["url"] + "/")
    place.parent.mkdir(parents=True)
    place.write_bytes(b"bytes")


def test_a_new_file_of_an_rse_that_keeps_paths_needs_a_dataset(edge: RucioUploads, scope: str) -> None:
    with pytest.raises(UsageError, match="--dataset"):
        path_at(edge, ARCHIVE, Did(scope, "new"))


def run(lake: RunningLake, *arguments: str) -> None:
    cli.main(["--home", str(lake.home), "path", *arguments], standalone_mode=False)


def test_the_command_says_the_path_and_why(lake: RunningLake, capsys: pytest.CaptureFixture[str]) -> None:
    run(lake, "user.jdoe:test.file.1", "--rse", UPLOADS)
    said = capsys.readouterr()
    assert said.out == "user/jdoe/07/7c/test.file.1\n"
    assert "077c8119053bebb168d125034bff64ac" in said.err
    assert f"{lake.facts['rses'][UPLOADS]['url']}/user/jdoe/07/7c/test.file.1" in said.err

    dataset = ("--algorithm", "parent_dataset", "--dataset", "data:dataset1234")
    run(lake, "user.jdoe:test.file.1", *dataset, "--json")
    assert json.loads(capsys.readouterr().out)["path"] == "/data/dataset1234/user.jdoe/test.file.1"

    run(lake, "user.jdoe:test.file.1")
    assert capsys.readouterr().out.splitlines()[2] == "documented_hash\t/07/7c/user.jdoe/test.file.1"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("a:b", "--rse", "NOWHERE"), "there is no RSE NOWHERE"),
        (("a:b", "--algorithm", "magic"), "there is no path algorithm magic"),
        (("a:b", "--rse", UPLOADS, "--algorithm", "hash"), "either an RSE or an algorithm"),
        (("nonsense",), "'nonsense'"),
    ],
)
def test_a_mistake_of_the_command_is_named(lake: RunningLake, arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        run(lake, *arguments)
