"""Products come in by a processor, each with one fate; what is taken out can be put back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from stac_rucio_sync.catalog.fates import IngestReport, ProductFate
from stac_rucio_sync.catalog.ingest import Ingest
from stac_rucio_sync.catalog.processors import processor, processors
from stac_rucio_sync.catalog.pruning import Prune
from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.restrictions import restrict
from stac_rucio_sync.errors import UsageError
from tests.catalog.examples import collection, item
from tests.catalog.test_grafting import exported, files_of, survey
from tests.unit.loopback import Answer, Asked, serving

Json = dict[str, Any]


@pytest.fixture(params=["filesystem", "git"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    with Repository.create(tmp_path / "repository", backend=request.param, identifier="archive") as made:
        yield made


def ingest(repository: Repository, *sources: Path | str, name: str = "stac", **options: Any) -> IngestReport:
    return Ingest(repository, processor(name), **options).run(map(str, sources))


def fates(repository: Repository, *sources: Path | str, **options: Any) -> list[ProductFate]:
    told: list[ProductFate] = []
    ingest(repository, *sources, on_fate=told.append, **options)
    return told


def write(path: Path, stac: Json) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(stac))
    return path


def observation(folder: Path, identifier: str = "o1", **properties: Any) -> Path:
    """Write an item with two files of its own, one in a folder, and one at a server."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "images" / "im age.fits").write_bytes(b"an image")
    (folder / "notes.txt").write_bytes(b"notes")
    stac = item(identifier, **properties)
    stac["assets"] = {
        "image": {"href": "images/im%20age.fits"},
        "notes": {"href": str(folder / "notes.txt")},
        "more": {"href": "https://example.org/more.fits"},
    }
    return write(folder / f"{identifier}.json", stac)


def stored(repository: Repository, identifier: str) -> Json:
    (located,) = repository.head().find(identifier)
    return repository.head().stac(located.path)


def test_a_version_is_ingested_once_and_a_new_one_modifies(repository: Repository, tmp_path: Path) -> None:
    source = observation(tmp_path / "in")
    (first,) = fates(repository, source)
    assert (first.fate, first.id, first.commit) == ("added", "fields/o1", 2)
    before = repository.head().commit.oid
    (again,) = fates(repository, source)
    assert (again.fate, again.commit, again.path) == ("unchanged", None, first.path)
    assert repository.head().commit.oid == before
    (changed,) = fates(repository, observation(tmp_path / "in", gsd=2.0))
    assert (changed.fate, changed.commit) == ("modified", 3)
    assert stored(repository, "o1")["properties"]["gsd"] == 2.0


def test_linked_assets_stay_where_they_are(repository: Repository, tmp_path: Path) -> None:
    ingest(repository, observation(tmp_path / "in"))
    hrefs = {name: asset["href"] for name, asset in stored(repository, "o1")["assets"].items()}
    assert hrefs["more"] == "https://example.org/more.fits"
    assert unquote(urlsplit(hrefs["image"]).path) == str((tmp_path / "in" / "images" / "im age.fits").resolve())
    assert Path(unquote(urlsplit(hrefs["notes"]).path)).read_bytes() == b"notes"


def test_copied_assets_keep_their_folders_and_go_out_with_their_item(repository: Repository, tmp_path: Path) -> None:
    (fate,) = fates(repository, observation(tmp_path / "in"), assets="copy")
    assert fate.path is not None
    out = exported(repository, tmp_path / "out")
    folder = (tmp_path / "out" / fate.path).parent
    for name, content in (("image", b"an image"), ("notes", b"notes")):
        href = stored(repository, "o1")["assets"][name]["href"]
        assert (folder / unquote(href)).read_bytes() == content
    assert f"{Path(fate.path).parent}/images/im age.fits" in out
    (tmp_path / "in" / "notes.txt").write_bytes(b"other notes")
    (fate,) = fates(repository, tmp_path / "in" / "o1.json", assets="copy")
    assert fate.fate == "modified"
    with Repository.create(tmp_path / "again") as again:
        ingest(again, tmp_path / "out", assets="copy")
        assert exported(again, tmp_path / "out again") == out


