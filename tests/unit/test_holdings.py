"""What the front page says that is held: counted by one at a time, and nobody waits for long."""

from __future__ import annotations

import threading
import time

from obscore_tap.holdings import Counter, Holdings


def test_pages_do_not_wait_for_a_long_count_and_start_no_second_one() -> None:
    begun, go_on = [], threading.Event()

    def count() -> Holdings:
        begun.append(time.monotonic())
        go_on.wait(30)
        return Holdings(products=7)

    counter = Counter(count)
    since = time.monotonic()
    pages = [threading.Thread(target=counter.holdings) for _ in range(20)]
    for page in pages:
        page.start()
    for page in pages:
        page.join(10)
    assert time.monotonic() - since < 10
    shown = counter.holdings()
    assert shown is not None
    assert not shown.is_counted
    assert len(begun) == 1
    go_on.set()
    assert counter.holdings() == Holdings(products=7)
    assert counter.holdings() == Holdings(products=7)
    assert len(begun) == 1, "it is fresh"


def test_a_database_that_does_not_answer_is_not_asked_by_every_page() -> None:
    begun = []

    def count() -> None:
        begun.append(1)

    counter = Counter(count)
    assert counter.holdings() is None
    assert counter.holdings() is None
    assert len(begun) == 1
