"""Changes, commits, rollbacks, aborts and openings in any order end in what a dictionary would hold."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pystac
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from stac_rucio_sync.catalog import pages
from stac_rucio_sync.catalog.as_pystac import as_pystac
from stac_rucio_sync.catalog.history import rollback
from stac_rucio_sync.catalog.index import PAGE, ObjectKey
from stac_rucio_sync.catalog.index_file import INDEX
from stac_rucio_sync.catalog.paths import joined
from stac_rucio_sync.catalog.repository import ROOT, Located, Repository, Version
from stac_rucio_sync.catalog.transaction import Transaction, transaction
from stac_rucio_sync.errors import ItemError, UsageError
from tests.catalog.examples import collection, item
from tests.catalog.model import Key, Model, what_it_says

IDS = st.sampled_from(["a", "b", "c", "d", "e", "../f", "G", "\u00e9", "e\u0301", "h/i", "con"])
COLLECTIONS = st.sampled_from([None, "fields", "fields", "../up", "items"])
NUMBERS = st.integers(1, 9)
FILES = st.one_of(st.none(), st.dictionaries(st.sampled_from(["a.fits", "b/c.txt", "b/d.json"]), st.binary(max_size=4)))


class CatalogueMachine(RuleBasedStateMachine):
    """Random work on a repository, and on a model beside it."""

    backend = "git"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="stateful-"))
        self.repository = Repository.create(self.folder / "r", backend=self.backend, identifier="archive")
        self.stack = ExitStack()
        self.changes: Transaction | None = None
        self.model = Model()
        self.history = [Model()]

    # ------------------------------------------------------------------------------------------------ work

    @rule(identifier=IDS, name=COLLECTIONS, lon=NUMBERS, files=FILES, among=st.integers(0, 5))
    def put_item(self, identifier: str, name: str | None, lon: int, files: Any, among: int) -> None:
        key = ("item", name or "", identifier)
        homes: list[Key | None] = [None, *self.model.homes()]
        parent = homes[among] if among < len(homes) and among else None
        home = parent or (("collection", "", name) if name else None)
        stac = item(identifier, name, lon=lon, day=lon)
        entries = None if files is None else {at: self.open().writing.put_file(said) for at, said in files.items()}
        if key not in self.model.objects and self.model.has_item_called(identifier, home):
            with pytest.raises(ItemError, match="another item"):
                self.open().put_item(stac, parent=parent and self.path(parent), assets=entries)
            return
        if name and ("collection", "", name) not in self.model.objects:
            self.model.put(("collection", "", name), None, None, None)  # type: ignore[arg-type]  # made on the way
        fate = self.open().put_item(stac, parent=parent and self.path(parent), assets=entries)
        assert fate == self.model.put(key, stac, home, files)

    @rule(name=COLLECTIONS, is_catalog=st.booleans(), number=NUMBERS, among=st.integers(0, 5))
    def put_collection(self, name: str | None, is_catalog: bool, number: int, among: int) -> None:
        stac = collection(name or "nameless", description=f"number {number}")
        if is_catalog:
            stac = {field: stac[field] for field in ("stac_version", "id", "description", "links")}
            stac |= {"type": "Catalog", "id": f"catalog {stac['id']}"}
        key = (stac["type"].lower(), "", stac["id"])
        homes: list[Key | None] = [None, *self.model.homes()]
        home = homes[among] if among < len(homes) else None
        was_made = key in self.model.objects and self.model.objects[key].stac is None
        fate = self.open().put_collection(stac, parent=home and self.path(home))
        assert fate == self.model.put(key, stac, home, None) or was_made

    @precondition(lambda self: self.model.objects)
    @rule(number=st.integers(0, 30))
    def remove(self, number: int) -> None:
        key = sorted(self.model.objects)[number % len(self.model.objects)]
        gone = self.model.below(key)
        located = Located(ObjectKey(*key), self.path(key))
        if self.model.left_without(gone):
            with pytest.raises(UsageError, match="lie elsewhere"):
                self.open().remove(located)
            return
        self.open().remove(located)
        for one in gone:
            del self.model.objects[one]
        with pytest.raises(UsageError, match="there is no"):
            self.open().remove(located)

    @precondition(lambda self: self.model.items())
    @rule(number=st.integers(0, 30), among=st.integers(0, 5))
    def move(self, number: int, among: int) -> None:
        key = self.model.items()[number % len(self.model.items())]
        homes: list[Key | None] = [None, *self.model.homes()]
        home = homes[among % len(homes)]
        located = Located(ObjectKey(*key), self.path(key))
        if self.model.objects[key].home != home and self.model.has_item_called(key[2], home):
            with pytest.raises(UsageError, match="is there already"):
                self.open().move(located, self.path(home))
            return
        self.open().move(located, self.path(home))
        self.model.objects[key].home = home

    @rule()
    def commit(self) -> None:
        before = self.repository.objects.head()
        commit = self.open().commit("work")
        assert self.repository.objects.head() == (before if commit is None else commit.oid)
        if commit is not None:
            self.history.append(self.model.copy())
        self.check()

    @rule()
    def abort(self) -> None:
        head = self.repository.objects.head()
        self.stack.close()
        self.changes = None
        self.model = self.history[-1].copy()
        assert self.repository.objects.head() == head

    @rule(number=st.integers(0, 30))
    def go_back(self, number: int) -> None:
        """Give up what was not committed, and make an earlier version the latest again, by a commit of its own."""
        self.abort()
        number %= len(self.history)
        target = self.repository.version(number + 1)
        is_the_same = target.commit.tree == self.repository.head().commit.tree
        commit = rollback(self.repository, target, wait=1.0)
        assert (commit is None) == is_the_same
        if commit is not None:
            self.model = self.history[number].copy()
            self.history.append(self.model.copy())
        self.check()

    @rule(is_index_lost=st.booleans())
    def reopen(self, is_index_lost: bool) -> None:
        self.abort()
        known = [list(self.repository.index.changes_of(number + 1)) for number in range(len(self.history))]
        place = self.repository.place
        self.repository.close()
        if is_index_lost:
            for path in place.glob(f"{INDEX}*"):
                path.unlink()
        self.repository = Repository(place)
        assert known == [list(self.repository.index.changes_of(number + 1)) for number in range(len(self.history))]

    # ------------------------------------------------------------------------------------------------ looking

    def open(self) -> Transaction:
        if self.changes is None:
            self.changes = self.stack.enter_context(transaction(self.repository, wait=1.0))
        return self.changes

    def path(self, key: Key | None) -> str:
        path = ROOT if key is None else self.open().find(ObjectKey(*key))
        assert path is not None
        return path

    def check(self) -> None:
        """Compare the head with the model, and an earlier version with what it was."""
        head = self.repository.head()
        assert head.number == len(self.history)
        self.compare(head, self.history[-1])
        self.compare_links(as_pystac(head), self.history[-1])
        earlier = 1 + len(self.history) // 2
        self.compare(self.repository.version(earlier), self.history[earlier - 1])

    def compare(self, version: Version, model: Model) -> None:
        found = {located.key: (located.path, stac) for located, stac in version.objects() if located.path != ROOT}
        assert set(found) == set(model.objects)
        for key, kept in model.objects.items():
            path, stac = found[ObjectKey(*key)]
            if kept.stac is not None:
                assert what_it_says(key, stac) == what_it_says(key, kept.stac)
            if key[0] == "collection" and (bbox := model.bbox(key)):
                assert stac["extent"]["spatial"]["bbox"] == [bbox]
            folder = path.rpartition("/")[0]
            beside = {at[len(folder) + 1 :] for at, _ in version.tree.files(folder)} - {path[len(folder) + 1 :]}
            if key[0] == "item":
                assert beside == set(kept.files)
                assert all(version.tree.read(joined(folder, at)) == said for at, said in kept.files.items())
            assert [one.path for one in version.find(key[2], key[1]) if one.key == key] == [path]

    def compare_links(self, root: pystac.Catalog, model: Model) -> None:
        """Walk as pystac does: every object is met once, below its home, and valid by the core schema."""
        waiting: list[tuple[pystac.Catalog, Key | None]] = [(root, None)]
        while waiting:
            here, home = waiting.pop()
            here.validate()
            met: list[Key] = []
            for below, at in reached(here):
                below.validate()
                parent = below.get_parent()
                assert parent is not None
                assert parent.get_self_href() == at.get_self_href()
                if isinstance(below, pystac.Item):
                    met.append(("item", below.collection_id or "", below.id))
                    of = below.get_collection()
                    assert (of.id if of else None) == below.collection_id
                    kept = model.objects[met[-1]].stac
                    assert kept is not None
                    assert below.bbox == kept["bbox"]
                elif isinstance(below, pystac.Catalog):
                    met.append((below.STAC_OBJECT_TYPE.value.lower(), "", below.id))
                    waiting.append((below, met[-1]))
            assert sorted(met) == sorted(key for key, _ in model.members(home))

    def teardown(self) -> None:
        self.stack.close()
        if self.backend == "git":
            self.check_as_git_has_it()
        self.repository.close()
        shutil.rmtree(self.folder)

    def check_as_git_has_it(self) -> None:
        place, clone = self.repository.place, self.folder / "clone"
        said = subprocess.run(
            ["git", "-C", str(place), "fsck", "--full", "--strict", "--unreachable"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert said.stdout == ""
        subprocess.run(["git", "clone", "-q", str(place), str(clone)], check=True, capture_output=True)
        self.compare_links(pystac.Catalog.from_file(str(clone / ROOT)), self.history[-1])


def reached(home: pystac.Catalog) -> list[tuple[pystac.STACObject, pystac.Catalog]]:
    """Return the members of a home with what links to them; pages in between are passed."""
    found: list[tuple[pystac.STACObject, pystac.Catalog]] = [(one, home) for one in home.get_items()]
    for child in home.get_children():
        found += reached(child) if PAGE in child.extra_fields else [(child, home)]
    return found


class OnFilesystem(CatalogueMachine):
    backend = "filesystem"


class OnGit(CatalogueMachine):
    backend = "git"


@pytest.fixture
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MOST_MEMBERS", 3)


@pytest.mark.usefixtures("_short_pages")
@pytest.mark.parametrize("examples", [12, pytest.param(300, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("machine", [OnFilesystem, OnGit])
def test_work_in_any_order(machine: type[CatalogueMachine], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