def test_an_asset_that_is_not_there_is_not_copied(repository: Repository, tmp_path: Path) -> None:
    source = write(tmp_path / "x.json", item("x") | {"assets": {"image": {"href": "gone.fits"}}})
    (fate,) = fates(repository, source, assets="copy")
    assert fate.fate == "failed"
    assert fate.reason is not None
    assert "asset 'image': there is no file gone.fits" in fate.reason
    (fate,) = fates(repository, source)
    assert (fate.fate, fate.remarks) == ("added", ("asset 'image': there is no file gone.fits",))


def test_an_item_does_not_fetch_files_from_elsewhere_on_the_machine(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "innocent").symlink_to(tmp_path / "secret")
    for href in ("../secret", str(tmp_path / "secret"), (tmp_path / "secret").as_uri(), "innocent"):
        source = write(tmp_path / "in" / "x.json", item("x") | {"assets": {"image": {"href": href}}})
        (fate,) = fates(repository, source, assets="copy")
        assert fate.fate == "failed"
        assert "lies outside of" in (fate.reason or "")
    place = survey(tmp_path / "survey")
    write(place / "deep/a/a.json", item("a", "deep") | {"assets": {"image": {"href": "./innocent"}}})
    (place / "deep/a/innocent").symlink_to(tmp_path / "secret")
    (place / "deep/b/b.json").unlink()
    write(tmp_path / "b.json", item("b", "deep"))
    (place / "deep/b/b.json").symlink_to(tmp_path / "b.json")
    (fate,) = fates(repository, place, assets="copy")
    assert any("deep/b/b.json" in remark for remark in fate.remarks)
    assert not repository.head().find("b")
    assert b"secret" not in exported(repository, tmp_path / "out").values()


def test_large_files_come_back_with_equal_bytes(repository: Repository, tmp_path: Path) -> None:
    for name, place in (("item", observation(tmp_path / "in")), ("tree", survey(tmp_path / "survey"))):
        if name == "tree":
            stac = json.loads((place / "deep/a/a.json").read_bytes()) | {
                "assets": {"image": {"href": "./images/a.fits"}}
            }
            write(place / "deep/a/a.json", stac)
            (place / "deep/a/images").mkdir()
            (place / "deep/a/images/a.fits").write_bytes(b"the image of a")
        (fate,) = fates(repository, place, assets="lfs", parent="archive")
        assert fate.fate == "added"
    out = exported(repository, tmp_path / "out")
    assert out["survey/deep/a/images/a.fits"] == b"the image of a"
    assert b"an image" in out.values()
    with Repository.create(tmp_path / "again") as again:
        ingest(again, tmp_path / "out", assets="lfs")
        assert exported(again, tmp_path / "out again") == out


def test_each_failure_is_told_and_the_others_come_in(repository: Repository, tmp_path: Path) -> None:
    write(tmp_path / "in/a.json", item("a"))
    write(tmp_path / "in/b.json", item("b") | {"id": 7})
    (tmp_path / "in/c.json").write_text("{")
    write(tmp_path / "in/deep/d.json", item("a") | {"title": "the same id again"})
    write(tmp_path / "in/not-stac.json", {"any": "thing"})
    report = ingest(repository, tmp_path / "in", tmp_path / "nothing")
    assert report.counts == {"added": 1, "failed": 4}
    assert not report.is_clean
    reasons = {Path(one.source).name: one.reason or "" for one in report.failures}
    assert reasons.keys() == {"b.json", "c.json", "d.json", "nothing"}
    assert "too: one would replace the other" in reasons["d.json"]
    assert report.commits == 1


def test_products_come_in_together_and_one_that_fails_leaves_the_others_alone(
    repository: Repository, tmp_path: Path
) -> None:
    for name in "abcde":
        write(tmp_path / f"in/{name}.json", item(name))
    write(tmp_path / "in/c.json", item("c") | {"assets": {"image": {"href": "gone.fits"}}})
    told = fates(repository, tmp_path / "in", assets="copy", together=4)
    assert [(one.id, one.fate, one.commit) for one in told] == [
        ("fields/a", "added", 2),
        ("fields/b", "added", 2),
        ("fields/c", "failed", None),
        ("fields/d", "added", 2),
        ("fields/e", "added", 3),
    ]
    assert "there is no file gone.fits" in (told[2].reason or "")
    assert repository.head().commit.message == "Ingest fields/e"
    again = {one.id: one.fate for one in fates(repository, tmp_path / "in", together=4)}
    assert again == dict.fromkeys(again, "unchanged") | {"fields/c": "added"}


