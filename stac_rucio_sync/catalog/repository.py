"""A repository: a STAC catalogue with all its versions. Versions are read here; `transaction` makes new ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from stac_rucio_sync.catalog.git_objects import GitObjects
from stac_rucio_sync.catalog.index import HistoryIndex, ObjectKey, key_of, may_be_object
from stac_rucio_sync.catalog.lock import writer_lock
from stac_rucio_sync.catalog.objects import Commit, MissingObjectError, Objects
from stac_rucio_sync.catalog.pages import STAC_VERSION, json_file
from stac_rucio_sync.catalog.plain_objects import PlainObjects
from stac_rucio_sync.catalog.trees import Tree, TreeEdits
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.model import JsonObject

ROOT = "catalog.json"
BACKENDS: dict[str, type[GitObjects] | type[PlainObjects]] = {"git": GitObjects, "filesystem": PlainObjects}
AUTHOR = "stac-rucio-sync"
SHORT_NAME = 7
"""Characters of a commit's name as git shortens it."""


class Located(NamedTuple):
    """A STAC object in a version."""

    key: ObjectKey
    path: str


class Version:
    """The catalogue as it was at one commit, read only."""

    def __init__(self, repository: Repository, commit: Commit) -> None:
        self._repository = repository
        self.commit = commit
        self.tree = Tree(repository.objects, commit.tree)

    @property
    def repository(self) -> Repository:
        """The repository that it is a version of."""
        return self._repository

    @property
    def place(self) -> Path:
        """The folder of the repository."""
        return self._repository.place

    @property
    def number(self) -> int:
        """The number of the commit, counted from 1."""
        return self._repository.number(self.commit)

    def stac(self, path: str) -> JsonObject:
        """Return the STAC object at a path.

        Raises
        ------
        MissingObjectError
            There is none.
        """
        said: JsonObject = orjson.loads(self.tree.read(path))
        return said

    def find(self, identifier: str, collection: str | None = None) -> list[Located]:
        """Return the objects with an id; usually one, but ids of items repeat across collections."""
        found = self._repository.index.located(identifier, self.number, collection)
        return [Located(key, path) for key, path in found]

    def items_of(self, collection: str) -> Iterator[Located]:
        """Yield the items of a collection, wherever they lie."""
        for key, path in self._repository.index.items_of(collection, self.number):
            yield Located(key, path)

    def find_one(self, identifier: str) -> Located:
        """Return the one object that a person means: an id, ``collection/id``, or a path.

        Raises
        ------
        UsageError
            There is none, or more than one; the text names them.
        """
        found = self.find(identifier)
        for at in [at for at, character in enumerate(identifier) if character == "/" and not found]:
            found += self.find(identifier[at + 1 :], identifier[:at])
        if not found and may_be_object(identifier):
            entry = self.tree.entry(identifier)
            key = key_of(_json(self._repository.objects.file(entry.oid))) if entry and not entry.is_folder else None
            found = [] if key is None else [Located(key, identifier)]
        if not found:
            raise UsageError(f"there is no {identifier} in the catalogue at commit {self.number}")
        if len(found) > 1:
            paths = ", ".join(one.path for one in found[:5])
            raise UsageError(f"{identifier} names {len(found)} objects: {paths}; name one by its path")
        return found[0]

    def objects(self) -> Iterator[tuple[Located, JsonObject]]:
        """Yield all STAC objects with what names them, in the order of paths; pages are none."""
        for path, entry in self.tree.files():
            if may_be_object(path):
                said = _json(self._repository.objects.file(entry.oid))
                key = key_of(said)
                if key is not None and said is not None:
                    yield Located(key, path), said


