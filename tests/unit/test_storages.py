"""Storages as an audit sees them: a folder, and a WebDAV server with its moods."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
import requests

from stac_rucio_sync.errors import RefusedError, TransientError
from stac_rucio_sync.model.storage import StoredFile
from stac_rucio_sync.stores.storage import failures as storage_failures
from stac_rucio_sync.stores.storage import webdav as storage_webdav
from stac_rucio_sync.stores.storage.folder import FolderStorage, hashed
from stac_rucio_sync.stores.storage.side_by_side import side_by_side
from stac_rucio_sync.stores.storage.webdav import WebDavStorage
from tests.unit.loopback import Answer, Asked, Loopback, serving


def never(folder: str, why: str) -> None:
    raise AssertionError(f"{folder}: {why}")


# ------------------------------------------------------------------------------------------------------------ a folder


def test_a_folder_is_walked_whole(tmp_path: Path) -> None:
    names = ["a", "deep/er/b", "deep/new\nline", "deep/\udce9.fits", "-rf", "..x"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    storage = FolderStorage(tmp_path)
    found = {file.path: file.bytes for file in storage.files("", never)}
    assert found == {name: len(name.encode("utf-8", "surrogateescape")) for name in names}
    assert {file.path for file in storage.files("deep", never)} == {name for name in names if name.startswith("deep/")}
    assert list(storage.files("nosuch", never)) == []
    for name in names:
        looked = storage.look(name)
        assert looked is not None
        assert looked.bytes == found[name]
        assert storage.hash(name) == hashed([name.encode("utf-8", "surrogateescape")])
    assert (storage.look("empty"), storage.look("pipe"), storage.look("a/b"), storage.look("nosuch")) == (None,) * 4
    assert (storage.delete("deep/er/b"), storage.delete("deep/er/b")) == (True, False)
    with pytest.raises(RefusedError, match="cannot be deleted"):
        storage.delete("empty")


def test_the_time_of_a_file_is_that_of_its_last_change_of_any_kind(tmp_path: Path) -> None:
    """A file that was sent with the time of its source is as young as its name."""
    (tmp_path / "sent").write_bytes(b"")
    os.utime(tmp_path / "sent", (0, 0))
    looked = FolderStorage(tmp_path).look("sent")
    assert looked is not None
    assert looked.changed == (tmp_path / "sent").stat().st_ctime


def test_a_folder_that_is_not_there_is_not_empty(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="there is no folder"):
        list(FolderStorage(tmp_path / "nosuch").files("", never))


# ------------------------------------------------------------------------------------------------------------- WebDAV

TREE = {"": ["a%20b%3F", "sub/"], "sub/": ["c"]}


def multistatus(base: str, *hrefs: str) -> Answer:
    def response(href: str) -> str:
        kind = "<resourcetype><collection/></resourcetype>" if href.endswith("/") else "<resourcetype/>"
        length = "" if href.endswith("/") else "<getcontentlength>3</getcontentlength>"
        return f"<response><href>{base}{href}</href><propstat><prop>{kind}{length}</prop></propstat></response>"

    body = f'<multistatus xmlns="DAV:">{"".join(map(response, hrefs))}</multistatus>'
    return Answer(207, body.encode())


def tree(asked: Asked) -> Answer:
    """Answer as the server of two files."""
    path = asked.path.removeprefix("/data/")
    if asked.method == "PROPFIND" and path in TREE:
        within = [path + name for name in TREE[path]] if asked.headers["Depth"] == "1" else []
        return multistatus("/data/", path, *within)
    if path not in ("a%20b%3F", "sub/c"):
        return Answer(404)
    if asked.method == "PROPFIND":
        return multistatus("/data/", path)
    return Answer(200, b"abc") if asked.method == "GET" else Answer(204)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_failures, "FIRST_PAUSE", 0.0)


@contextmanager
def storage_of(answer: Callable[[Asked], Answer]) -> Iterator[tuple[WebDavStorage, Loopback]]:
    with serving(answer) as server:
        storage = WebDavStorage(
            f"{server.url}/data", lambda: SimpleNamespace(session=requests.Session(), cert=None, timeout=60)
        )
        try:
            yield storage, server
        finally:
            storage.close()


def test_a_server_is_listed_folder_by_folder() -> None:
    with storage_of(tree) as (storage, server):
        storage.probe()
        assert sorted(storage.files("", never), key=str) == [StoredFile("a b?", 3), StoredFile("sub/c", 3)]
        assert list(storage.files("sub", never)) == [StoredFile("sub/c", 3)]
        assert list(storage.files("nosuch", never)) == []
        assert storage.look("a b?") == StoredFile("a b?", 3)
        assert (storage.look("nosuch"), storage.look("sub/")) == (None, None)
        assert storage.hash("a b?") == hashed([b"abc"])
        assert (storage.delete("a b?"), storage.delete("a")) == (True, False)
        # The file that is deleted is the one that is meant.
        assert [path for path in server.paths() if path.startswith("DELETE")] == [
            "DELETE /data/a%20b%3F",
            "DELETE /data/a",
        ]


def test_addresses_may_be_written_out_and_in_any_spelling() -> None:
    def written_out(asked: Asked) -> Answer:
        path = asked.path.removeprefix("/data/")
        within = {"": ["%61", "s%75b/"], "sub/": ["sub/c"]}.get(unquote(path), [])
        return multistatus(f"http://{asked.headers['Host']}/data/", path, *within)

    with storage_of(written_out) as (storage, _):
        assert sorted(storage.files("", never), key=str) == [StoredFile("a", 3), StoredFile("sub/c", 3)]


def test_what_breaks_off_is_asked_for_again() -> None:
    failures = [Answer(503), multistatus("/data/", "", "a%20b%3F")]
    failures[1].cut = 60

    def moody(asked: Asked) -> Answer:
        return failures.pop(0) if failures else tree(asked)

    with storage_of(moody) as (storage, _):
        assert {file.path for file in storage.files("", never)} == {"a b?", "sub/c"}
        failures.append(Answer(200, b"abc", cut=2))
        assert storage.hash("a b?") == hashed([b"abc"])


def test_what_keeps_failing_is_said() -> None:
    with storage_of(lambda _: Answer(503)) as (storage, server):
        with pytest.raises(TransientError, match="HTTP 503"):
            storage.look("a")
        assert len(server.asked) == storage_webdav.ATTEMPTS
        with pytest.raises(TransientError, match="HTTP 503"):
            list(storage.files("", never))


def test_a_folder_that_is_closed_is_told_and_the_rest_is_listed() -> None:
    closed: list[tuple[str, str]] = []
    with storage_of(lambda asked: Answer(403) if asked.path == "/data/sub/" else tree(asked)) as (storage, _):
        assert list(storage.files("", lambda *told: closed.append(told))) == [StoredFile("a b?", 3)]
    assert [folder for folder, _ in closed] == ["sub"]
    assert "HTTP 403" in closed[0][1]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(405), "HTTP 405"),
        (Answer(404), "HTTP 404"),
        (Answer(200, b"<html>welcome</html>"), "HTTP 200"),
        (multistatus("/other/", "", "a"), "which is not below it"),
    ],
    ids=["no WebDAV", "no such folder", "a page", "another folder"],
)
def test_a_server_that_lists_nothing_is_refused(answer: Answer, says: str) -> None:
    with storage_of(lambda _: answer) as (storage, _):
        with pytest.raises(RefusedError, match=says):
            storage.probe()
        with pytest.raises(RefusedError, match=says):
            list(storage.files("", never))


def test_what_may_not_be_read_or_deleted_is_refused() -> None:
    with storage_of(lambda _: Answer(403)) as (storage, _):
        for act in (storage.look, storage.hash, storage.delete):
            with pytest.raises(RefusedError, match="HTTP 403"):
                act("a")
        with pytest.raises(RefusedError, match="leaves the folder"):
            storage.delete("../a")


# ------------------------------------------------------------------------------------------------------- side by side


def test_folders_are_listed_side_by_side() -> None:
    together = threading.Barrier(4, timeout=60)

    def listed(folder: str) -> Iterator[tuple[str | None, str | None]]:
        if folder:
            together.wait()
        for number in range(4) if not folder else ():
            yield f"{number}", None
        yield None, f"file in {folder}"

    assert sorted(side_by_side("", listed, 4)) == ["file in ", *(f"file in {number}" for number in range(4))]


def test_a_full_folder_is_not_read_further_than_it_is_wanted() -> None:
    read = 0

    def endless(_: str) -> Iterator[tuple[str | None, int | None]]:
        nonlocal read
        while True:
            read += 1
            yield None, read

    files = side_by_side("", endless, 2)
    assert next(files) == 1
    files.close()  # type: ignore[attr-defined] # it is a generator
    assert read < 10_000


def test_what_fails_in_one_folder_ends_the_listing() -> None:
    def listed(folder: str) -> Iterator[tuple[str | None, str | None]]:
        yield "bad" if not folder else None, "file"
        if folder:
            raise RefusedError("closed")

    with pytest.raises(RefusedError, match="closed"):
        list(side_by_side("", listed, 2))
