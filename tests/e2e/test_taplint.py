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

pytestmark = needs_stilts


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


def test_polygons_in_streams_are_right_whatever_votlint_says(archive: Archive, tmp_path: Path) -> None:
    # What votlint 3.4.7 checks of the xtype polygon reads as many numbers as the arraysize declares, which "*" does
    # not; it goes astray in every stream that has one. The same bytes without the xtype are right to it, and so are
    # they to the reader that TOPCAT and STILTS themselves use. taplint would say the same of a query for s_polygon.
    query = {"LANG": "ADQL", "QUERY": "SELECT s_polygon, obs_id FROM ivoa.obscore WHERE s_polygon IS NOT NULL"}
    ours, plain = tmp_path / "ours.vot", tmp_path / "plain.vot"
    ours.write_bytes(archive.get("/tap/sync", **query).content)
    read = stilts("tpipe", in_=ours, ifmt="votable", ofmt="csv", out=tmp_path / "read.csv")
    assert read.code == 0, read.errors
    (count,) = archive.query("SELECT count(*) FROM lake.obscore WHERE s_polygon IS NOT NULL")[0]
    assert len((tmp_path / "read.csv").read_text().splitlines()) == 1 + count
    document = ours.read_bytes()
    assert document.count(b' xtype="polygon"') == 1
    plain.write_bytes(document.replace(b' xtype="polygon"', b""))
    known = stilts("votlint", votable=ours)
    assert known.output + known.errors, "votlint is mended: test_vo_clients_stilts.py may lint s_polygon, too"
    said = stilts("votlint", votable=plain)
    assert (said.code, said.output, said.errors) == (0, "", "")
