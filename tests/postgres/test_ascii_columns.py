"""What TAP declares as ``char`` is ASCII: the tables take nothing else."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from obscore_tap.published import make_published
from obscore_tap.schema import Datatype
from stac_rucio_sync.stores.tables.store import PostgresStore
from tests.postgres.examples import epn_row, obscore_row, settled_item, wanted_item


@pytest.mark.parametrize("name", ["ivoa.obscore", "epn.epn_core"])
def test_char_columns_refuse_what_is_not_ascii(store: PostgresStore, admin: psycopg.Connection, name: str) -> None:
    row = obscore_row(1)
    store.commit("s", [settled_item(replace(wanted_item(1, obscore=row, files=(), links=()), epn=epn_row(row)))], [])
    table = make_published("epn").get(*name.split("."))
    assert table is not None
    plain = [one.sql for one in table.columns if one.datatype is Datatype.TEXT and not one.unicode]
    assert len(plain) > 8
    for column in plain:
        statement = f"UPDATE {'.'.join(table.relation)} SET {column} = %s"  # noqa: S608 - names of ours
        with pytest.raises(psycopg.errors.CheckViolation), admin.transaction():
            admin.execute(statement, ["Ω"])
        with admin.transaction(force_rollback=True):
            assert admin.execute(statement, ["plain"]).rowcount == 1
