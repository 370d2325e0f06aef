"""How commands that change a catalogue end: whatever ends them, they count what they did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from stac_rucio_sync.catalog.repository import Repository
from tests.catalog.examples import item
from tests.catalog.test_ingest import write

PROCESSOR = """
import os, signal, time
from pathlib import Path

__version__ = "1"

def discover(source):
    yield from map(str, sorted(Path(source).glob("*.json")))

def id(product_source):
    return Path(product_source).stem

def version(product_source):
    return "1"

def process(product_source):
    if product_source.endswith("3.json"):
        {third}
    return product_source
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with Repository.create(tmp_path / "survey"):
        return tmp_path / "survey"


def ingesting(place: Path, third: str, *options: str) -> list[str]:
    """Return the command that takes five items in, of which the third does something."""
    place.with_name("stac_processor_ours.py").write_text(PROCESSOR.format(third=third))
    for number in range(1, 6):
        write(place.with_name("in") / f"{number}.json", item(f"i{number}"))
    program = "from stac_rucio_sync.cli import main; main()"
    arguments = ["catalog", "ingest", "-C", str(place), str(place.with_name("in")), "--processor", "ours", *options]
    return [sys.executable, "-c", program, *arguments]


def ended(command: list[str], place: Path) -> tuple[int, list[bytes], str]:
    done = subprocess.run(command, capture_output=True, cwd=place.parent, check=False, timeout=200)
    return done.returncode, done.stdout.splitlines(), done.stderr.decode()


STOPPED = "os.kill(os.getpid(), signal.SIGINT); time.sleep(30)"


def test_an_ingest_that_is_stopped_counts_what_it_did(place: Path) -> None:
    code, lines, told = ended(ingesting(place, STOPPED), place)
    assert code == 130
    assert [line.split()[1] for line in lines] == [b"added", b"added"]
    assert told.split("\n\n") == ["2 added; 2 commits", "stopped\n"]
    code, lines, _ = ended(ingesting(place, STOPPED, "--json"), place)
    report = orjson.loads(lines[-1])["report"]
    assert (code, report["counts"], report["commits"], report["error"]) == (130, {"unchanged": 2}, 0, "stopped")


def test_an_ingest_that_finds_no_room_counts_what_it_did(place: Path) -> None:
    """A limit on files is met as a full disk is; it spares the index, which is smaller than what is put."""
    no_room = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60))"
    code, lines, told = ended(ingesting(place, no_room, "--json"), place)
    report = orjson.loads(lines[-1])["report"]
    assert (code, report["counts"], report["commits"]) == (3, {"added": 2}, 2)
    assert "File too large" in report["error"]
    assert told.splitlines()[-1] == f"error: {report['error']}"


def test_packing_that_fails_is_told_with_the_report_and_the_commits_stand(place: Path) -> None:
    fails = "import stac_rucio_sync.catalog.packs as packs; packs._MANY_LOOSE = -1; os.environ['PATH'] = '/nowhere'"
    code, lines, told = ended(ingesting(place, fails, "--json"), place)
    report = orjson.loads(lines[-1])["report"]
    assert (code, report["counts"], report["commits"]) == (0, {"added": 5}, 5)
    (warning,) = report["warnings"]
    assert warning.startswith("the commits stand")
    assert told.count(warning) == 1


@pytest.mark.parametrize(("third", "code"), [("pass", 0), ("raise ValueError('no beam')", 1)])
def test_work_goes_on_when_nobody_reads_of_it_and_the_exit_code_tells_of_it(place: Path, third: str, code: int) -> None:
    with subprocess.Popen(
        ingesting(place, third), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=place.parent
    ) as process:
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
        assert process.wait(60) == code
    with Repository(place) as repository:
        assert repository.head().number == 6 - code
