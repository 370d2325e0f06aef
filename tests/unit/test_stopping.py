"""A signal stops a run, wherever it strikes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from stac_rucio_sync.commands.stopping import stoppable


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """As in a terminal; after a signal the handler would stay, for a second one."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def struck_at_a_lock() -> None:
    """As a condition that was about to take its lock again, and gives it back instead."""
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        raise RuntimeError("release unlocked lock")


def test_what_a_signal_breaks_on_its_way_out_is_a_stop() -> None:
    with pytest.raises(KeyboardInterrupt) as stopped, stoppable():
        struck_at_a_lock()
    assert "unlocked lock" in str(stopped.value.__cause__)


def test_without_a_signal_an_error_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="a mistake"), stoppable():
        raise RuntimeError("a mistake")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
