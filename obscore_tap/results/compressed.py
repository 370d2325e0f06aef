"""gzip on the way out, for those who ask for it (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

_FASTEST = 1
_GZIP = 31
"""zlib's window of 32 kB (15), written as gzip (+16)."""


def accepts_gzip(header: str | None) -> bool:
    """Return whether an Accept-Encoding allows gzip by name."""
    for part in (header or "").lower().split(","):
        coding, *parameters = (word.strip() for word in part.split(";"))
        if coding in {"gzip", "x-gzip"}:
            return not any(_is_zero(parameter) for parameter in parameters)
    return False


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and not value.strip().strip("0").strip(".")


def gzipped(chunks: Iterable[bytes]) -> Gzipped:
    """Compress chunks as they come; what is read is written at once, so that the first rows do not wait."""
    return Gzipped(chunks)


class Gzipped:
    """The compressed chunks. Closing it closes what it reads from, also when nothing was read yet."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._source = chunks
        self._chunks = iter(chunks)
        self._packer = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
        self._ended = False

    def __iter__(self) -> Gzipped:
        return self

    def __next__(self) -> bytes:
        if self._ended:
            raise StopIteration
        for chunk in self._chunks:
            return self._packer.compress(chunk) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        self._ended = True
        return self._packer.flush()

    def close(self) -> None:
        """Close what the chunks come from."""
        close = getattr(self._source, "close", None)
        if close is not None:
            close()
