"""Settings: who wins, and errors that name the field."""

from __future__ import annotations

from pathlib import Path

import pytest

from stac_rucio_sync.errors import UsageError
from stac_rucio_sync.settings import load_settings


@pytest.fixture
def operators_file(tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    file.write_text('[sync]\nworkers = 2\nbatch_items = 20\n[origins]\n"https://a.example" = "A"\ncreate = true\n')
    return file


@pytest.fixture
def lake_file(tmp_path: Path) -> Path:
    file = tmp_path / "lake.toml"
    file.write_text('[database]\nurl = "postgresql://lake"\n[sync]\nworkers = 3\nconnections_per_host = 3\n')
    return file


def test_flags_win_over_environment_over_file_over_lake(
    operators_file: Path, lake_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAC_RUCIO_SYNC_SYNC__BATCH_ITEMS", "30")
    settings = load_settings(operators_file, lake_file, {"sync": {"sizes": "head"}})
    assert settings.sync.sizes == "head"
    assert settings.sync.batch_items == 30
    assert settings.sync.workers == 2
    assert settings.sync.connections_per_host == 3
    assert settings.database_url() == "postgresql://lake"


def test_origins_are_lines_beside_the_switch(operators_file: Path) -> None:
    origins = load_settings(operators_file).origins
    assert origins.rses == {"https://a.example": "A"}
    assert origins.create


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[sync]\nworker = 1\n", "sync.worker"),
        ("[sync]\nworkers = 'many'\n", "sync.workers"),
        ('[collections."x"]\nscope = "a scope"\n', "collections.x.scope"),
        ("[sync\n", "settings"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=named):
        load_settings(file)


def test_all_that_is_wrong_is_said_at_once_with_the_way_out_and_without_what_was_given(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text('[sync]\nworker = 1\n[database]\nurl = ["secret"]\n')
    with pytest.raises(UsageError, match=r"sync\.worker: there is no such setting .*settings\.md") as told:
        load_settings(file)
    assert "database.url" in str(told.value)
    assert "secret" not in str(told.value)
    assert told.value.__suppress_context__


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[sync\n")
    with pytest.raises(UsageError, match=str(file)):
        load_settings(file)


def test_a_variable_of_no_section_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAC_RUCIO_SYNC_DATABSE__URL", "postgresql://lake")
    with pytest.raises(
        UsageError, match="STAC_RUCIO_SYNC_DATABSE__URL in the environment: there is no section databse"
    ):
        load_settings()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent"):
        load_settings(tmp_path / "absent.toml")


def test_no_database_names_the_way_out() -> None:
    with pytest.raises(UsageError, match="lake up"):
        load_settings().database_url()


def test_secrets_do_not_show(lake_file: Path) -> None:
    assert "postgresql://lake" not in repr(load_settings(lake_settings=lake_file))
