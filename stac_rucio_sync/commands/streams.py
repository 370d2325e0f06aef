"""What nobody reads any more (``| head``) is lost, and the work goes on: its exit code tells of the work."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO, cast

_STREAMS: Final = ("stdout", "stderr")


@contextmanager
def read_or_not() -> Iterator[None]:
    """Have stdout and stderr take what is written when their reader has gone away.

    Without it the first word to nobody ends a command: by click, or by rich, which closes stdout when it was stderr
    that broke, with an exit code that says that some items failed. A stream that is no file of the system (a test's)
    is left alone.
    """
    before: dict[str, TextIO] = {}
    for name in _STREAMS:
        stream = getattr(sys, name)
        if (raw := _raw_of(stream)) is not None:
            before[name] = stream
            setattr(sys, name, _over(_Patient(raw), stream))
    try:
        yield
    finally:
        for name, stream in before.items():
            with suppress(OSError, ValueError):  # a full disk: whoever wrote was told, or it was not worth telling
                getattr(sys, name).flush()
            setattr(sys, name, stream)


class _Patient(io.FileIO):
    """A file descriptor that leads nowhere once its reader has gone."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw.fileno(), "wb", closefd=False)
        self.name = raw.name

    def write(self, content: object) -> int:
        """Write, or lose, some bytes."""
        try:
            return super().write(content)  # type: ignore[arg-type]  # whatever the buffer hands down
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # also for programs that are started from here
            os.close(nowhere)
            return super().write(content)  # type: ignore[arg-type]  # see above


def _raw_of(stream: object) -> io.FileIO | None:
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # python -u has no buffer between
    return raw if isinstance(stream, io.TextIOWrapper) and type(raw) is io.FileIO else None


def _over(raw: io.FileIO, stream: TextIO) -> TextIO:
    like = cast(io.TextIOWrapper, stream)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=like.line_buffering,
        write_through=like.write_through,
    )
