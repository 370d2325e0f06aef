"""Parts of bounded length."""

from __future__ import annotations

from itertools import count, islice

from stac_rucio_sync.parts import in_parts


def test_everything_is_in_one_part_in_order() -> None:
    assert list(in_parts(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(in_parts(iter("abc"), 3)) == [["a", "b", "c"]]
    assert list(in_parts([], 3)) == []


def test_no_more_is_taken_than_was_asked_for() -> None:
    numbers = count()
    assert list(islice(in_parts(numbers, 2), 2)) == [[0, 1], [2, 3]]
    assert next(numbers) == 4
