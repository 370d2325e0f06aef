"""Answers to PROPFIND, as RFC 4918 and real servers write them."""

from __future__ import annotations

import pytest

from stac_rucio_sync.stores.storage.multistatus import MalformedError, Resource, resources

FOLDER = b"""<?xml version="1.0" encoding="utf-8"?>
<D:multistatus xmlns:D="DAV:" xmlns:x="urn:example">
  <D:response>
    <D:href>/data/</D:href>
    <D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype>
      <D:getlastmodified>Mon, 12 Jan 1998 09:25:56 GMT</D:getlastmodified></D:prop>
      <D:status>HTTP/1.1 200 OK</D:status></D:propstat>
    <D:propstat><D:prop><D:getcontentlength/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>
  </D:response>
  <D:response>
    <D:href>
      /data/a%20b%3F&amp;.fits
    </D:href>
    <D:propstat><D:prop><D:resourcetype/><D:getcontentlength>4525</D:getcontentlength><x:href>no</x:href>
      <D:getlastmodified>not a date</D:getlastmodified></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
    <D:propstat><D:prop><D:getcontentlength/></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>
  </D:response>
</D:multistatus>
"""


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_files_and_folders_come_as_they_are_read(size: int) -> None:
    blocks = (FOLDER[start : start + size] for start in range(0, len(FOLDER), size))
    folder, file = resources(blocks)
    assert (folder.href, folder.folder, folder.bytes, folder.changed) == ("/data/", True, None, 884597156.0)
    assert (file.href, file.folder, file.bytes, file.changed) == ("/data/a%20b%3F&.fits", False, 4525, None)


def test_the_first_file_is_given_before_the_last_is_read() -> None:
    first, rest = FOLDER.split(b"</D:response>", 1)

    def blocks() -> object:
        yield first + b"</D:response>"
        raise AssertionError("read on")

    assert isinstance(next(resources(blocks())), Resource)  # type: ignore[arg-type] # the blocks of a generator
    assert rest


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (FOLDER[:-20], "no element found|unclosed token"),
        (b"", "no element found"),
        (b"<html></html>", "root element is 'html'"),
        (b'<!DOCTYPE multistatus [<!ENTITY a "b">]><multistatus xmlns="DAV:"/>', "document type"),
        (b'<multistatus xmlns="DAV:"><response><href>' + b"x" * 70_000, "longer than 64 KiB"),
    ],
    ids=["cut off", "empty", "a page", "with entities", "endless"],
)
def test_what_is_no_multistatus_is_refused(document: bytes, says: str) -> None:
    with pytest.raises(MalformedError, match=says):
        list(resources([document]))
