"""The WebDAV server of the RSEs that files are uploaded to behaves as grid storage does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
import zlib
from pathlib import Path

import pytest
import requests

from tests.conftest import RunningLake
from tests.lake.rest import Account

UPLOADS, ARCHIVE = "VIENNA-LOCALGROUPDISK", "VIENNA-ARCHIVE-LOCALGROUPDISK"


@pytest.fixture
def share(lake: RunningLake) -> str:
    """The URL of the folder that files are uploaded to."""
    return str(lake.facts["rses"][UPLOADS]["url"])


@pytest.fixture
def folder(lake: RunningLake) -> Path:
    return Path(lake.facts["rses"][UPLOADS]["folder"])


def ask(verb: str, url: str, content: bytes | None = None, **headers: str) -> int:
    return requests.request(verb, url, data=content, headers=headers, timeout=60).status_code


def test_a_file_arrives_with_the_folders_above_it(share: str, folder: Path, scope: str) -> None:
    content = os.urandom(2_500_000)
    assert ask("PUT", f"{share}/{scope}/aa/bb/image.fits", content) == 201
    assert (folder / scope / "aa" / "bb" / "image.fits").read_bytes() == content
    part = requests.get(f"{share}/{scope}/aa/bb/image.fits", headers={"Range": "bytes=10-19"}, timeout=60)
    assert (part.status_code, part.content) == (206, content[10:20])


def test_a_file_of_no_bytes_arrives(share: str, folder: Path, scope: str) -> None:
    assert ask("PUT", f"{share}/{scope}/empty", b"") == 201
    assert (folder / scope / "empty").read_bytes() == b""


def test_a_renaming_makes_the_folders_above_the_new_name(share: str, folder: Path, scope: str) -> None:
    ask("PUT", f"{share}/{scope}/x.rucio.upload", b"bytes")
    assert ask("MOVE", f"{share}/{scope}/x.rucio.upload", Destination=f"{share}/{scope}/cc/dd/x") == 201
    assert [path.name for path in (folder / scope).rglob("*") if path.is_file()] == ["x"]
    assert (folder / scope / "cc" / "dd" / "x").read_bytes() == b"bytes"


def test_nothing_is_overwritten(share: str, folder: Path, scope: str) -> None:
    ask("PUT", f"{share}/{scope}/kept", b"first")
    ask("PUT", f"{share}/{scope}/other", b"second")
    assert ask("PUT", f"{share}/{scope}/kept", b"second") == 409
    assert ask("MOVE", f"{share}/{scope}/other", Destination=f"{share}/{scope}/kept") == 412
    assert (folder / scope / "kept").read_bytes() == b"first"
    assert ask("DELETE", f"{share}/{scope}/kept") == 204
    assert ask("PUT", f"{share}/{scope}/kept", b"second") == 201


def test_what_rucios_client_sends_for_http_means_the_plain_path(share: str, folder: Path, scope: str) -> None:
    doubled = f"{share}/{share}/{scope}"
    assert ask("MKCOL", f"{share}/{doubled}") == 201
    assert ask("PUT", f"{doubled}/file.rucio.upload", b"bytes") == 201
    assert ask("MOVE", f"{doubled}/file.rucio.upload", Destination=f"{doubled}/file") == 201
    assert (folder / scope / "file").read_bytes() == b"bytes"
    assert sorted(path.name for path in folder.iterdir() if ":" in path.name) == []


def test_a_folder_that_an_upload_by_path_made_takes_files_and_gives_them_away(
    share: str, folder: Path, scope: str
) -> None:
    if os.geteuid() == 0 and "system.posix_acl_default" not in os.listxattr(folder):
        pytest.skip("the file system has no ACLs")
    (folder / scope / "aa").mkdir(parents=True)  # as whoever runs the tests, maybe root
    (folder / scope / "aa" / "by-path").write_bytes(b"bytes")
    assert ask("PUT", f"{share}/{scope}/aa/by-webdav", b"bytes") == 201
    assert ask("PUT", f"{share}/{scope}/bb/by-webdav", b"bytes") == 201
    assert ask("DELETE", f"{share}/{scope}/aa/by-path") == 204


def test_nothing_outside_the_folder_is_written_or_read(lake: RunningLake, share: str, folder: Path, scope: str) -> None:
    (folder / scope).mkdir()
    (folder / scope / "link").symlink_to(lake.home / "server")
    for path in (f"../{scope}", f"%2e%2e/{scope}", f"{scope}/../../{scope}", f"..%2f{scope}", f"{scope}/link/{scope}"):
        prepared = requests.Request("PUT", f"{share}/", data=b"x").prepare()
        prepared.url = f"{share}/{path}"  # as it is: requests would resolve the dots
        with requests.Session() as session:
            assert 400 <= session.send(prepared, timeout=60).status_code < 500, path
    ask("PUT", f"{share}/{scope}/file", b"x")
    for path in (f"../{scope}", f"../localgroupdisk/../{scope}"):
        assert ask("MOVE", f"{share}/{scope}/file", Destination=f"{share}/{path}") >= 400, path
    assert ask("GET", f"{share}/{scope}/link/rucio.cfg") == 403
    assert [path for path in lake.home.rglob(scope) if path != folder / scope] == []


def test_the_archive_is_read_by_http_and_written_by_path_only(lake: RunningLake, scope: str) -> None:
    archive = lake.facts["rses"][ARCHIVE]
    (Path(archive["folder"]) / scope).mkdir()
    (Path(archive["folder"]) / scope / "file").write_bytes(b"bytes")
    assert requests.get(f"{archive['url']}/{scope}/file", timeout=60).content == b"bytes"
    assert ask("PUT", f"{archive['url']}/{scope}/other", b"bytes") == 403
    assert ask("DELETE", f"{archive['url']}/{scope}/file") == 403


@pytest.mark.slow
def test_rucios_own_client_brings_a_file_and_reads_it_and_the_reaper_takes_it_away(
    lake: RunningLake, folder: Path, tmp_path: Path
) -> None:
    name, content = f"file-{uuid.uuid4().hex}", os.urandom(1_500_000)
    (tmp_path / name).write_bytes(content)
    alice = Account(Path(lake.facts["accounts"]["alice"]))

    rucio(lake, "upload", "--rse", UPLOADS, "--scope", "user.alice", str(tmp_path / name))
    assert alice.replicas("user.alice", name)["states"] == {UPLOADS: "AVAILABLE"}
    [stored] = folder.rglob(name)
    assert stored.read_bytes() == content

    rucio(lake, "download", "--no-subdir", "--dir", str(tmp_path / "down"), f"user.alice:{name}")
    assert (tmp_path / "down" / name).read_bytes() == content

    [rule] = map(json.loads, alice.do("GET", f"dids/user.alice/{name}/rules").text.splitlines())
    alice.do("PUT", f"rules/{rule['id']}", {"options": {"lifetime": 0}})
    deadline = time.monotonic() + 100
    while stored.exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def rucio(lake: RunningLake, *arguments: str) -> None:
    """Run Rucio's own command line client as alice."""
    environment = {**os.environ, "RUCIO_CONFIG": lake.facts["accounts"]["alice"]}
    command = [sys.executable, str(Path(sys.executable).with_name("rucio")), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_asks_for_a_checksum_is_told_it_and_nobody_else(share: str, scope: str) -> None:
    content = b"\x00" * 7 + os.urandom(2_500_000)
    ask("PUT", f"{share}/{scope}/file", content)
    asked = {"Want-Digest": "adler32,md5"}
    answer = requests.head(f"{share}/{scope}/file", headers=asked, timeout=60)
    assert answer.headers["Digest"] == f"adler32={zlib.adler32(content):08x}"
    assert int(answer.headers["Content-Length"]) == len(content)
    assert "Digest" not in requests.head(f"{share}/{scope}/file", timeout=60).headers
    assert requests.head(f"{share}/{scope}/none", headers=asked, timeout=60).status_code == 404
    assert "Digest" not in requests.head(f"{share}/{scope}/", headers=asked, timeout=60).headers
