"""What a source is: it has a name and yields changes, lazily, with a cursor at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime as Instant  # noqa: N812 - `datetime` is the name of a STAC API parameter below
from typing import Literal, Protocol

from stac_rucio_sync.http import Patience
from stac_rucio_sync.model import Change, Cursor, ItemBroken, ItemKey, ItemRead, JsonObject

Kind = Literal["api", "static", "file", "catalog"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What to read of a source, and how.

    ``bbox``, ``datetime`` and ``filter`` are parameters of a STAC API (item search 1.0; filter extension) and are
    refused for other sources. ``since`` saves time where a server can select by ``updated``; elsewhere the source is
    read whole.
    """

    collections: tuple[str, ...] = ()
    """Only items of these collections; empty: all."""
    bbox: tuple[float, ...] | None = None
    """4 or 6 numbers, degrees: west, south, (lowest,) east, north (, highest)."""
    datetime: str | None = None
    """An RFC 3339 instant or an interval ``start/end`` with ``..`` for an open end."""
    filter: str | JsonObject | None = None
    """CQL2 as text or JSON."""
    since: Instant | None = None
    """Only items updated at or after this instant, with a time zone."""
    full: bool = False
    """Read the source whole, whatever the cursor says."""
    delete: bool = False
    """What is gone is to be removed: a source that cannot tell that by itself is read whole."""
    at: str | None = None
    """Of a versioned catalogue: the version, as `stac_rucio_sync.catalog.repository.Repository.version` takes it."""
    kind: Kind | None = None
    """What the location is; unset: it is looked at."""
    page_size: int = 250
    default_collection: str = "items"
    """The collection of items that name none."""
    allow_private: bool = False
    """Whether a public source may lead to private addresses."""
    patience: Patience = field(default_factory=lambda: Patience(away=60.0))


@dataclass(slots=True)
class Reading:
    """One pass over a source: iterate it once; what stands below ``changes`` is right when it is exhausted.

    Memory is bounded by one page, line or record batch of the source.
    """

    changes: Iterator[Change] = field(default_factory=lambda: iter(()))
    filtered: bool = False
    """Only a part of the source was asked for (a selection, or only what is newer than a cursor)."""
    complete: bool = False
    """Read to the end, unfiltered, and nothing unreadable that could hide items: what was not met is gone."""
    partial: bool = False
    """Something could not be read and may hide items."""
    cursor: Cursor | None = None
    """Where the next read may go on; None: nowhere better than where this one began."""
    begun: Cursor | None = None
    """Is to be recorded before the first item is done, so that a run that is cut short leaves word of what it may have
    done; None: the cursor that stands says enough."""
    lacking: Callable[[Iterable[ItemKey]], Iterator[ItemKey]] | None = None
    """Yields those of some items that the source does not have, where it knows that without a read."""
    again: Callable[[Sequence[ItemKey]], Iterator[Change]] | None = None
    """Yields some items as they are now, as far as the source has them, where this read meets only what is new; is
    asked before it."""
    remarks: list[str] = field(default_factory=list)
    """Sentences for the operator."""
    expected: int | None = None
    """How many items there will be, where the source says so."""
    part: Callable[[], float | None] = lambda: None

    def __iter__(self) -> Iterator[Change]:
        return self.changes

    def miss(self, sentence: str) -> None:
        """Note that items may be hidden from this read, and why."""
        self.partial = True
        self.remarks.append(sentence)

    def fraction(self) -> float | None:
        """Return how much has been read, 0 to 1; None where nobody can know."""
        part = self.part()
        return None if part is None else min(1.0, max(0.0, part))


class Source(Protocol):
    """Where items come from."""

    @property
    def name(self) -> str:
        """The key of everything that is remembered of this source."""

    @property
    def kind(self) -> str | None:
        """``api``, ``static``, ``file`` or ``catalog``; None: it is no place, and what is recorded of it stays."""

    @property
    def location(self) -> str | None:
        """Absolute path or URL, without user and password; None as above."""

    def read(self, cursor: Cursor | None) -> Reading:
        """Begin to read, where possible only what is new since ``cursor``.

        Raises
        ------
        FatalError
            The source cannot be read (also while iterating).
        TransientError
            It does not answer, all retries are used up (also while iterating).
        UsageError
            It cannot do what the options ask for.
        """


def watched(
    changes: Iterable[Change], reading: Reading, options: ReadOptions, *, news: bool = False
) -> Iterator[Change]:
    """Pass a source's changes on: leave out other collections, note what is broken, and say how the read ended.

    Of ``news`` a collection may have none; else one that is asked for and has no item is remarked: a name may be wrong.
    """
    wanted = frozenset(options.collections)
    unmet = set() if news else set(wanted)
    broken = 0
    for change in changes:
        if isinstance(change, ItemBroken):
            broken += 1
        elif isinstance(change, ItemRead) and wanted:
            collection = _collection(change, options)
            if collection not in wanted:
                continue
            unmet.discard(collection)
        yield change
    for collection in sorted(unmet):
        reading.remarks.append(f"the source has no item of the collection {collection}: is that its id?")
    if broken:
        reading.miss(f"{broken} documents or lines of the source cannot be read")
    reading.complete = not (reading.filtered or reading.partial)


def _collection(read: ItemRead, options: ReadOptions) -> str:
    named = read.stac.get("collection")
    return named if isinstance(named, str) and named else options.default_collection
