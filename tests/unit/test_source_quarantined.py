from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stac_rucio_sync.model import ItemBroken, ItemRead
from stac_rucio_sync.sources import Source
from stac_rucio_sync.sources.quarantined import QuarantinedItems
from tests.unit.stac_server import item


@dataclass(frozen=True)
class Entry:
    position: str
    reason: str
    stac: dict[str, Any] | None
    href: str | None
    commit: str | None = None


def test_what_is_in_quarantine_is_read_as_it_was_and_claims_to_be_no_whole() -> None:
    entries = [
        Entry("a:1", "no geometry", item(1), "https://a.org/1.json", "c0ffee"),
        Entry("a:2", "not JSON", None, None),
    ]
    source: Source = QuarantinedItems("wild", entries)
    reading = source.read(None)
    assert list(reading) == [ItemRead(item(1), "https://a.org/1.json", "a:1", "c0ffee"), ItemBroken("a:2", "not JSON")]
    assert reading.filtered
    assert not reading.complete
    assert reading.cursor is None
    assert source.location is None  # the retry does not change where the source lies
