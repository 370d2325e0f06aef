"""The members of a catalogue or collection, in pages of bounded length.

Up to `MOST_MEMBERS` members are links of the object itself (its *home*). Beyond that, links go to pages, catalogues in
between, divided by the digits of the members' ids; a page that grows too long is divided again. So one member more
costs one page and the pages above it, however many there are. A page is divided once and for all: it is not joined
again.

Beside each home and page lies a record, which a STAC client does not see: its members with what each contributes to
extents and summaries, or the sums of its pages.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from stac_rucio_sync.catalog.extents import NOTHING, Summed, summed_from_json, total
from stac_rucio_sync.catalog.index import PAGE
from stac_rucio_sync.catalog.paths import digits, folder_of, joined, relative_href
from stac_rucio_sync.catalog.trees import TreeEdits
from stac_rucio_sync.model import JsonObject

MOST_MEMBERS = 256
PAGES = "pages"
HOMES = ".homes.json"
"""Beside files of a tree that came whole: by file name, the hrefs of those that link down to it, where its own
``parent`` link does not say so."""
STAC_VERSION = "1.1.0"
_ITEM, _CHILD = "item", "child"
_MEDIA_TYPES = {_ITEM: "application/geo+json", _CHILD: "application/json"}


def json_file(stac: JsonObject) -> bytes:
    """Return a STAC object as the file that it becomes."""
    return orjson.dumps(stac, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def record_path(path: str) -> str:
    """Return where the record of the home or page at a path lies."""
    folder = folder_of(path)
    return joined(folder, f".{path[len(folder) + 1 :] if folder else path}")


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a home."""

    rel: str
    """``item`` or ``child``: the relation of the link to it."""
    id: str
    path: str
    title: str | None = None
    summed: Summed = NOTHING

    @property
    def key(self) -> str:
        """What tells it from the other members."""
        return f"{self.rel}:{self.id}"

    def link(self, start: str) -> JsonObject:
        """Return the link to it from the file at ``start``."""
        link: JsonObject = {
            "rel": self.rel, "href": relative_href(self.path, start), "type": _MEDIA_TYPES[self.rel]
        }  # fmt: skip
        if self.title:
            link["title"] = self.title
        return link


@dataclass(slots=True)
class Page:
    """A home, or a page below one."""

    path: str
    """Of the file that has the links."""
    depth: int
    members: dict[str, Member] = field(default_factory=dict)
    """Empty when it is divided."""
    pages: dict[str, Summed] | None = None
    """By digit; None: it is not divided."""
    above: Page | None = None
    linked: frozenset[str] = frozenset()
    """Of a home: hrefs of the links that were written at the last commit."""
    is_changed: bool = False
    folder: str = PAGES
    """Of a home: the name of the folder of its pages."""

    def summed(self) -> Summed:
        """Return what all its members come to."""
        return total(self.pages.values() if self.pages is not None else (one.summed for one in self.members.values()))

    def links(self) -> list[JsonObject]:
        """Return the links to its members or pages, in the order of ids or digits."""
        if self.pages is None:
            return [self.members[key].link(self.path) for key in sorted(self.members)]
        return [
            {"rel": _CHILD, "href": relative_href(self.page_path(digit), self.path), "type": _MEDIA_TYPES[_CHILD]}
            for digit in sorted(self.pages)
        ]

    def page_path(self, digit: str) -> str:
        """Return where the page of a digit lies."""
        folder = folder_of(self.path)
        return joined(folder, f"{self.folder}/{digit}/catalog.json" if self.above is None else f"{digit}/catalog.json")

    def record(self) -> JsonObject:
        """Return what is kept beside it."""
        if self.pages is not None:
            divided: JsonObject = {"pages": {digit: one.as_json() for digit, one in sorted(self.pages.items())}}
            return divided if self.folder == PAGES else divided | {"folder": self.folder}
        members = {}
        for key, member in sorted(self.members.items()):
            kept: JsonObject = {"path": member.path}
            if member.title:
                kept["title"] = member.title
            if member.rel == _ITEM:
                kept["sum"] = member.summed.as_json()
            members[key] = kept
        return {"members": members}


