"""Folders listed side by side: a server far away takes as long to answer for an empty folder as for a full one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Full, Queue
from typing import Final, Generic, TypeVar

from stac_rucio_sync.parts import in_parts

Found = TypeVar("Found")

Listed = tuple[str | None, Found | None]
"""A folder that is to be listed, too, or what was found."""

_PART: Final = 500
_LISTENING_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 5.0
"""How long requests that are under way are waited for when a listing ends early."""


class _Crew(Generic[Found]):
    """Threads that list folders until none is left."""

    def __init__(self, start: str, listed: Callable[[str], Iterable[Listed[Found]]], size: int) -> None:
        self._listed = listed
        self._waiting: Queue[str | None] = Queue()
        self._waiting.put(start)
        self._found: Queue[list[Found] | BaseException | None] = Queue(maxsize=2 * size)
        self._open = 1
        """Folders that are not listed to their end."""
        self._counting = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(size)]

    def run(self) -> Iterator[Found]:
        for thread in self._threads:
            thread.start()
        try:
            while (chunk := self._found.get()) is not None:
                if isinstance(chunk, BaseException):
                    raise chunk
                yield from chunk
        finally:
            self._stopped.set()
            self._dismiss()
            for thread in self._threads:
                thread.join(_PATIENCE_SECONDS)

    def _dismiss(self) -> None:
        for _ in self._threads:
            self._waiting.put(None)

    def _work(self) -> None:
        while (folder := self._waiting.get()) is not None:
            try:
                if not self._stopped.is_set():
                    self._list(folder)
            except BaseException as error:  # noqa: BLE001 - raised where the result is read
                self._give(error)
            with self._counting:
                self._open -= 1
                last = self._open == 0
            if last:
                self._give(None)
                self._dismiss()

    def _list(self, folder: str) -> None:
        for part in in_parts(self._listed(folder), _PART):
            for more, _ in part:
                if more is not None:
                    with self._counting:
                        self._open += 1
                    self._waiting.put(more)
            found = [one for _, one in part if one is not None]
            if found and not self._give(found):
                return

    def _give(self, found: list[Found] | BaseException | None) -> bool:
        """Hand over; tell whether anybody still listens."""
        while not self._stopped.is_set():
            try:
                self._found.put(found, timeout=_LISTENING_SECONDS)
            except Full:
                continue
            return True
        return False


def side_by_side(start: str, listed: Callable[[str], Iterable[Listed[Found]]], size: int) -> Iterator[Found]:
    """Yield what is found in a folder and below it, in no order.

    Parameters
    ----------
    start
        The folder.
    listed
        Lists one folder: folders that are to be listed, too, and what is found. Called in several threads.
    size
        Folders that are listed at the same time. Memory is bounded by it, however full a folder is.

    Raises
    ------
    BaseException
        The first that ``listed`` raised.
    """
    return _Crew(start, listed, size).run()