def test_one_that_cannot_be_taken_back_alone_has_the_others_come_one_by_one(
    repository: Repository, tmp_path: Path
) -> None:
    write(tmp_path / "in/b.json", item("b"))
    ingest(repository, tmp_path / "in")
    for name in "abc":
        write(tmp_path / f"in/{name}.json", item(name, gsd=2.0))
    restrict(repository.place, ["ingest"])
    told = fates(repository, tmp_path / "in", together=10)
    assert [(one.id, one.fate, one.commit) for one in told] == [
        ("fields/a", "added", 3),
        ("fields/b", "failed", None),
        ("fields/c", "added", 4),
    ]
    assert "gsd" not in stored(repository, "b")["properties"]


def test_a_run_that_is_killed_has_whole_commits_and_the_next_one_goes_on(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PLUG_IN.format(version="1", folder=str(tmp_path))
    kill = f"""
    import os, signal
    if product_source == "e" and not os.path.exists({str(tmp_path / "killed")!r}):
        open({str(tmp_path / "killed")!r}, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
"""
    at = text.index("    path = ")
    (tmp_path / "stac_processor_deadly.py").write_text(text[:at] + kill.lstrip("\n") + text[at:])
    program = f"""
from pathlib import Path
from stac_rucio_sync.catalog.ingest import Ingest
from stac_rucio_sync.catalog.processors import processor
from stac_rucio_sync.catalog.repository import Repository
with Repository(Path({str(repository.place)!r})) as repository:
    Ingest(repository, processor("deadly"), together=3).run(["a+b+c+d+e+f"])
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    died = subprocess.run([sys.executable, "-c", program], env=environment, check=False, timeout=200)
    assert died.returncode == -signal.SIGKILL
    with Repository(repository.place) as reopened:
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "stac_processor_deadly", raising=False)
        assert [bool(reopened.head().find(name)) for name in "abcdef"] == [True] * 3 + [False] * 3
        told = fates(reopened, "a+b+c+d+e+f", name="deadly", together=3)
        assert [one.fate for one in told] == ["unchanged"] * 3 + ["added"] * 3
        assert {one.commit for one in told[3:]} == {3}


def test_one_commit_is_all_or_nothing(repository: Repository, tmp_path: Path) -> None:
    write(tmp_path / "in/a.json", item("a"))
    write(tmp_path / "in/b.json", item("b"))
    write(tmp_path / "in/c.json", item("c") | {"id": 7})
    before = repository.head().commit.oid
    report = ingest(repository, tmp_path / "in", one_commit=True)
    assert report.counts == {"withdrawn": 2, "failed": 1}
    assert repository.head().commit.oid == before
    (tmp_path / "in/c.json").unlink()
    report = ingest(repository, tmp_path / "in", one_commit=True)
    assert (report.counts, report.commits) == ({"added": 2}, 1)


def test_a_dry_run_tells_and_changes_nothing(repository: Repository, tmp_path: Path) -> None:
    before = repository.head().commit.oid
    for one_commit in (False, True):
        (fate,) = fates(repository, observation(tmp_path / "in"), dry_run=True, one_commit=one_commit)
        assert (fate.fate, fate.commit) == ("added", None)
    assert repository.head().commit.oid == before


def test_a_catalogue_is_a_product(repository: Repository, tmp_path: Path) -> None:
    place = survey(tmp_path / "survey")
    (fate,) = fates(repository, place)
    assert (fate.fate, fate.id, fate.path) == ("added", "survey", "catalog.json")
    assert exported(repository, tmp_path / "out") == files_of(place)
    assert [one.fate for one in fates(repository, place)] == ["unchanged"]
    survey(place, items=("a", "b", "c"))
    assert [one.fate for one in fates(repository, place)] == ["modified"]
    assert repository.head().find("c")


def test_below_a_parent(repository: Repository, tmp_path: Path) -> None:
    ingest(repository, write(tmp_path / "others.json", collection("others")))
    (fate,) = fates(repository, survey(tmp_path / "survey"), parent="others")
    assert fate.path == "others/survey/catalog.json"
    (fate,) = fates(repository, write(tmp_path / "x.json", item("x", None)), parent="survey")
    assert fate.path is not None
    assert fate.path.startswith("others/survey/items/")
    shutil.rmtree(tmp_path / "survey/deep/a")
    survey(tmp_path / "survey", items=("b",))
    assert [one.fate for one in fates(repository, tmp_path / "survey", parent="others")] == ["modified"]
    links = {one["rel"]: one["href"] for one in repository.head().stac("others/survey/catalog.json")["links"]}
    assert links["root"] == "../../catalog.json"
    assert links["parent"] == "../collection.json"
    assert repository.head().find("x")
    assert not repository.head().find("a")
    with pytest.raises(UsageError, match="there is no nowhere"):
        ingest(repository, tmp_path / "x.json", parent="nowhere")
    with pytest.raises(UsageError, match="x is an item"):
        ingest(repository, tmp_path / "x.json", parent="x")


def test_what_was_pruned_can_be_ingested_again(repository: Repository, tmp_path: Path) -> None:
    source = observation(tmp_path / "in")
    ingest(repository, source, assets="copy")
    report = Prune(repository, extract=tmp_path / "taken out").run(["fields/o1"])
    assert (report.counts, report.commits) == ({"removed": 1}, 1)
    assert not repository.head().find("o1")
    assert (tmp_path / "taken out/o1/images/im age.fits").read_bytes() == b"an image"
    freed = json.loads((tmp_path / "taken out/o1/o1.json").read_bytes())
    assert [one["rel"] for one in freed["links"]] == ["license"]
    assert [one.fate for one in fates(repository, source, assets="copy")] == ["added"]
    before = stored(repository, "o1")
    Prune(repository).run(["o1"])
    assert [one.fate for one in fates(repository, tmp_path / "taken out/o1", assets="copy")] == ["added"]
    assert stored(repository, "o1") == before


def test_pruning_is_all_or_nothing(repository: Repository, tmp_path: Path) -> None:
    ingest(repository, observation(tmp_path / "in"))
    before = repository.head().commit.oid
    report = Prune(repository, extract=tmp_path / "out").run(["o1", "gone"])
    assert report.counts == {"withdrawn": 1, "failed": 1}
    assert repository.head().commit.oid == before
    assert not list((tmp_path / "out").glob("*"))
    report = Prune(repository, one_commit=False).run(["gone", "o1"])
    assert report.counts == {"removed": 1, "failed": 1}
    assert not repository.head().find("o1")


def test_a_pruned_catalogue_goes_with_its_orphans_and_comes_back(repository: Repository, tmp_path: Path) -> None:
    ingest(repository, write(tmp_path / "others.json", collection("others")))
    place = survey(tmp_path / "survey")
    write(place / "deep/lost.json", item("lost", "deep"))
    ingest(repository, place, parent="others")
    Prune(repository, extract=tmp_path / "out").run(["survey"])
    assert [path for path, _ in repository.head().tree.files() if "/survey/" in path] == []
    assert not repository.head().find("lost")
    assert files_of(tmp_path / "out" / "survey").keys() == files_of(place).keys()
    (fate,) = fates(repository, tmp_path / "out" / "survey", parent="others")
    assert fate.fate == "added"
    assert fate.remarks == ("1 nodes are orphans, to which no link leads, such as deep/lost.json",)


def test_a_published_catalogue_is_fetched(repository: Repository, tmp_path: Path) -> None:
    place = survey(tmp_path / "survey")
    stac = json.loads((place / "deep/a/a.json").read_bytes()) | {"assets": {"image": {"href": "../images/a.fits"}}}
    write(place / "deep/a/a.json", stac)
    status = {"code": 404}

    def answer(asked: Asked) -> Answer:
        file = place / asked.path.removeprefix("/stac/")
        return Answer(body=file.read_bytes()) if file.is_file() else Answer(status["code"])

    with serving(answer) as server:
        url = f"{server.url}/stac/catalog.json"
        (fate,) = fates(repository, url)
        assert (fate.fate, fate.id, fate.remarks) == ("added", "survey", ())
        assert stored(repository, "a")["assets"]["image"]["href"] == f"{server.url}/stac/deep/images/a.fits"
        assert len(server.asked) == 4
        assert [one.fate for one in fates(repository, url)] == ["unchanged"]
        (place / "deep/b/b.json").unlink()
        status["code"] = 403
        (fate,) = fates(repository, url)
        assert fate.fate == "failed"
        assert "403" in (fate.reason or "")
        assert repository.head().find("b")
        status["code"] = 404
        (fate,) = fates(repository, url)
        assert fate.fate == "modified"
        assert fate.remarks == (
            "1 links to children and items lead to nothing, such as deep/collection.json -> deep/b/b.json",
        )
        assert not repository.head().find("b")
        write(place / "single.json", item("single", None) | {"assets": {"image": {"href": "s.fits"}}})
        (fate,) = fates(repository, f"{server.url}/stac/single.json")
        assert fate.fate == "added"
        assert stored(repository, "single")["assets"]["image"]["href"] == f"{server.url}/stac/s.fits"


PLUG_IN = """
import json
__version__ = "{version}"
def discover(source):
    yield from source.split("+")
def id(product_source):
    if product_source == "bad":
        raise KeyError(product_source)
    return product_source
def version(product_source):
    return "1"
def process(product_source):
    path = {folder!r} + "/" + product_source + ".json"
    with open(path, "w") as file:
        json.dump({{"type": "Feature", "stac_version": "1.1.0", "id": product_source, "geometry": None,
                   "properties": {{"datetime": "2024-01-01T00:00:00Z", "made_by": __version__}},
                   "links": [], "assets": {{}}}}, file)
    return path
def release(path):
    open(path + ".released", "w").close()
"""


def test_others_bring_their_processors(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    # What is compiled is told from its source by size and whole seconds, which both versions may have in common.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for version, fate in (("1", "added"), ("2", "modified")):
        (tmp_path / "stac_processor_words.py").write_text(PLUG_IN.format(version=version, folder=str(tmp_path)))
        monkeypatch.delitem(sys.modules, "stac_processor_words", raising=False)
        told = fates(repository, "one+bad+two", name="words")
        assert [one.fate for one in told] == [fate, "failed", fate]
        assert told[1].reason == "id() of its processor failed: KeyError: 'bad'"
        assert stored(repository, "two")["properties"]["made_by"] == version
        assert (tmp_path / "one.json.released").exists()
    (tmp_path / "stac_processor_half.py").write_text("__version__ = '1'")
    found = {one.name: one for one in processors()}
    assert found.keys() >= {"stac", "fits", "words", "half"}
    assert (found["words"].version, found["words"].problem) == ("2", None)
    assert "has no discover, id, version, process" in (found["half"].problem or "")
    with pytest.raises(UsageError, match="there is no processor sound, but fits, half, stac, words"):
        processor("sound")


def test_an_entry_point_is_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "words_of_ours.py").write_text(PLUG_IN.format(version="7", folder=str(tmp_path)))
    (tmp_path / "words-1.0.dist-info").mkdir()
    (tmp_path / "words-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: words\nVersion: 1.0\n")
    (tmp_path / "words-1.0.dist-info" / "entry_points.txt").write_text(
        "[stac_rucio_sync.processors]\nours = words_of_ours\nlost = no_such_module\n"
    )
    found = {one.name: one for one in processors()}
    assert (found["ours"].version, found["ours"].origin) == ("7", "words (words_of_ours)")
    assert "no_such_module" in (found["lost"].problem or "")
    assert processor("ours").version == "7"
    with pytest.raises(UsageError, match="the processor lost cannot be used"):
        processor("lost")
