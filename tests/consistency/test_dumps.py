"""Audits by a site's own list of its files."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.consistency.planted import DOMAINS, NOW, Planted


@pytest.fixture
def tape(rse_with: Callable[..., Planted]) -> Planted:
    """An RSE whose storage is out of reach from here: none of its protocols lists folders."""
    planted = rse_with()
    protocol = {"scheme": "root", "hostname": "tape.example.org", "port": 1094, "prefix": "//tape/survey/"}
    planted.root.send(
        "add_protocol", planted.rse, protocol | {"impl": "rucio.rse.protocols.xrootd.Default", "domains": DOMAINS}
    )
    return planted


def below(planted: Planted, name: str) -> str:
    return str(planted.path(name).relative_to(planted.folder))


def dump(file: Path, *lines: str, packed: bool = False, age: float = 0.0) -> str:
    content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    file.write_bytes(gzip.compress(content) if packed else content)
    os.utime(file, (time.time() - age,) * 2)
    return str(file)


def test_a_storage_out_of_reach_is_compared_with_its_own_list(tape: Planted, tmp_path: Path) -> None:
    for name in ("good", "prefixed", "addressed", "missing"):
        tape.register(name, b"...")
    tape.register("begun", b"...", "C")
    time.sleep(1.1)
    listed = dump(
        tmp_path / "files.txt",
        f"./{below(tape, 'good')}",
        f"/tape/survey/{below(tape, 'prefixed')}",
        f"root://tape.example.org:1094//tape/survey/{below(tape, 'addressed')}",
        f"{tape.scope}/dark with spaces ",
        "",
        f"{tape.scope}/\udce9t\udce9 in Latin-1",
        "another-scope/file",
    )
    told, report = tape.found(*NOW, "--dump", listed)
    assert told == {
        "missing": ("!", "last copy"),
        "begun": ("-", "unfinished"),
        "dark with spaces ": ("-", "dark"),
        "\\xe9t\\xe9 in Latin-1": ("-", "dark"),
    }
    assert report["storage"] == listed
    lines = Path(listed).read_text(errors="surrogateescape").splitlines()
    again, _ = tape.found(*NOW, "--dump", f"{tape.rse}={dump(tmp_path / 'files.gz', *lines, packed=True)}")
    assert again == told


def test_what_was_registered_after_the_list_was_made_is_not_missing(tape: Planted, tmp_path: Path) -> None:
    tape.register("late", b"...")
    told, report = tape.found(*NOW, "--dump", dump(tmp_path / "files.txt", f"{tape.scope}/README", age=3600))
    assert told == {"README": ("-", "dark")}
    assert report["counts"]["under way"] == 1


def test_a_list_is_checked_with_the_storage_where_that_is_in_reach(folder: Planted, tmp_path: Path) -> None:
    for name in ("listed", "unlisted"):
        folder.plant(name)
    folder.register("missing", b"missing")
    folder.register_elsewhere("missing")
    listed = dump(
        tmp_path / "files.txt", below(folder, "listed"), below(folder, "missing"), f"{folder.scope}/gone", age=60
    )
    told, report = folder.found(*NOW, "--dump", listed)
    # The list is believed of what it has; what it has not is looked for.
    assert told == {}
    assert report["counts"] == {"same": 3, "known": 2, "gone": 1}
    told, _ = folder.found(*NOW, "--dump", dump(tmp_path / "newer.txt", below(folder, "listed")))
    assert told == {"missing": ("+", "missing")}
    told, report = folder.found(*NOW, "--dump", str(tmp_path / "newer.txt"), "--repair", "--threshold", "50%")
    assert (folder.state("missing"), report["remaining"]) == ("BAD", 0)


def test_what_needs_the_storage_is_refused_where_there_is_only_a_list(tape: Planted, tmp_path: Path) -> None:
    listed = dump(tmp_path / "files.txt", "README")
    for needs in (["--repair"], ["--checksums", "all"]):
        result = tape.audit("--dump", listed, *needs)
        assert "cannot be listed from here (root: no folders are listed by it)" in str(result.exception)
    assert "cannot be listed from here" in str(tape.audit().exception)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"x" * 70_000, "line 1: longer than 64 KiB"),
        (b"root://other.example.org//data/file\n", "line 1: root://other.example.org//data/file is not below"),
        (gzip.compress(b"one\ntwo\n" * 1000)[:-20], "cannot be read to its end"),
    ],
    ids=["no lines", "another RSE's", "cut off"],
)
def test_what_is_no_list_of_paths_is_refused(tape: Planted, tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "files"
    file.write_bytes(content)
    assert says in str(tape.audit("--dump", str(file)).exception)
    assert "cannot be read" in str(tape.audit("--dump", str(tmp_path / "nosuch")).exception)
    assert "say of which RSE it is" in str(tape.audit("--dump", str(file), rse=f"{tape.rse}|SYDNEY-DISK").exception)
