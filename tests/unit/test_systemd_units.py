"""The units of deploy/systemd: systemd takes them, and what they start are commands that there are."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path

import click
import pytest

from stac_rucio_sync.cli import cli

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = sorted(FOLDER.glob("*.service"))
PROGRAM = "/opt/stac-rucio-sync/bin/stac-rucio-sync"


def read(unit: Path) -> RawConfigParser:
    parser = RawConfigParser(strict=False, delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
    parser.read(unit)
    return parser


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_what_a_unit_starts_is_a_command_with_these_options(unit: Path) -> None:
    program, *words = shlex.split(read(unit)["Service"]["ExecStart"].replace("$OPTIONS", ""))
    assert program == PROGRAM
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
    command.make_parser(context).parse_args(list(words))  # an unknown option is an error


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_unit_is_bounded(unit: Path) -> None:
    service = read(unit)["Service"]
    assert (service["User"], service["NoNewPrivileges"], service["ProtectSystem"]) == (
        "stac-rucio-sync",
        "yes",
        "strict",
    )


def test_each_timer_has_its_service() -> None:
    timers = {unit.stem for unit in FOLDER.glob("*.timer")}
    assert timers
    assert timers <= {unit.stem for unit in SERVICES}


def test_systemd_takes_them(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in FOLDER.iterdir():  # it wants to see the program, too
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "stac-rucio-sync" in line]
    assert ours == [], done.stderr
