from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stac_rucio_sync.model import Did, Gone, ItemKey, Kept, Removable
from stac_rucio_sync.removal import actions
from stac_rucio_sync.seen import ItemKeys

texts = st.text(st.characters(codec=None), max_size=4)


@given(st.lists(st.builds(ItemKey, texts, texts)), st.lists(st.builds(ItemKey, texts, texts), max_size=3))
@settings(max_examples=50, deadline=None)
def test_keys_come_back_once_each_without_what_was_taken_out(keys: list[ItemKey], withdrawn: list[ItemKey]) -> None:
    held = ItemKeys()
    held.put([*keys, *withdrawn])
    held.discard(withdrawn)
    batches = list(held.batches(2))
    held.close()
    came = [key for batch in batches for key in batch]
    assert len(came) == len(set(came))
    assert set(came) == set(keys) - set(withdrawn)
    assert all(len(batch) == 2 for batch in batches[:-1])


def test_the_plan_names_what_goes_and_what_stays() -> None:
    gone = Gone(ItemKey("c", "1"), Did("s", "c..1"), (), (Did("s", "a"), Did("s", "b"), Did("s", "d")))
    removable = Removable(
        gone,
        Did("s", "c"),
        unused=[Did("s", "b")],
        replicas=[(Did("s", "a"), "ORIGIN")],
        kept=[Kept(Did("s", "b"), "another item has it"), Kept(Did("s", "d"), "a rule")],
    )
    assert [str(action) for action in actions(removable)] == [
        "- item c/1",
        "- dataset s:c..1  (detached from s:c)",
        "- file s:b  (detached from s:c..1)",
        "- replica s:a at ORIGIN",
        "= file s:b  (kept: another item has it)",
        "= file s:d  (kept: a rule)",
    ]


def test_the_plan_says_of_a_dataset_that_it_stays() -> None:
    gone = Gone(ItemKey("c", "1"), Did("s", "c..1"), (), ())
    removable = Removable(gone, Did("s", "c"), detach=False, kept=[Kept(gone.did, "a rule")])
    assert [str(action) for action in actions(removable)] == ["- item c/1", "= dataset s:c..1  (kept: a rule)"]
