"""Make Rucio hold what the lake wants: runs in the server's environment, reads the wanted state (JSON) from stdin.

Every step asks first, so a run that was cut short is simply run again.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rucio.common.types import InternalAccount, InternalScope
from rucio.core import account as account_core
from rucio.core import account_limit, distance, identity
from rucio.core import rse as rse_core
from rucio.core import scope as scope_core
from rucio.db.sqla import util
from rucio.db.sqla.constants import AccountType, DatabaseOperationType, IdentityType
from rucio.db.sqla.models import VO, AlembicVersion
from rucio.db.sqla.session import db_session, get_engine
from sqlalchemy import inspect, select

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

SCHEMA = "dev"


def is_stamped() -> bool:
    """Tell whether Rucio's tables were made to the end."""
    if not inspect(get_engine()).has_table(AlembicVersion.__tablename__, SCHEMA):
        return False
    with db_session(DatabaseOperationType.READ) as session:
        return session.execute(select(AlembicVersion.version_num)).first() is not None


def make_database() -> None:
    """Create Rucio's tables, its virtual organisation and its root account where they are missing."""
    # The version is stamped by the last statement of build_database, which leaves tables that are there alone.
    if not is_stamped():
        util.build_database()
    elif util.is_old_db():
        sys.exit("Rucio's tables were made by another version of Rucio; `lake reset` starts afresh.")
    with db_session(DatabaseOperationType.READ) as session:
        has_vo = session.execute(select(VO.vo)).first() is not None
        has_root = account_core.account_exists(InternalAccount("root"), session=session)
    if not has_vo:
        util.create_base_vo()
    if not has_root:
        util.create_root_account()


def make_account(wanted: dict[str, Any], session: Session) -> None:
    """Make one account with its password, attributes and scopes."""
    account = InternalAccount(wanted["account"])
    if not account_core.account_exists(account, session=session):
        account_core.add_account(account, AccountType[wanted["type"]], email=None, session=session)
    if not identity.exist_identity_account(wanted["account"], IdentityType.USERPASS, account, session=session):
        identity.add_account_identity(
            wanted["account"],
            IdentityType.USERPASS,
            account,
            email=f"{wanted['account']}@localhost",
            default=True,
            password=wanted["password"],
            session=session,
        )
    for key, value in wanted["attributes"].items():
        if not account_core.has_account_attribute(account, key, session=session):
            account_core.add_account_attribute(account, key, value, session=session)
    for scope in map(InternalScope, wanted["scopes"]):
        if not scope_core.check_scope(scope, session=session):
            scope_core.add_scope(scope, account, session=session)


def make_rse(wanted: dict[str, Any], session: Session) -> None:
    """Make one RSE with its attributes; protocols on another port are replaced."""
    name = wanted["rse"]
    if not rse_core.rse_exists(name, session=session):
        rse_core.add_rse(name, deterministic=wanted["deterministic"], session=session)
    rse_id = rse_core.get_rse_id(name, session=session)
    attributes = rse_core.list_rse_attributes(rse_id, session=session)
    for key, value in wanted["attributes"].items():
        if key in attributes and attributes[key] != value:
            rse_core.del_rse_attribute(rse_id, key, session=session)
        if attributes.get(key) != value:
            rse_core.add_rse_attribute(rse_id, key, value, session=session)
    for protocol in rse_core.get_rse_protocols(rse_id, session=session)["protocols"]:
        rse_core.del_protocols(rse_id, protocol["scheme"], session=session)
    for protocol in wanted["protocols"]:
        rse_core.add_protocol(rse_id, protocol, session=session)


def make_distances(wanted: list[dict[str, Any]], session: Session) -> None:
    """Set the distances between the lake's own RSEs."""
    for pair in wanted:
        source = rse_core.get_rse_id(pair["source"], session=session)
        destination = rse_core.get_rse_id(pair["destination"], session=session)
        if not distance.get_distances(source, destination, session=session):
            distance.add_distance(source, destination, distance=pair["distance"], session=session)


def make_distances_of_origins(wanted: dict[str, Any], destinations: list[str], session: Session) -> None:
    """Let rules copy from origins that were there before an RSE was to that RSE: it needs a distance."""
    ours = {name: rse_core.get_rse_id(name, session=session) for name in destinations}
    for rse in rse_core.list_rses(session=session):
        if rse["rse"] in ours or wanted["attribute"] not in rse_core.list_rse_attributes(rse["id"], session=session):
            continue
        for destination in ours.values():
            if not distance.get_distances(rse["id"], destination, session=session):
                distance.add_distance(rse["id"], destination, distance=wanted["distance"], session=session)


def main() -> None:
    """Read the wanted state and make it so."""
    wanted = json.load(sys.stdin)
    make_database()
    with db_session(DatabaseOperationType.WRITE) as session:
        for account in wanted["accounts"]:
            make_account(account, session)
    with db_session(DatabaseOperationType.WRITE) as session:
        for rse in wanted["rses"]:
            make_rse(rse, session)
    with db_session(DatabaseOperationType.WRITE) as session:
        make_distances(wanted["distances"], session)
        make_distances_of_origins(wanted["origins"], [rse["rse"] for rse in wanted["rses"]], session)
        for limit in wanted["limits"]:
            rse_id = rse_core.get_rse_id(limit["rse"], session=session)
            account_limit.set_local_account_limit(
                InternalAccount(limit["account"]), rse_id, limit["bytes"], session=session
            )


if __name__ == "__main__":
    main()
