"""Ctrl-C, and SIGTERM alike: the first stops a run with its report so far, a second one stops at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

EXIT_STOPPED = 130


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` in the main thread at the first signal, and end the process at the second.

    What a second signal cuts off is done again by the next run, as after a crash. A signal may strike where Python
    cannot bear it (between the parts of a lock, say), and what comes out of that is then a stop all the same. In a
    thread other than the main one nothing changes: signals are not its business.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    met = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal met
        if met:
            os._exit(EXIT_STOPPED)
        met = True
        raise KeyboardInterrupt

    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    former = {number: signal.signal(number, stop) for number in heard}  # nohup and `&` in scripts ask to ignore them
    try:
        yield
    except Exception as error:
        if met:
            raise KeyboardInterrupt from error
        raise
    finally:
        if not met:  # else a second signal still ends the process
            for number, handler in former.items():
                signal.signal(number, handler)


def leave_stopped() -> NoReturn:
    """End the process without waiting for threads that wait for a server."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(EXIT_STOPPED)