class Repository:
    """A repository at a place.

    Parameters
    ----------
    place
        Its folder.

    Raises
    ------
    UsageError
        There is no repository.
    """

    def __init__(self, place: Path) -> None:
        self.objects: Objects = _open(place)
        self._index: HistoryIndex | None = None

    @classmethod
    def create(
        cls, place: Path, *, backend: str = "git", identifier: str = "catalog", title: str | None = None,
        description: str = "A catalogue of STAC items.",
    ) -> Repository:  # fmt: skip
        """Make a repository with a root catalogue and nothing in it, which is its first commit.

        Raises
        ------
        UsageError
            There is something at that place, or no such backend.
        """
        if backend not in BACKENDS:
            raise UsageError(f"there is no backend {backend}, but {' and '.join(sorted(BACKENDS))}")
        objects: Objects = BACKENDS[backend].create(place)
        root: JsonObject = {"type": "Catalog", "stac_version": STAC_VERSION, "id": identifier}
        if title:
            root["title"] = title
        root["description"] = description
        root["links"] = [{"rel": "root", "href": f"./{ROOT}", "type": "application/json"}]
        with writer_lock(place), objects.writing() as writing:
            edits = TreeEdits(writing, None)
            edits.write(ROOT, json_file(root))
            writing.save(edits.save(), f"Begin the catalogue {identifier}", AUTHOR, datetime.now(UTC))
        objects.close()
        return cls(place)

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def place(self) -> Path:
        """Its folder."""
        return self.objects.place

    @property
    def backend(self) -> str:
        """``git`` or ``filesystem``."""
        return next(name for name, kind in BACKENDS.items() if isinstance(self.objects, kind))

    @property
    def warnings(self) -> list[str]:
        """What went wrong although the commits stand, since it was opened: packing, the index of its history."""
        return self.objects.warnings

    @property
    def index(self) -> HistoryIndex:
        """The index of its history, opened when it is needed."""
        if self._index is None:
            self._index = HistoryIndex(self.objects)
        return self._index

    def close(self) -> None:
        """Give back what is held open."""
        if self._index is not None:
            self._index.close()
            self._index = None
        self.objects.close()

    def head(self) -> Version:
        """Return the latest version.

        Raises
        ------
        FatalError
            There is no commit.
        """
        oid = self.objects.head()
        if oid is None:
            raise FatalError(
                f"{self.place} has no commit: what made it was cut short; remove the folder and make it again"
            )
        return Version(self, self.objects.commit(oid))

    def version(self, ref: str | int | datetime | None = None) -> Version:
        """Return a version.

        Parameters
        ----------
        ref
            The name of a commit or its beginning (at least 7 characters where they are digits only); its number (1 is
            the first, -1 the latest, -2 the one before it); an instant, or a text of RFC 3339 or a day: the version of
            then (UTC); ``HEAD`` or None: the latest.

        Raises
        ------
        UsageError
            There is no such version.
        """
        if ref is None or ref == "HEAD":
            return self.head()
        try:
            return Version(self, self.objects.commit(self._oid(ref)))
        except MissingObjectError as error:
            raise UsageError(str(error)) from error

    def number(self, commit: Commit) -> int:
        """Return the number of a commit."""
        found = self.index.number(commit.oid)
        if found is None:
            self.index.catch_up()
            found = self.index.number(commit.oid)
        if found is None:
            raise MissingObjectError(f"{commit.oid} is no commit of the catalogue's history")
        return found

    def _oid(self, ref: str | int | datetime) -> str:
        self.index.catch_up()
        if isinstance(ref, datetime):
            return self.index.oid_at(ref)
        if isinstance(ref, str) and not re.fullmatch(r"-?\d{1,9}", ref):
            instant = _instant(ref)
            return self.objects.named(ref.lower()) if instant is None else self.index.oid_at(instant)
        number, latest = int(ref), self.index.latest()
        if isinstance(ref, str) and len(ref) >= SHORT_NAME and number > latest:
            # One short name in some dozens has digits only.
            return self.objects.named(ref)
        if not -latest <= number <= latest or number == 0:
            raise MissingObjectError(
                f"there is no commit {ref}: the latest is {latest}, which is -1, and the first is 1"
            )
        return self.index.oid(number if number > 0 else latest + 1 + number)


def backend_of(place: Path) -> type[GitObjects] | type[PlainObjects] | None:
    """Tell by a look at a folder of which backend it is a repository; None: it is none."""
    if (place / "HEAD").is_file() and (place / "objects").is_dir():
        return GitObjects
    if (place / "stac-catalog").is_file():
        return PlainObjects
    return None


def _open(place: Path) -> Objects:
    backend = backend_of(place)
    if backend is not None:
        return backend(place)
    if (place / ".git").exists():
        raise UsageError(f"{place} is a clone with a work tree; the repository itself is bare")
    raise UsageError(f"{place} is no catalogue repository: stac-rucio-sync catalog init makes one")


def _instant(text: str) -> datetime | None:
    """Read an instant; a day without a time is its end."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        text += "T23:59:59Z"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _json(content: bytes) -> JsonObject | None:
    try:
        said = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return said if isinstance(said, dict) else None
