from __future__ import annotations

import gzip
import zlib

import pytest

from obscore_tap.results import accepts_gzip, gzipped


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("x-gzip", True),
    ],
)
def test_gzip_is_written_for_those_who_name_it(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_what_is_compressed_reads_back_and_comes_without_delay() -> None:
    chunks = [b"a" * 100_000, b"b", b"c" * 10]
    stream = iter(gzipped(iter(chunks)))
    first = next(stream)
    assert zlib.decompressobj(31).decompress(first) == chunks[0]
    assert gzip.decompress(first + b"".join(stream)) == b"".join(chunks)


def test_closing_the_compressed_stream_closes_its_source_even_unread() -> None:
    class Source:
        closed = False

        def __iter__(self) -> Source:
            return self

        def __next__(self) -> bytes:
            raise AssertionError("nothing was asked for")

        def close(self) -> None:
            self.closed = True

    source = Source()
    gzipped(source).close()
    assert source.closed
