"""Lines of the log: for programs and for people, with the run, request or job that they belong to."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from stac_rucio_sync.logs import about, are_json, configure, new_id

LOG = logging.getLogger("stac_rucio_sync.some.module")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()


def test_each_line_of_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info", "sync-1234")
    LOG.warning('%s said "no"\nand went', "ö", extra={"told": {"items": 3, "message": "not this one"}})
    (line,) = lines(capsys)
    told = json.loads(line)
    assert datetime.fromisoformat(told.pop("time")).utcoffset() is not None
    assert told == {
        "level": "warning",
        "logger": "stac_rucio_sync.some.module",
        "message": 'ö said "no"\nand went',
        "run": "sync-1234",
        "items": 3,
    }


def test_a_failure_is_in_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    try:
        int("why")
    except ValueError:
        LOG.exception("failed")
    (line,) = lines(capsys)
    assert "ValueError: invalid literal" in json.loads(line)["exception"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_says_what_it_belongs_to(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(form, "info", "serve-1")
    with about("request-7"):
        LOG.info("within")
    LOG.info("after")
    within, after = lines(capsys)
    assert "request-7" in within
    assert "request-7" not in after
    assert "serve-1" in after


def test_people_read_what_is_told_beside_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text", "info")
    LOG.info("GET /tap", extra={"told": {"status": 200}})
    (line,) = lines(capsys)
    assert line.endswith("INFO stac_rucio_sync.some.module: GET /tap status=200")


def test_nobody_forges_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("text", "info")
    LOG.info("GET /%s", "a\n2026-01-01 ERROR all is lost\r\x1b[2J\u2028ö")
    (line,) = lines(capsys)
    assert line.endswith("GET /a\\n2026-01-01 ERROR all is lost\\r\\x1b[2J\\u2028ö")
    try:
        int("why")
    except ValueError:
        LOG.exception("failed")
    assert len(lines(capsys)) > 2, "tracebacks have their lines"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_what_is_below_the_level_is_not_said(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", level)
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        LOG.log(number, "x")
    least = getattr(logging, level.upper())
    assert {json.loads(line)["level"] for line in lines(capsys)} == {
        logging.getLevelName(number).lower()
        for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
        if number >= least
    }


def test_configuring_again_replaces(capsys: pytest.CaptureFixture[str]) -> None:
    configure("json", "info")
    assert are_json()
    configure("text", "info")
    assert not are_json()
    LOG.info("once")
    assert len(lines(capsys)) == 1


def test_ids_differ() -> None:
    assert len({new_id() for _ in range(100)}) == 100
