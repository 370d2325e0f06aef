"""``replicate``, ``rules`` and ``fetch`` from the command line: what they print, and by which exit code they leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from stac_rucio_sync.cli import main
from stac_rucio_sync.settings import ENVIRONMENT_PREFIX
from tests.rucio.searched import VIENNA, Searched


@pytest.fixture
def searched(lake: Any, scope: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searched:
    made = Searched(lake, scope, tmp_path)
    for name, value in variables(made, "alice").items():
        monkeypatch.setenv(name, value)
    return made


def variables(searched: Searched, account: str) -> dict[str, str]:
    config = searched.lake.facts["accounts"][account]
    named = {"IDENTITY__SCOPE": searched.scope, "RUCIO__CONFIG": config, "RUCIO__ACCOUNT": account}
    return {ENVIRONMENT_PREFIX + name: value for name, value in named.items()}


@pytest.fixture
def run(searched: Searched, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command; return its exit code, what it printed, and its talk."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["--home", str(searched.lake.home), *arguments])
        said = capsys.readouterr()
        return int(left.value.code or 0), said.out, said.err

    return run


def file_of(searched: Searched, *items: dict[str, Any]) -> str:
    location = searched.source(*items).location
    assert location is not None
    return location


def test_from_a_dry_run_to_the_files(searched: Searched, run: Any, tmp_path: Path) -> None:
    items = [searched.item("m31"), searched.item("m33")]
    searched.register(*items)
    source = file_of(searched, *items)

    code, out, err = run("replicate", source, "--role", "data", "--rse", VIENNA, "--dry-run")
    assert (code, out) == (0, "")
    assert "would be, 2 items (2 made)" in err
    assert f"quota at {VIENNA}" in err

    code, out, _ = run(
        "replicate", source, "--role", "data", "--rse", VIENNA, "--wait", "--timeout", "60", "--comment", "x", "--json"
    )
    report = json.loads(out)
    assert (code, report["made"], len(report["rules"]), report["files"]) == (0, 2, 2, 2)
    assert report["survey"]["states"]["COMPLETE"] == 2

    code, out, _ = run("rules", "state", source, "--rse", VIENNA)
    assert (code, out.splitlines()) == (1, ["images/m31: PARTIAL (1 of 2)", "images/m33: PARTIAL (1 of 2)"])
    assert run("rules", "wait", source, "--role", "data", "--rse", VIENNA)[0] == 0
    code, out, _ = run("rules", "list", "--rse", VIENNA, "--json")
    listed = {rule["id"]: rule["state"] for rule in map(json.loads, out.splitlines())}
    assert [listed[rule] for rule in report["rules"]] == ["OK", "OK"]

    into = tmp_path / "copies"
    code, out, _ = run("fetch", source, "--role", "data", "--site", "vienna", "--into", str(into), "--dry-run")
    assert (code, [json.loads(line)["fate"] for line in out.splitlines()]) == (0, ["planned", "planned"])
    assert not into.exists()
    code, out, _ = run("fetch", source, "--role", "data", "--site", "vienna", "--into", str(into), "--json")
    assert (code, json.loads(out)["fetched"]) == (0, 2)
    lines = [orjson.loads(line) for line in (into / "manifest.jsonl").read_bytes().splitlines()]
    assert {line["rse"] for line in lines} == {VIENNA}
    assert all(Path(line["path"]).is_file() for line in lines)

    code, out, _ = run("rules", "delete", "--items", source, "--rse", VIENNA, "--role", "data", "--dry-run")
    assert (code, out.count("would end")) == (0, 2)
    code, out, _ = run("rules", "delete", *report["rules"], "--now", "--purge", "--json")
    assert code == 0
    assert [one["outcome"] for one in json.loads(out)["rules"]] == ["ended", "ended"]


def test_items_that_the_lake_does_not_know_are_named(searched: Searched, run: Any, tmp_path: Path) -> None:
    source = file_of(searched, searched.item("m51"))
    code, _, err = run("replicate", source, "--rse", VIENNA)
    assert code == 1
    assert "images/m51: the lake has no file of it" in err
    code, out, _ = run("rules", "state", source, "--rse", VIENNA)
    assert (code, out) == (1, "images/m51: NOT REGISTERED, 2 assets are links only\n")
    code, out, err = run("fetch", source, "--into", str(tmp_path / "copies"), "--manifest", "-")
    assert code == 1
    assert [json.loads(line)["fate"] for line in out.splitlines()] == ["link_only", "link_only"]
    assert "images/m51: not registered" in err
    assert run("rules", "delete", "--items", source, "--rse", VIENNA)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replicate", "{source}", "--rse", "NOWHERE-DISK"], "NOWHERE-DISK"),
        (["replicate", "{source}", "--rse", VIENNA, "--timeout", "3"], "--timeout goes with --wait"),
        (["replicate", "{source}", "--rse", VIENNA, "--dataset", "nocolon"], "nocolon"),
        (["replicate", "{source}.nosuch", "--rse", VIENNA], "no such file"),
        (["replicate", "{source}"], "--rse"),
        (["rules", "delete"], "--items SOURCE"),
        (["rules", "delete", "no-id"], "no-id"),
        (["fetch", "{source}", "--site", "atlantis"], "atlantis"),
        (["fetch", "{source}", "--lat", "48"], "longitude is missing"),
    ],
)
def test_mistakes_are_told_before_anything_is_done(
    searched: Searched, run: Any, arguments: list[str], says: str
) -> None:
    source = file_of(searched, searched.item("m31"))
    code, out, err = run(*(argument.replace("{source}", source) for argument in arguments))
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.slow
def test_ctrl_c_ends_the_waiting_with_the_report_so_far(searched: Searched) -> None:
    item = searched.item("m31", big=searched.asset("m31", "big", b"x" * 200_000_000))
    searched.register(item)
    command = [sys.executable, "-m", "stac_rucio_sync.cli", "--home", str(searched.lake.home), "replicate"]
    arguments = [file_of(searched, item), "--rse", VIENNA, "--wait", "--json"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)
    deadline = time.monotonic() + 100
    while searched.states(item, rse=VIENNA)["m31"].state.value == "NONE":
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 130, err
    assert json.loads(out)["error"] == "stopped"
    assert json.loads(out)["made"] == 1
