"""Files travel: from an origin to a POSIX RSE by a rule, and to the user by `rucio download`."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
import urllib.parse
import uuid
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.conftest import RunningLake
from tests.lake.rest import ORIGIN_DOMAINS, Account

# Parts of a name that a server or a URL parser could take for something else.
ODD_NAME = "a b+c%20d#e;f=g&h'i~ü.fits"


@dataclass(frozen=True)
class Origin:
    """An origin RSE of its own for one test module."""

    rse: str
    url: str
    folder: Path

    def publish(self, name: str, content: bytes) -> str:
        """Put a file at the origin; return its URL, percent-encoded."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return self.url + "/" + urllib.parse.quote(name)


@pytest.fixture(scope="module")
def ingest(lake: RunningLake) -> Account:
    return Account(Path(lake.facts["accounts"]["ingest"]))


@pytest.fixture(scope="module")
def alice(lake: RunningLake) -> Account:
    return Account(Path(lake.facts["accounts"]["alice"]))


@pytest.fixture(scope="module")
def origin(lake: RunningLake, ingest: Account) -> Origin:
    rse = "ORIGIN-" + uuid.uuid4().hex[:8].upper()
    ingest.add_origin(rse, lake.facts["origin_url"])
    return Origin(rse, lake.facts["origin_url"], Path(lake.facts["origin_dir"]))