class Pages:
    """The pages of one home, loaded as they are needed, saved together.

    Parameters
    ----------
    edits
        The version in the making.
    home
        Path of the object that they are the members of.
    """

    def __init__(self, edits: TreeEdits, home: str) -> None:
        self._edits = edits
        self._pages: dict[str, Page] = {}
        self.home = self._load(home, 0, None)

    def get(self, rel: str, identifier: str) -> Member | None:
        """Return a member; None: it is none of these."""
        return self._page_of(identifier).members.get(f"{rel}:{identifier}")

    def put(self, member: Member) -> list[Member]:
        """Add a member, or replace what is known of it.

        Returns
        -------
        list
            The members whose parent changed by it: itself when it is new, and others when a page was divided.
        """
        page = self._page_of(member.id)
        is_new = member.key not in page.members
        if not is_new and page.members[member.key] == member:
            return []
        page.members[member.key] = member
        self._changed(page)
        moved = [member] if is_new else []
        if len(page.members) > MOST_MEMBERS:
            moved = list(page.members.values())
            self._divide(page)
        return moved

    def remove(self, rel: str, identifier: str) -> bool:
        """Take a member away; tell whether it was one."""
        page = self._page_of(identifier)
        if page.members.pop(f"{rel}:{identifier}", None) is None:
            return False
        self._changed(page)
        return True

    def parent_path(self, identifier: str) -> str:
        """Return the file whose link leads to the member with an id: its parent."""
        return self._page_of(identifier).path

    def members(self, page: Page | None = None) -> Iterator[Member]:
        """Yield all members."""
        page = page or self.home
        if page.pages is None:
            yield from page.members.values()
            return
        for digit in sorted(page.pages):
            yield from self.members(self._below(page, digit))

    def save(self, root: str) -> None:
        """Write the pages that changed, and all records but the home's own file, whose links and sums are the caller's.

        Parameters
        ----------
        root
            Path of the root of the catalogue.
        """
        for page in sorted(self._pages.values(), key=lambda page: -page.depth):
            if not page.is_changed:
                continue
            if page.above is not None:
                digit = _digit(page.path)
                summed = page.summed()
                if not page.members and not page.pages:
                    (page.above.pages or {}).pop(digit, None)
                    self._edits.remove(folder_of(page.path))
                    continue
                if page.above.pages is not None:
                    page.above.pages[digit] = summed
                self._edits.write(page.path, json_file(self._catalog(page, page.above, root)))
            self._edits.write(record_path(page.path), orjson.dumps(page.record(), option=orjson.OPT_APPEND_NEWLINE))

    def _catalog(self, page: Page, above: Page, root: str) -> JsonObject:
        home = folder_of(self.home.path) or "root"
        prefix = (
            page.path[len(folder_of(self.home.path)) :]
            .strip("/")
            .removeprefix(f"{self.home.folder}/")
            .split("/catalog.json")[0]
        )
        return {
            "type": "Catalog",
            "stac_version": STAC_VERSION,
            "id": f"{home}/pages/{prefix}",
            "description": f"Members of {home} whose digits begin with {prefix.replace('/', '')}.",
            PAGE: True,
            "links": [
                {"rel": "root", "href": relative_href(root, page.path), "type": _MEDIA_TYPES[_CHILD]},
                {"rel": "parent", "href": relative_href(above.path, page.path), "type": _MEDIA_TYPES[_CHILD]},
                *page.links(),
            ],
        }

    def _page_of(self, identifier: str) -> Page:
        page = self.home
        by = digits(identifier)
        while page.pages is not None:
            page = self._below(page, by[page.depth])
        return page

    def _below(self, page: Page, digit: str) -> Page:
        path = page.page_path(digit)
        return self._pages[path] if path in self._pages else self._load(path, page.depth + 1, page)

    def _load(self, path: str, depth: int, above: Page | None) -> Page:
        page = Page(path, depth, above=above)
        kept = self._edits.read(record_path(path))
        if kept is not None:
            record: dict[str, Any] = orjson.loads(kept)
            if "pages" in record:
                page.pages = {digit: summed_from_json(one) for digit, one in record["pages"].items()}
                page.folder = record.get("folder", PAGES)
            else:
                page.members = {key: _member(key, one) for key, one in record["members"].items()}
            if above is None:
                page.linked = frozenset(link["href"] for link in page.links())
        if above is None and page.pages is None:
            page.folder = self._free_folder(folder_of(path))
        self._pages[path] = page
        return page

    def _free_folder(self, folder: str) -> str:
        """Return a name for the folder of pages: a tree that came whole may have one of its own."""
        name, number = PAGES, 2
        while self._edits.names(joined(folder, name)):
            name, number = f"{PAGES}-{number}", number + 1
        return name

    def _divide(self, page: Page) -> None:
        members, page.members, page.pages = page.members, {}, {}
        for member in members.values():
            digit = digits(member.id)[page.depth]
            page.pages.setdefault(digit, NOTHING)
            below = self._below(page, digit)
            below.members[member.key] = member
            below.is_changed = True
        for digit in list(page.pages):
            below = self._below(page, digit)
            if len(below.members) > MOST_MEMBERS:
                self._divide(below)

    def _changed(self, page: Page) -> None:
        at: Page | None = page
        while at is not None:
            at.is_changed = True
            if at.above is not None and at.above.pages is not None:
                at.above.pages.setdefault(_digit(at.path), NOTHING)
            at = at.above


def _digit(path: str) -> str:
    """Return the digit of the page at a path."""
    return path.split("/")[-2]


def _member(key: str, kept: dict[str, Any]) -> Member:
    rel, identifier = key.split(":", 1)
    summed = summed_from_json(kept["sum"]) if "sum" in kept else NOTHING
    return Member(rel, identifier, kept["path"], kept.get("title"), summed)
