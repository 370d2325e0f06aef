"""Log-ins: they stumble like other calls, and what is printed meanwhile stays whose it is."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path

import pytest

from stac_rucio_sync.settings import Rucio
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from tests.conftest import RunningLake
from tests.stumbling import stumbling


def test_a_log_in_to_a_server_without_its_database_is_tried_again(
    lake: RunningLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    left = ["500", "500"]

    def stumbles(request: bytes) -> str | None:
        return left.pop() if left and request.startswith(b"GET /auth") else None

    with stumbling(lake, tmp_path, stumbles) as (config, proxy):
        calls = RucioCalls(Rucio(config=config))
        assert "VIENNA-DISK" in {row["rse"] for row in calls.send("list_rses")}
        calls.close()
    assert proxy.stumbled == 2


def test_a_connection_that_breaks_after_the_token_was_renewed_says_nothing_of_credentials(
    lake: RunningLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    left = ["drop", "401"]

    def stumbles(request: bytes) -> str | None:
        return left.pop() if left and request.startswith(b"GET /rses") else None

    with stumbling(lake, tmp_path, stumbles) as (config, proxy):
        calls = RucioCalls(Rucio(config=config))
        assert "VIENNA-DISK" in {row["rse"] for row in calls.send("list_rses")}
        calls.close()
    assert proxy.stumbled == 2


def test_what_others_print_while_a_thread_logs_in_is_theirs(
    lake: RunningLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report is printed while workers that wait for a server are still logging in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked, go_on = threading.Event(), threading.Event()

    def stumbles(request: bytes) -> str | None:
        if request.startswith(b"GET /auth"):
            asked.set()
            go_on.wait(60)
        return None

    with stumbling(lake, tmp_path, stumbles) as (config, _):
        calls = RucioCalls(Rucio(config=config))
        worker = threading.Thread(target=calls.send, args=["list_rses"])
        worker.start()
        assert asked.wait(60)
        print('{"added": 1}')  # noqa: T201 - the report
        go_on.set()
        worker.join()
        calls.close()
    assert capsys.readouterr().out == '{"added": 1}\n'


def test_what_rucios_client_prints_goes_to_the_log(
    lake: RunningLake, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with stumbling(lake, tmp_path, lambda _: None) as (config, _):
        nowhere = "auth_token_file_path = /proc/token"  # where no file can be made, not even by root
        config.write_text(config.read_text().replace("[client]", f"[client]\n{nowhere}"))
        calls = RucioCalls(Rucio(config=config))
        with caplog.at_level(logging.WARNING):
            assert calls.send("whoami")["account"] == "ingest"
        calls.close()
    assert capsys.readouterr().out == ""
    assert "Rucio's client says: I/O error" in caplog.text


@pytest.mark.parametrize("damage", ["", "token\n", "\u00e9"])
def test_a_kept_token_that_is_damaged_is_asked_for_again(
    damage: str, lake: RunningLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rucio calls an empty one an error of the call: every item would be set aside for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    named = Path(lake.facts["accounts"]["alice"]).read_text()
    config = tmp_path / "rucio.cfg"
    config.write_text(re.sub("^auth_token_file_path.*$", f"auth_token_file_path = {tmp_path}/token", named, flags=re.M))
    for _ in range(2):
        calls = RucioCalls(Rucio(config=config))
        assert "VIENNA-DISK" in {row["rse"] for row in calls.send("list_rses")}
        calls.close()
        (token,) = (path for path in tmp_path.rglob("token") if path.is_file())
        token.write_text(damage)
