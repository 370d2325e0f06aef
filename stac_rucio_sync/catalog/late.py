"""Objects of a transaction that wait to be written until their place in the catalogue is sure."""

from __future__ import annotations

import tempfile
from typing import IO


class Late:
    """Contents by path; the bytes wait on disk, so that memory does not grow with them."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="transaction-")  # noqa: SIM115 - closed by close()
        self._at: dict[str, tuple[int, int]] = {}

    def put(self, path: str, content: bytes) -> None:
        """Keep the content of a path."""
        self._at[path] = self._file.seek(0, 2), len(content)
        self._file.write(content)

    def get(self, path: str) -> bytes | None:
        """Return the content of a path; None: it does not wait here."""
        if path not in self._at:
            return None
        start, length = self._at[path]
        self._file.seek(start)
        return self._file.read(length)

    def drop(self, path: str) -> None:
        """Forget a path."""
        self._at.pop(path, None)

    def paths(self) -> set[str]:
        """Return all paths that wait."""
        return set(self._at)

    def clear(self) -> None:
        """Forget all."""
        self._at.clear()
        self._file.seek(0)
        self._file.truncate()

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()
