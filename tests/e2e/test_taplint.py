"""What taplint, the validator of TAP services, says of the whole service: no error, and no warning without a reason."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.archive import Archive
from tests.e2e.stilts import needs_stilts, stilts

ALLOWED = Path(__file__).with_name("taplint-allowed.txt")
STAGES = ("TMV", "TME", "TMS", "TMC", "CPV", "CAP", "AVV", "QGE", "QPO", "QAS", "UWS", "MDQ", "OBS", "UPL", "EXA")
"""Those of a service without ObsLocTAP (LOC): documents against their schemas, metadata, queries by
all roads, jobs, metadata against data, ObsCore, uploads, examples."""

pytestmark = [needs_stilts, pytest.mark.timeout(240)]


@dataclass(frozen=True)
class Allowed:
    """A report that is no fault of the service."""

    code: str
    text: re.Pattern[str]
    reason: str


@pytest.fixture(scope="module")
def reports(archive: Archive) -> list[str]:
    said = stilts("taplint", tapurl=f"{archive.url}/tap", stages="-LOC", report="EWFSI", maxrepeat=50, truncate=2000)
    assert said.code == 0, said.errors
    return said.output.splitlines()


def allowed_reports() -> list[Allowed]:
    lines = [line for line in ALLOWED.read_text().splitlines() if line and not line.startswith("#")]
    parts = [[part.strip() for part in line.split("|", 2)] for line in lines]
    return [Allowed(code, re.compile(text), reason) for code, text, reason in parts]


def matches(report: str, one: Allowed) -> bool:
    return report.startswith(one.code) and one.text.search(report) is not None


def test_every_exception_has_a_reason() -> None:
    assert all(one.reason for one in allowed_reports())


def test_every_stage_was_run(reports: list[str]) -> None:
    begun = {match[1] for line in reports if (match := re.match(r"Section ([A-Z]{3}):", line))}
    assert set(STAGES) <= begun


def test_there_is_no_error_and_no_unexplained_warning(reports: list[str]) -> None:
    bad = [line for line in reports if re.match(r"[EWF]-[A-Z]{3}-", line)]
    unexplained = [line for line in bad if not any(matches(line, one) for one in allowed_reports())]
    assert not unexplained, "\n".join(unexplained)


def test_no_exception_is_out_of_date(reports: list[str]) -> None:
    unused = [one.code for one in allowed_reports() if not any(matches(line, one) for line in reports)]
    assert not unused


def test_the_streams_that_taplint_cannot_read_are_right(archive: Archive, tmp_path: Path) -> None:
    # taplint reads results by the code of votlint. What STILTS itself makes of the same polygons fails there as well,
    # and its own reader finds no fault with the stream of the service.
    query = {"LANG": "ADQL", "QUERY": "SELECT s_polygon FROM ivoa.obscore WHERE s_polygon IS NOT NULL"}
    (tmp_path / "ours.vot").write_bytes(archive.get("/tap/sync", **query).content)
    read = stilts("tpipe", in_=tmp_path / "ours.vot", ifmt="votable", ofmt="csv", out=tmp_path / "read.csv")
    assert read.code == 0, read.errors
    (count,) = archive.query("SELECT count(*) FROM lake.obscore WHERE s_polygon IS NOT NULL")[0]
    assert len((tmp_path / "read.csv").read_text().splitlines()) == 1 + count
    own = stilts(
        "tpipe", in_=tmp_path / "ours.vot", ifmt="votable", ofmt="votable-binary2-inline", out=tmp_path / "own.vot"
    )
    assert own.code == 0, own.errors
    said = stilts("votlint", votable=tmp_path / "own.vot")
    assert "stream" in (said.output + said.errors).lower()
