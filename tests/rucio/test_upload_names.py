"""Files of any name go up with the command and come down with Rucio's own client and by plain HTTP, byte by byte."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
import pytest
import requests

from stac_rucio_sync.model.uploads import readable
from tests.conftest import RunningLake
from tests.rucio.test_upload_command import run
from tests.rucio.uploading import RSE

NAMES: tuple[bytes, ...] = (
    # What shells, web servers and option parsers take for something else.
    *(b"a b.fits", b" begins with a space", b"ends with a space ", b"a,b,c.csv", b"it's.txt", b'say "so".txt', b"`id`"),
    *(b"$HOME", b"a;b", b"a&b", b"a|b", b"a*b?", b"[x]{y}", b"~", b"#1", b"100%", b"a%20b", b"a%2Fb", b"a+b", b"a=b@c"),
    *(b"12:34:56.fits", b"user.x:name", b"back\\slash", b"<tag>", b"-rf", b"--help", b"!", b"(1)", b"a\tb"),
    # Dots, as in folders above, in hidden files, and in the names that we make.
    *(b".hidden", b"..x", b"x..y", b"x.", b"a.tar.gz", b"x.y.", b"...a..b..", b"..."),
    # What an escaped character looks like.
    *(b"_x20_", b"a_x20_b", b"_x_", b"_x110000_", b"__"),
    # Control characters and line ends.
    *(b"line\nbreak.fits", b"\n", b"carriage\rreturn", b"bell\x07", b"delete\x7f"),
    # Characters of other scripts; the same letter as one and as two; none of any encoding.
    *("grüße.fits".encode(), "数据.fits".encode(), "телескоп".encode(), "🔭.fits".encode(), "\u202eleft".encode()),
    *("caf\u00e9".encode(), "cafe\u0301".encode(), b"caf\xe9", b"\xff\xfe.fits", b"\xed\xa0\x80"),
    # Letters of another case only; as long as a name can be, with the difference at the end.
    *(b"CASE.fits", b"case.fits", b"n" * 250 + b".fits", b"n" * 249 + b"x.fits", "ü".encode() * 125 + b".fits"),
    # Equal base names in sub-folders, and what their flat names look like.
    *(b"one/same.fits", b"two/same.fits", b"one..same.fits", b"same.fits", b"a b/c,d/\xff/same.fits"),
    *(b"-o/..y/.z/same.fits", b"one/two/same.fits", b"one..two/same.fits", b"d" * 200 + b"/" + b"e" * 200 + b"/f"),
)
EMPTY = b"empty.fits"


def write(folder: Path, contents: Mapping[bytes, bytes]) -> dict[str, str]:
    """Write files; return the MD5 of each by its path as a report names it."""
    sums = {}
    for name, content in contents.items():
        file = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        sums[readable(file)] = md5(content)
    return sums


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def md5_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def downloaded(lake: RunningLake, folder: Path, dids: Mapping[str, str]) -> dict[str, str]:
    """Download files by their DIDs with Rucio's own command; return the MD5 of each by its path on disk."""
    command = [
        sys.executable,
        str(Path(sys.executable).with_name("rucio")),
        "download",
        "--dir",
        str(folder),
        "--ndownloader",
        "3",
    ]
    done = subprocess.run(
        [*command, *dids.values()],
        env={**os.environ, "RUCIO_CONFIG": lake.facts["accounts"]["alice"]},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {path: md5_of(folder.joinpath(*did.split(":", 1))) for path, did in dids.items()}


def reported(file: Path) -> Iterator[dict[str, str]]:
    """Yield the lines of a report."""
    yield from map(orjson.loads, file.read_bytes().splitlines())


def test_awkward_names_go_up_and_come_down(lake: RunningLake, tmp_path: Path) -> None:
    folder = tmp_path / f"raw-{uuid.uuid4().hex}"
    assert len(set(NAMES)) == len(NAMES) > 60
    sums = write(folder, {name: b"%d %s" % (number, name) for number, name in enumerate(NAMES)} | {EMPTY: b""})
    dataset = f"user.alice:{folder.name}-set"

    code, report, said = run(
        lake, tmp_path, folder.name, "--rse", RSE, "--dataset", dataset, "--report", "report.jsonl", "--json"
    )
    assert report is not None, said
    lines = {line["path"]: line for line in reported(tmp_path / "report.jsonl")}
    assert {line["reason"] for line in lines.values()} == {None}
    assert (code, said, report["uploaded"]) == (0, "", len(sums))
    assert {path: line["md5"] for path, line in lines.items()} == sums
    assert downloaded(lake, tmp_path / "down", {path: line["did"] for path, line in lines.items()}) == sums
    got = {path: requests.get(line["pfn"], timeout=60) for path, line in lines.items()}
    assert {answer.status_code for answer in got.values()} == {200}
    assert {path: md5(answer.content) for path, answer in got.items()} == sums

    code, report, _ = run(lake, tmp_path, folder.name, "--rse", RSE, "--dataset", dataset, "--json")
    assert report is not None
    assert (code, report["present"]) == (0, len(sums))


SMALL, LARGE, LARGE_BYTES = 5000, 20, 100_000_000


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_thousands_of_awkward_names_and_large_files_go_up_and_come_down(lake: RunningLake, tmp_path: Path) -> None:
    folder = tmp_path / f"raw-{uuid.uuid4().hex}"
    chance = random.Random(5000)  # noqa: S311 - to be repeated, not to be secret
    contents = {}
    for number in range(SMALL):
        name = NAMES[number % len(NAMES)]
        # Some in folders of their own, some beside each other with another ending.
        name = b"%d/%s" % (number, name) if number % 3 else name[:240] + b".%d" % number
        contents[name] = chance.randbytes(chance.randrange(20_000))
    sums = write(folder, contents)
    for number in range(LARGE):
        sums |= write(folder, {b"large, \xc3\xbc %d\n.fits" % number: chance.randbytes(LARGE_BYTES)})

    started = time.monotonic()
    code, report, said = run(
        lake, tmp_path, folder.name, "--rse", RSE, "--report", "report.jsonl", "--json", timeout=1500
    )
    print(f"up: {time.monotonic() - started:.1f} s, {len(sums)} files")  # noqa: T201 - the figures of the trial
    assert report is not None, said
    lines = {line["path"]: line for line in reported(tmp_path / "report.jsonl")}
    assert {line["reason"] for line in lines.values()} == {None}
    assert (code, said, report["uploaded"]) == (0, "", len(sums))
    assert {path: line["md5"] for path, line in lines.items()} == sums

    started = time.monotonic()
    with requests.Session() as session:
        for path, line in lines.items():
            digest = hashlib.md5(usedforsecurity=False)
            with session.get(line["pfn"], timeout=100, stream=True) as answer:
                assert answer.status_code == 200
                for block in answer.iter_content(1 << 20):
                    digest.update(block)
            assert digest.hexdigest() == sums[path], path
    print(f"down by HTTP: {time.monotonic() - started:.1f} s")  # noqa: T201 - the figures of the trial

    started = time.monotonic()
    paths = sorted(path for path in sums if "large" in path) + sorted(sums)[:: SMALL // 500]
    wanted = {path: sums[path] for path in paths}
    assert downloaded(lake, tmp_path / "down", {path: lines[path]["did"] for path in wanted}) == wanted
    print(f"down with rucio download, {len(wanted)} of them: {time.monotonic() - started:.1f} s")  # noqa: T201 - the figures of the trial
