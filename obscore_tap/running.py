"""A translated query on its way from the database to a client: rows in batches, bytes in chunks, nothing held back."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from obscore_tap.database import Database, Rows
from obscore_tap.refusals import Refusal
from obscore_tap.results.formats import Format
from obscore_tap.results.writer import Batch, Ending, Heading, Info, Writer, statement
from obscore_tap.schema import Translation

__all__ = ["Answer", "Chunks", "Database", "run"]


class Chunks:
    """The bytes of a document, to be read once. Closing them ends the query that they come from."""

    def __init__(self, source: Generator[bytes, None, None]) -> None:
        self._source = source
        # A generator that was never started would not hear that it is closed, and the first rows have come anyway.
        self._first: bytes | None = next(source)

    def __iter__(self) -> Chunks:
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._source)

    @property
    def ready(self) -> int:
        """How many bytes can be read without waiting."""
        return len(self._first or b"")

    def close(self) -> None:
        """End the query where it is not over yet."""
        self._first = None
        self._source.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """A document that is being written."""

    mime: str
    chunks: Chunks
    file_name: str
    ending: Ending
    """Complete when the last chunk was read."""
    length: int | None = None
    """Bytes of the document where all of them are known already: the result was a small one."""


def run(  # noqa: PLR0913 - each of them is one thing that a request or the service says of a result
    database: Database,
    translation: Translation,
    form: Format,
    *,
    max_rows: int,
    timeout: float,
    infos: Sequence[Info] = (),
    datalink_url: str = "",
    resources: Sequence[str] = (),
    title: str = "",
    late_errors: bool = True,
    started: Callable[[Callable[[], None]], None] | None = None,
) -> Answer:
    """Run a query, and return its result when the first rows are there.

    Parameters
    ----------
    database
        Where it runs.
    translation
        What runs.
    form
        How the result is written.
    max_rows
        Rows that are given at most. Where there are more, the document says so after the last one; where none is
        asked for, it says so always (DALI 1.1 section 3.4.4).
    timeout
        Seconds that the database may take, until the last row is read.
    infos, datalink_url, resources, title
        What else a VOTable says; see `Heading`.
    late_errors
        Whether a document that can say it (VOTable, JSON) tells of an error after the first rows. Else, and in the
        other formats, reading the chunks raises it.
    started
        Is given, before the database is asked, a function that cancels the query from any thread.

    Raises
    ------
    Refusal
        The query was not answered; see `Database.query`.
    """
    writer = form.writer(translation.columns, Heading(tuple(infos), datalink_url, tuple(resources), title))
    limit = max_rows + 1 if max_rows else 0
    rows = database.query(statement(translation, writer.row, limit), timeout, started)
    ending = Ending(overflow=not max_rows)
    chunks = Chunks(_written(rows, writer, max_rows, ending, late_errors and writer.tells_errors))
    length = chunks.ready if rows.finished else None
    return Answer(form.content_type, chunks, f"result.{form.suffix}", ending, length)


def _written(
    rows: Rows, writer: Writer, max_rows: int, ending: Ending, tell_errors: bool
) -> Generator[bytes, None, None]:
    """Write the document. Whoever closes this generator ends the query."""
    try:
        waiting = writer.begin()
        try:
            for batch in rows:
                waiting += writer.rows(_allowed(batch, max_rows, ending))
                if rows.finished:  # what is left to write is known, too: one chunk, not two
                    break
                if waiting:
                    yield waiting
                waiting = b""
        except Refusal as error:
            if not tell_errors:
                raise
            ending.error = str(error)
        yield waiting + writer.end(ending)
    finally:
        rows.close()


def _allowed(batch: Batch, max_rows: int, ending: Ending) -> Batch:
    """Return a batch without the row that is one too many, which is there to tell that there are more."""
    left = max_rows - ending.rows
    if len(batch) > left:
        ending.overflow = True
        batch = batch[:left]
    ending.rows += len(batch)
    return batch