def download(lake: RunningLake, account: str, did: str, folder: Path, *options: str) -> Path:
    """Download a file with the real command line client."""
    environment = {**os.environ, "RUCIO_CONFIG": lake.facts["accounts"][account]}
    rucio = [sys.executable, str(Path(sys.executable).with_name("rucio"))]
    command = [*rucio, "download", "--no-subdir", "--dir", str(folder)]
    done = subprocess.run(
        [*command, *options, did], env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 1, done.stdout + done.stderr
    return files[0]


def test_a_rule_moves_the_bytes_to_a_posix_rse_and_they_come_down_by_http(
    lake: RunningLake, ingest: Account, alice: Account, origin: Origin, scope: str, tmp_path: Path
) -> None:
    content = os.urandom(3_000_000)
    ingest.add_scope(scope)
    url = origin.publish(f"{scope}/image.fits", content)
    ingest.add_replica(origin.rse, scope, "image.fits", content, url)

    rule = alice.add_rule(scope, "image.fits", "site=vienna&lake=True")
    alice.wait_for_rule(rule, "OK")

    found = alice.replicas(scope, "image.fits")
    assert found["states"] == {origin.rse: "AVAILABLE", "VIENNA-DISK": "AVAILABLE"}
    stored = list(Path(lake.facts["rses"]["VIENNA-DISK"]["folder"]).rglob("image.fits"))
    assert [path.read_bytes() == content for path in stored if scope in path.parts] == [True]
    [http] = [pfn for pfn, about in found["pfns"].items() if about["rse"] == "VIENNA-DISK"]
    assert http.startswith(lake.facts["rses"]["VIENNA-DISK"]["url"] + "/")
    part = requests.get(http, headers={"Range": "bytes=1000-1999"}, timeout=60)
    assert (part.status_code, part.content) == (206, content[1000:2000])
    file = download(lake, "alice", f"{scope}:image.fits", tmp_path, "--rses", "VIENNA-DISK")
    assert file.read_bytes() == content


def test_a_file_at_an_origin_comes_down_by_its_did(
    lake: RunningLake, ingest: Account, origin: Origin, scope: str, tmp_path: Path
) -> None:
    content = b"bytes at the origin" * 999
    ingest.add_scope(scope)
    ingest.add_replica(origin.rse, scope, "spectrum.fits", content, origin.publish(f"{scope}/deep/er/s.fits", content))
    assert download(lake, "alice", f"{scope}:spectrum.fits", tmp_path).read_bytes() == content


def test_names_with_odd_characters_are_served_and_transferred(
    lake: RunningLake, ingest: Account, alice: Account, origin: Origin, scope: str
) -> None:
    content = b"odd"
    ingest.add_scope(scope)
    url = origin.publish(f"{scope}/{ODD_NAME}", content)
    assert requests.get(url, timeout=60).content == content
    ingest.add_replica(origin.rse, scope, "plain.fits", content, url)
    rule = alice.add_rule(scope, "plain.fits", "SYDNEY-DISK")
    alice.wait_for_rule(rule, "OK")


def test_the_file_servers_serve_nothing_outside_their_folders(lake: RunningLake) -> None:
    assert (lake.home / "state.json").exists()
    for path in ("/../state.json", "/%2e%2e/state.json", "/..%2fstate.json", "//../state.json", "/x/../../state.json"):
        prepared = requests.Request("GET", "http://x/").prepare()
        prepared.url = lake.facts["origin_url"] + path  # as it is: requests would resolve the dots
        with requests.Session() as session:
            assert session.send(prepared, timeout=60).status_code == 404, path


def missing(ingest: Account, origin: Origin, scope: str) -> str:
    ingest.add_replica(origin.rse, scope, "file", b"x", f"{origin.url}/{scope}/nowhere.fits")
    return f"{scope}/nowhere.fits answered 404 NOT FOUND"


def wrong_bytes(ingest: Account, origin: Origin, scope: str) -> str:
    url = origin.publish(f"{scope}/changed.fits", b"other")
    ingest.add_replica(origin.rse, scope, "file", b"bytes", url)
    return f"has adler32 {zlib.adler32(b'other'):08x}, registered is {zlib.adler32(b'bytes'):08x}"


def wrong_size(ingest: Account, origin: Origin, scope: str) -> str:
    url = origin.publish(f"{scope}/longer.fits", b"longer than it was")
    ingest.add_replica(origin.rse, scope, "file", b"long", url)
    return "has 18 bytes, registered are 4"


def wrong_md5(ingest: Account, origin: Origin, scope: str) -> str:
    url = origin.publish(f"{scope}/md5.fits", b"other")
    ingest.add_replica(origin.rse, scope, "file", b"bytes", url, adler32=None)
    return f"has md5 {md5(b'other')}, registered is {md5(b'bytes')}"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("prepare", [missing, wrong_bytes, wrong_size, wrong_md5])
def test_what_cannot_be_copied_ends_stuck_with_its_reason(
    lake: RunningLake,
    ingest: Account,
    alice: Account,
    origin: Origin,
    scope: str,
    prepare: Callable[[Account, Origin, str], str],
) -> None:
    ingest.add_scope(scope)
    reason = prepare(ingest, origin, scope)

    rule = alice.wait_for_rule(alice.add_rule(scope, "file", "VIENNA-DISK"), "STUCK")

    assert reason in rule["error"]
    folder = Path(lake.facts["rses"]["VIENNA-DISK"]["folder"])
    assert not [path for path in folder.rglob("*") if path.is_file() and scope in path.parts]
    assert alice.replicas(scope, "file")["states"][origin.rse] == "AVAILABLE"


def test_the_agent_reads_no_file_of_this_machine_for_an_account_that_sets_up_origins(
    lake: RunningLake, ingest: Account, scope: str
) -> None:
    rse = "ORIGIN-" + uuid.uuid4().hex[:8].upper()
    secret = lake.home / "server" / "rucio.cfg"
    ingest.add_scope(scope)
    ingest.do("POST", f"rses/{rse}", {"deterministic": False})
    ingest.do("POST", f"rses/{rse}/attr/origin", {"value": "file"})
    protocol = {"hostname": "localhost", "port": 0, "prefix": "/", "impl": "rucio.rse.protocols.posix.Default"}
    domains = ORIGIN_DOMAINS
    ingest.do("POST", f"rses/{rse}/protocols/file", protocol | {"scheme": "file", "domains": domains})
    ingest.do("POST", f"rses/{rse}/distances/VIENNA-DISK", {"distance": 1})
    ingest.add_replica(rse, scope, "cfg", secret.read_bytes(), f"file://localhost{secret}")

    rule = ingest.wait_for_rule(ingest.add_rule(scope, "cfg", "VIENNA-DISK"), "STUCK")

    assert "lies outside the lake's RSEs" in rule["error"]


def test_a_rule_that_goes_takes_its_file_along(
    lake: RunningLake, ingest: Account, alice: Account, origin: Origin, scope: str
) -> None:
    content = b"for a while"
    ingest.add_scope(scope)
    ingest.add_replica(origin.rse, scope, "brief.fits", content, origin.publish(f"{scope}/brief.fits", content))
    rule = alice.add_rule(scope, "brief.fits", "SYDNEY-DISK")
    alice.wait_for_rule(rule, "OK")
    folder = Path(lake.facts["rses"]["SYDNEY-DISK"]["folder"])
    [stored] = [path for path in folder.rglob("brief.fits") if scope in path.parts]

    root = Account(Path(lake.facts["accounts"]["root"]))
    root.do("PUT", f"rules/{rule}", {"options": {"lifetime": 0, "purge_replicas": True}})

    wait_until(lambda: not stored.exists())
    wait_until(lambda: list(alice.replicas(scope, "brief.fits")["states"]) == [origin.rse])
    assert (origin.folder / scope / "brief.fits").read_bytes() == content


def wait_until(fulfilled: Callable[[], bool], seconds: float = 100) -> None:
    deadline = time.monotonic() + seconds
    while not fulfilled():
        assert time.monotonic() < deadline
        time.sleep(0.2)
