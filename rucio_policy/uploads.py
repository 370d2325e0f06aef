"""Permissions of those who upload: to finish, and to withdraw, replicas that they registered as COPYING.

Rucio's generic rules let everybody register replicas at RSEs of certain names (``…LOCALGROUPDISK`` and the like), but
only administrators say that a file has arrived, and nobody takes back one that never did. Here

- an account may set replicas AVAILABLE at an RSE where it may add them, in scopes that it owns, when they are COPYING,
  UNAVAILABLE or AVAILABLE already (a request that is sent again) and no transfer of Rucio's brings them;
- it may delete replicas there, in scopes that it owns, while they are COPYING, no rule holds them and no transfer
  brings them; administrators may do so in any scope and at any RSE.

Rucio's gateway names only the RSE to a policy package, not the files. They are read from the request that the REST
server is answering, with the server's own reader, so that what is judged is what is done; outside of a request nothing
is allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import has_request_context
from rucio.common.exception import RucioException
from rucio.common.types import InternalScope
from rucio.common.utils import parse_response
from rucio.core.account import has_account_attribute
from rucio.core.permission import generic
from rucio.core.scope import is_scope_owner
from rucio.db.sqla.constants import ReplicaState
from rucio.db.sqla.models import Request, RSEFileAssociation
from sqlalchemy import and_, exists, or_, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rucio.common.types import InternalAccount
    from sqlalchemy.orm import Session
    from sqlalchemy.sql import ColumnElement

#: Rucio itself takes no more files in a call.
_MOST_FILES = 1000
_FINISHED = {"A", "AVAILABLE"}


def may_finish(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow an account to say that its own uploads have arrived; about no files, to ask whether it may."""
    entries = _entries(kwargs["rse"])
    files = _named(entries, issuer.vo)
    if entries is None or files is None or not all(entry.get("state") in _FINISHED for entry in entries):
        return False
    return _are_own_uploads(issuer, files, kwargs, session) and _all_are(_arriving(), files, kwargs, session)


def may_withdraw(issuer: InternalAccount, kwargs: dict[str, Any], session: Session) -> bool:
    """Allow an account to take back its own uploads that never arrived, and an administrator to take back anybody's."""
    files = _named(_entries(kwargs["rse"]), issuer.vo)
    if files is None or not (_is_admin(issuer, session) or _are_own_uploads(issuer, files, kwargs, session)):
        return False
    return _all_are(_never_arrived(), files, kwargs, session)


def _is_admin(issuer: InternalAccount, session: Session) -> bool:
    return issuer.external == "root" or bool(has_account_attribute(account=issuer, key="admin", session=session))


def _entries(rse: str) -> Sequence[dict[str, Any]] | None:
    """Return what the request says of files at an RSE; None when there is no such request."""
    if not has_request_context():
        return None
    # The REST server imports the permissions that import this module.
    from rucio.web.rest.flaskapi.v1.common import json_parameters  # noqa: PLC0415

    said = json_parameters(parse_response)
    entries = said.get("files")
    if said.get("rse") != rse or not isinstance(entries, list) or len(entries) > _MOST_FILES:
        return None
    return entries if all(isinstance(entry, dict) for entry in entries) else None


def _named(entries: Sequence[dict[str, Any]] | None, vo: str) -> list[tuple[InternalScope, str]] | None:
    """Return the files that a request names; None when one of them cannot be understood."""
    try:
        return None if entries is None else [(InternalScope(entry["scope"], vo=vo), entry["name"]) for entry in entries]
    except (KeyError, TypeError, RucioException):
        return None


def _are_own_uploads(
    issuer: InternalAccount,
    files: Sequence[tuple[InternalScope, str]],
    kwargs: dict[str, Any],
    session: Session,
) -> bool:
    """Tell whether an account may add replicas at the RSE, and owns the scopes of all files."""
    scopes = {scope for scope, _name in files}
    may_add = generic.has_permission(issuer, "add_replicas", kwargs, session=session)
    return bool(may_add) and all(is_scope_owner(scope, issuer, session=session) for scope in scopes)


def _arriving() -> ColumnElement[bool]:
    """Say which replicas may be told to have arrived."""
    own = (ReplicaState.COPYING, ReplicaState.UNAVAILABLE)
    return or_(
        RSEFileAssociation.state == ReplicaState.AVAILABLE,
        and_(RSEFileAssociation.state.in_(own), ~_is_transferred()),
    )


def _never_arrived() -> ColumnElement[bool]:
    """Say which replicas may be taken back."""
    return and_(RSEFileAssociation.state == ReplicaState.COPYING, RSEFileAssociation.lock_cnt == 0, ~_is_transferred())


def _is_transferred() -> ColumnElement[bool]:
    return exists().where(
        Request.scope == RSEFileAssociation.scope,
        Request.name == RSEFileAssociation.name,
        Request.dest_rse_id == RSEFileAssociation.rse_id,
    )


def _all_are(
    wanted: ColumnElement[bool],
    files: Sequence[tuple[InternalScope, str]],
    kwargs: dict[str, Any],
    session: Session,
) -> bool:
    """Tell whether all of the files' replicas at the RSE are as wanted; Rucio itself says which are not there."""
    names: dict[InternalScope, list[str]] = {}
    for scope, name in files:
        names.setdefault(scope, []).append(name)
    for scope, named in names.items():
        here = (
            RSEFileAssociation.rse_id == kwargs["rse_id"],
            RSEFileAssociation.scope == scope,
            RSEFileAssociation.name.in_(named),
        )
        if session.execute(select(exists().where(*here, ~wanted))).scalar():
            return False
    return True
