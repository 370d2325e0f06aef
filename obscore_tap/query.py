"""The one way that a query goes, whoever asks: its text, uploaded tables, translation, the database, the stream."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache

from obscore_tap.adql.translate import translate
from obscore_tap.refusals import TooLarge
from obscore_tap.results import Info, negotiate
from obscore_tap.running import Answer, Chunks, Database, run
from obscore_tap.schema import Published, Table, Translation

VOTABLE = "application/x-votable+xml"
_CACHED = 512
_CACHED_BYTES = 4096
"""Longer queries, such as lists of a thousand identifiers, do not come again."""

Uploaded = AbstractContextManager[tuple[Table, ...]]
"""Loads tables when it is entered, and drops them when it is left."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How the result of a query is wanted."""

    max_rows: int
    form: str | None = None
    """Value of RESPONSEFORMAT; None where it was not given."""
    default_form: str = VOTABLE
    """The format where none was asked for; also what plain ``votable`` means."""
    timeout: float | None = None
    """Seconds that the database may take; None: the limit of synchronous queries."""
    infos: Sequence[Info] = ()
    resources: Sequence[str] = ()
    """XML of RESOURCE elements that follow the results in a VOTable."""
    title: str = ""
    late_errors: bool = True
    """Whether an error after the first row becomes a trailing INFO; else it is raised."""
    started: Callable[[Callable[[], None]], None] | None = None
    """Is given, before the database is asked, a function that cancels the query from any thread."""


class Queries:
    """Translates and runs queries.

    Parameters
    ----------
    published
        What they may name.
    database
        Where they run, as a role that can only read that.
    timeout
        Seconds that a synchronous query may take.
    query_bytes
        The longest query.
    datalink_url
        The service that descriptors in results refer to.
    primary
        Where queries with uploaded tables run, which no standby has; None: as all others.
    """

    def __init__(
        self,
        published: Published,
        database: Database,
        *,
        timeout: float,
        query_bytes: int,
        datalink_url: str,
        primary: Database | None = None,
    ) -> None:
        self.published = published
        self._database = database
        self._primary = primary or database
        self._timeout = timeout
        self._query_bytes = query_bytes
        self._datalink_url = datalink_url
        self._remembered = lru_cache(maxsize=_CACHED)(lambda adql: translate(adql, published))

    def translate(self, adql: str, tables: tuple[Table, ...] = ()) -> Translation:
        """Return the statement that a query stands for.

        Parameters
        ----------
        adql
            The query.
        tables
            Tables that only this query may name: its uploads.

        Raises
        ------
        AdqlError
            The query is wrong.
        TooLarge
            It is longer than the service takes.
        """
        size = len(adql.encode("utf-8", "surrogatepass"))
        if size > self._query_bytes:
            raise TooLarge(f"the query has {size} bytes: at most {self._query_bytes} are taken")
        if tables:
            return translate(adql, self.published.with_tables(tables))
        return self._remembered(adql) if size <= _CACHED_BYTES else translate(adql, self.published)

    def answer(self, adql: str, asked: Asked, uploaded: Uploaded | None = None) -> Answer:
        """Run a query; what comes back streams.

        Parameters
        ----------
        adql
            The query.
        asked
            How the result is wanted.
        uploaded
            The query's own tables; they are dropped after the last byte.

        Raises
        ------
        Refusal, AdqlError
            The query or the format is wrong, or the database refused it.
        """
        negotiate(asked.form, asked.default_form)  # before any work
        with ExitStack() as stack:
            tables = stack.enter_context(uploaded) if uploaded is not None else ()
            database = self._database if uploaded is None else self._primary
            answer = self._run(database, self.translate(adql, tables), asked)
            if uploaded is None:
                return answer
            return replace(answer, chunks=Chunks(_then_leave(answer.chunks, stack.pop_all())))

    def stream(self, translation: Translation, asked: Asked) -> Answer:
        """Run a query that was translated.

        Parameters
        ----------
        translation
            Its statement; the words of its columns may have been changed.
        asked
            How the result is wanted.

        Raises
        ------
        Refusal
            There is no such format, or the database refused the query.
        """
        return self._run(self._database, translation, asked)

    def _run(self, database: Database, translation: Translation, asked: Asked) -> Answer:
        return run(
            database,
            translation,
            negotiate(asked.form, asked.default_form),
            max_rows=asked.max_rows,
            timeout=asked.timeout or self._timeout,
            infos=asked.infos,
            datalink_url=self._datalink_url,
            resources=asked.resources,
            title=asked.title,
            late_errors=asked.late_errors,
            started=asked.started,
        )


def _then_leave(chunks: Chunks, stack: ExitStack) -> Generator[bytes, None, None]:
    """Yield the chunks, and leave the stack when they end, however they end."""
    with stack:
        try:
            yield from chunks
        finally:
            chunks.close()
