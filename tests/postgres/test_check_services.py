"""The services start beside the database of their own version only."""

from __future__ import annotations

import psycopg
import pytest

from obscore_tap.services import check_services
from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.tables.schema import apply_schema
from tests.postgres.conftest import Database


def settings_of(database: Database) -> Settings:
    return Settings.model_validate({"database": {"query_url": database.query_url, "jobs_url": database.jobs_url}})


def test_a_database_of_this_version_is_taken(database: Database) -> None:
    check_services(settings_of(database))


def test_links_to_other_services_are_told_with_the_way_out(database: Database, admin: psycopg.Connection) -> None:
    admin.execute(
        "INSERT INTO lake.obscore (calib_level, obs_collection, obs_id, obs_publisher_did, access_url, access_format) "
        "VALUES (2, 'c', 'o', 'ivo://x.example/lake?s:d', 'https://old.example/datalink/links?ID=x', 'text/xml')"
    )
    told = check_services(settings_of(database))
    assert told is not None
    assert "https://old.example" in told
    assert "base_url" in told
    same = Settings.model_validate({"services": {"base_url": "https://old.example"}}).services
    assert check_services(settings_of(database).model_copy(update={"services": same})) is None


def test_a_tap_schema_of_another_version_is_refused(database: Database, admin: psycopg.Connection) -> None:
    admin.execute("DELETE FROM tap_published.columns WHERE column_name = 's_ra'")
    with pytest.raises(FatalError, match="db apply"):
        check_services(settings_of(database))
    apply_schema(database.admin_url)
    check_services(settings_of(database))


def test_a_schema_of_epn_core_under_another_name_is_refused(database: Database) -> None:
    settings = settings_of(database).model_copy(
        update={"epn": Settings.model_validate({"epn": {"schema": "mars"}}).epn}
    )
    with pytest.raises(FatalError, match="db apply"):
        check_services(settings)


def test_a_database_without_our_tables_is_refused(empty_database: Database) -> None:
    with pytest.raises(FatalError, match="db apply"):
        check_services(settings_of(empty_database))


def test_an_unreachable_database_is_fatal() -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(FatalError):
        check_services(Settings.model_validate({"database": {"query_url": nowhere, "jobs_url": nowhere}}))


@pytest.mark.parametrize("missing", ["query_url", "jobs_url"])
def test_a_missing_url_is_named(database: Database, missing: str) -> None:
    urls = {"query_url": database.query_url, "jobs_url": database.jobs_url}
    del urls[missing]
    with pytest.raises(UsageError, match=missing):
        check_services(Settings.model_validate({"database": urls}))
