"""The accounts that a deployment makes in PostgreSQL (`deploy/images/stac-rucio-sync/accounts.py`)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from stac_rucio_sync.stores.tables.schema import apply_schema
from tests.postgres.conftest import Database

SCRIPT = Path(__file__).parents[2] / "deploy" / "images" / "stac-rucio-sync" / "accounts.py"
PASSWORDS = {
    "SYNC_DATABASE_PASSWORD": "of the sync's",
    "TAP_DATABASE_PASSWORD": "of 'TAP'",
    "JOBS_DATABASE_PASSWORD": "of jobs",
    "LINKS_DATABASE_PASSWORD": "of links",
}


def accounts(database: Database, passwords: dict[str, str]) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_PASSWORD")}
    environment = {**inherited, **passwords, "STAC_RUCIO_SYNC_DATABASE__ADMIN_URL": database.admin_url}
    return subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=False, timeout=200
    )


def login(database: Database, account: str, password: str) -> psycopg.Connection:
    place = urlsplit(database.admin_url)
    return psycopg.connect(
        host=place.hostname, port=place.port or 5432, dbname=place.path[1:], user=account, password=password,
        connect_timeout=60,
    )  # fmt: skip


def test_accounts_can_do_what_they_are_for_and_no_more(empty_database: Database) -> None:
    for _ in range(2):  # a second time changes nothing
        done = accounts(empty_database, PASSWORDS)
        assert done.returncode == 0, done.stderr
        apply_schema(empty_database.admin_url)
    with login(empty_database, "archive_tap", PASSWORDS["TAP_DATABASE_PASSWORD"]) as tap:
        assert tap.execute("SELECT count(*) FROM lake.obscore").fetchone() is not None
        assert tap.execute("SHOW work_mem").fetchone() == ("32MB",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            tap.execute("CREATE TEMPORARY TABLE mine (a int)")
    with login(empty_database, "archive_sync", PASSWORDS["SYNC_DATABASE_PASSWORD"]) as sync:
        sync.execute("DELETE FROM lake.replica")
    with login(empty_database, "archive_jobs", PASSWORDS["JOBS_DATABASE_PASSWORD"]) as jobs:
        assert jobs.execute("SELECT count(*) FROM uws.job").fetchone() == (0,)
    with login(empty_database, "archive_links", PASSWORDS["LINKS_DATABASE_PASSWORD"]) as links:
        assert links.execute("SELECT count(*) FROM lake.replica").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            links.execute("DELETE FROM lake.replica")


def test_a_new_password_takes_the_place_of_the_old_one(empty_database: Database) -> None:
    assert accounts(empty_database, PASSWORDS).returncode == 0
    assert accounts(empty_database, {**PASSWORDS, "LINKS_DATABASE_PASSWORD": "a new one"}).returncode == 0
    login(empty_database, "archive_links", "a new one").close()
    with pytest.raises(psycopg.OperationalError, match="password"):
        login(empty_database, "archive_links", PASSWORDS["LINKS_DATABASE_PASSWORD"])


@pytest.mark.parametrize("missing", sorted(PASSWORDS))
def test_no_account_is_made_without_a_password(empty_database: Database, missing: str) -> None:
    done = accounts(empty_database, {**PASSWORDS, missing: ""})
    assert done.returncode == 1
    assert missing in done.stderr
