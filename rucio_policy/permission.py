"""Permissions: Rucio's generic ones, and on top what an account that feeds a catalogue's files into Rucio needs.

An *ingest account* is one with the attribute ``stac_ingest`` set to true. An *origin RSE* stands for somebody else's
server that files are read from; it is marked by the RSE attribute ``origin``. On top of what everybody may, an ingest
account may

- add scopes of its own;
- add RSEs, and set up an RSE that is an origin or that is still blank (no protocol, no replica): attributes,
  protocols, limits, properties, and its distances to and from any RSE;
- add, delete and update replicas at origin RSEs, and nowhere else, also while those are closed for writing (which
  keeps rules from choosing them as a destination);
- export what RSEs say of themselves and how far they are declared from each other: every account may read all of it,
  but by a call for each RSE and one for each pair of them.

What an ingest account may do with DIDs of its own scopes (add, attach, detach, metadata) is Rucio's generic rule for
every owner of a scope.

Everybody may end a rule of their own: delete it, or change when it ends. Rucio's generic rules let everybody add rules,
and only administrators take them back. Everybody may read why a copy failed, too, and finish or withdraw what they
upload (`rucio_policy.uploads`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rucio.common.exception import RSENotFound
from rucio.core.account import has_account_attribute
from rucio.core.permission import generic
from rucio.core.rse import get_rse_id, list_rse_attributes
from rucio.db.sqla.models import ReplicationRule, RSEFileAssociation, RSEProtocol
from sqlalchemy import exists, select

from rucio_policy.uploads import may_finish, may_withdraw

if TYPE_CHECKING:
    from collections.abc import Callable

    from rucio.common.types import InternalAccount
    from sqlalchemy.orm import Session

INGEST_ATTRIBUTE = "stac_ingest"
ORIGIN_ATTRIBUTE = "origin"


def is_ingest_account(account: InternalAccount, session: Session) -> bool:
    """Tell whether an account carries the attribute of ingest accounts."""
    return bool(has_account_attribute(account=account, key=INGEST_ATTRIBUTE, session=session))


def is_origin(rse_id: str | None, session: Session) -> bool:
    """Tell whether an RSE is marked as an origin."""
    return rse_id is not None and bool(list_rse_attributes(rse_id, session=session).get(ORIGIN_ATTRIBUTE))


def is_blank(rse_id: str | None, session: Session) -> bool:
    """Tell whether an RSE has neither protocols nor replicas: it has just been made, and serves nobody yet."""
    if rse_id is None:
        return False
    used = select(exists().where(RSEProtocol.rse_id == rse_id) | exists().where(RSEFileAssociation.rse_id == rse_id))
    return not session.execute(used).scalar()


def may_add_scope(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow a scope for the account itself."""
    return bool(kwargs["account"] == issuer)


def may_add_rse(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow any RSE: it is blank, and becomes an origin or stays useless."""
    return True


def may_set_up(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow the set-up of origins and of blank RSEs."""
    rse_id = kwargs.get("rse_id")
    return is_origin(rse_id, session) or is_blank(rse_id, session)


def may_use_replicas(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow replicas at origins only."""
    return is_origin(kwargs.get("rse_id"), session)


def may_set_distance(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow a distance when one of its ends is an origin."""
    for end in (kwargs["source"], kwargs["destination"]):
        try:
            rse_id = get_rse_id(end, vo=issuer.vo, include_deleted=False, session=session)
        except RSENotFound:
            continue
        if is_origin(rse_id, session):
            return True
    return False


def may_export(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow by one call what is read by many."""
    return True


def may_end_rule(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow the end of the account's own rules; nothing else of a rule is changed by this."""
    if not {"lifetime", "purge_replicas"}.issuperset(kwargs.get("options", ())):
        return False
    owner = session.execute(select(ReplicationRule.account).where(ReplicationRule.id == kwargs["rule_id"])).scalar()
    return bool(owner == issuer)


def may_read_history(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow what became of the transfers of a file: without it nobody learns which of their files failed, and why."""
    return True


PERMISSIONS: dict[str, Callable[[InternalAccount, dict[str, Any], Session], bool]] = {
    "get_request_history_by_did": may_read_history,
    "del_rule": may_end_rule,
    "update_rule": may_end_rule,
    "update_replicas_states": may_finish,
    "delete_replicas": may_withdraw,
}

INGEST_PERMISSIONS: dict[str, Callable[[InternalAccount, dict[str, Any], Session], bool]] = {
    "add_scope": may_add_scope,
    "add_rse": may_add_rse,
    "add_rse_attribute": may_set_up,
    "del_rse_attribute": may_set_up,
    "update_rse": may_set_up,
    "add_protocol": may_set_up,
    "update_protocol": may_set_up,
    "del_protocol": may_set_up,
    "set_rse_limits": may_set_up,
    "delete_rse_limits": may_set_up,
    "set_rse_usage": may_set_up,
    "add_distance": may_set_distance,
    "update_distance": may_set_distance,
    "delete_distance": may_set_distance,
    "add_replicas": may_use_replicas,
    "delete_replicas": may_use_replicas,
    "update_replicas_states": may_use_replicas,
    "declare_bad_file_replicas": may_use_replicas,
    "skip_availability_check": may_use_replicas,
    "export": may_export,
}


def has_permission(issuer: InternalAccount, action: str, kwargs: dict[str, Any], session: Session) -> bool:
    """Tell whether an account may do something.

    Parameters
    ----------
    issuer : InternalAccount
        Who asks.
    action : str
        Rucio's name of the action.
    kwargs : dict
        Its arguments, as Rucio's gateway passes them.
    session : Session
        The database session.

    Returns
    -------
    bool
        True when Rucio's generic rules allow it, or ours for everybody or for ingest accounts do.
    """
    if generic.has_permission(issuer, action, kwargs, session=session):
        return True
    if action in PERMISSIONS and PERMISSIONS[action](issuer, kwargs, session):
        return True
    rule = INGEST_PERMISSIONS.get(action)
    return rule is not None and is_ingest_account(issuer, session) and rule(issuer, kwargs, session)
