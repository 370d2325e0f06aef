from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stac_rucio_sync.model import Fate, ItemKey
from stac_rucio_sync.seen import Once, Seen

KEY = ItemKey("c", "1")


def test_what_was_never_met_has_no_fate() -> None:
    assert Seen().get([KEY]) == {}


def test_the_latest_fate_wins_and_the_fingerprint_from_before_the_run_stays() -> None:
    seen = Seen()
    seen.put({KEY: (Fate.CHANGED, "before")})
    assert seen.get([KEY]) == {KEY: (Fate.CHANGED, "before")}
    seen.put({KEY: (Fate.QUARANTINED, "what this run wrote")})
    assert seen.get([KEY]) == {KEY: (Fate.QUARANTINED, "before")}
    assert len(seen) == 1


def test_an_item_that_was_new_stays_new_for_the_run() -> None:
    seen = Seen()
    seen.put({KEY: (Fate.ADDED, None)})
    seen.put({KEY: (Fate.UNCHANGED, "written by this run")})
    assert seen.get([KEY]) == {KEY: (Fate.UNCHANGED, None)}


def test_what_is_missing_keeps_its_order_over_many_statements() -> None:
    keys = [ItemKey("c", str(number)) for number in range(2500)]
    seen = Seen()
    seen.put({key: (Fate.UNCHANGED, "x") for key in keys if int(key.id) % 3})
    assert seen.missing(keys) == [key for key in keys if not int(key.id) % 3]
    assert len(seen.get(iter(keys))) == len(seen)


@settings(max_examples=25, deadline=None)
@given(st.sets(st.tuples(st.text(max_size=4), st.text(max_size=4)).map(lambda pair: ItemKey(*pair)), max_size=20))
def test_keys_never_meet_by_the_border_between_collection_and_id(keys: set[ItemKey]) -> None:
    seen = Seen()
    seen.put({key: (Fate.ADDED, f"{key!r}") for key in keys})
    assert seen.get(keys) == {key: (Fate.ADDED, f"{key!r}") for key in keys}
    seen.close()


def test_a_text_is_new_once() -> None:
    once = Once()
    assert [once.first(text) for text in ("a", "b", "a", "\ud800", "\ud800")] == [True, True, False, True, False]
    once.close()
