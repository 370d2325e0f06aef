"""Wanted against found: what a run does to one item, in the signs ``= + - * !``.

Pure functions. The plan settles what must not be decided in the middle of an effect: which DID stands for bytes
that changed, and which lines a dry run shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.identifiers import version_did
from stac_rucio_sync.model import Did, Fate, File, Found, FoundFile, ItemKey, Wanted

_DIGEST_LENGTH = 10


class Sign(StrEnum):
    """The five signs of a plan."""

    SAME = "="
    ADD = "+"
    REMOVE = "-"
    CHANGE = "*"
    ERROR = "!"


@dataclass(frozen=True, slots=True)
class Action:
    """One line of a plan."""

    sign: Sign
    what: str
    """``item``, ``file``, ``replica``, ``link``, ``metadata``."""
    name: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.sign} {self.what} {self.name}" + (f"  ({self.why})" if self.why else "")


def fate_of(before: str | None, fingerprint: str) -> Fate:
    """Say what an item is, against the fingerprint that stood before the run (None: it was not there)."""
    if before is None:
        return Fate.ADDED
    return Fate.UNCHANGED if before == fingerprint else Fate.CHANGED


def settle_content(wanted: Wanted, found: Found | None, policy: Literal["new", "quarantine"]) -> Wanted:
    """Give changed bytes a DID of their own: a file DID stands for fixed bytes.

    Parameters
    ----------
    wanted
        As mapping gives it, every asset under its first name.
    found
        What the last run recorded.
    policy
        ``new``: the changed content becomes a new file DID, named with a short digest of size and checksums, so that
        the same content always gets the same name. ``quarantine``: it is an error of the item.

    Raises
    ------
    ItemError
        The bytes changed and the policy is ``quarantine``.
    """
    if found is None or not found.files:
        return wanted
    recorded = {file.asset: file for file in found.files}
    files = tuple(_settle_file(file, recorded.get(file.asset), policy) for file in wanted.files)
    if files == wanted.files:
        return wanted
    names = {file.asset: file.did.name for file in files}
    return replace(wanted, files=files, metadata={**wanted.metadata, "stac:asset": names})


def _settle_file(file: File, recorded: FoundFile | None, policy: Literal["new", "quarantine"]) -> File:
    if recorded is None or file.in_lake is not None:
        return file
    if same_content(file, recorded):
        return file if file.did == recorded.did else replace(file, did=_kept_did(file, recorded))
    if policy == "quarantine":
        raise ItemError(
            f"the content of asset {file.asset!r} changed ({recorded.bytes} bytes before, {file.bytes} now): "
            "sync with --on-changed-content new to give it a DID of its own"
        )
    return replace(file, did=version_did(file.did, content_digest(file)))


def _kept_did(file: File, recorded: FoundFile) -> Did:
    """Keep the DID of a content that was versioned before; a DID that the item names anew wins."""
    versioned = version_did(file.did, content_digest(file))
    return recorded.did if recorded.did == versioned else file.did


def same_content(file: File, recorded: FoundFile) -> bool:
    """Whether nothing that both sides know of the bytes differs."""
    return file.bytes == recorded.bytes and not any(
        one is not None and other is not None and one != other
        for one, other in ((file.adler32, recorded.adler32), (file.md5, recorded.md5))
    )


def content_digest(file: File) -> str:
    """Return the short digest that names a content: of its size and every checksum that the item gives."""
    stated = f"{file.bytes}/{file.adler32 or ''}/{file.md5 or ''}/{file.unverified_checksum or ''}"
    return hashlib.sha256(stated.encode()).hexdigest()[:_DIGEST_LENGTH]


def actions(wanted: Wanted, found: Found | None) -> Iterator[Action]:
    """Yield the lines of a plan for one item that is new or changed."""
    name = name_of(wanted.key)
    yield Action(Sign.ADD, "item", name) if found is None else Action(Sign.CHANGE, "item", name)
    recorded = {file.did: file for file in found.files} if found else {}
    for file in wanted.files:
        before = recorded.pop(file.did, None)
        if before is None:
            where = f", in the lake at {file.in_lake.rse}" if file.in_lake is not None else ""
            yield Action(Sign.ADD, "file", str(file.did), f"{file.bytes} bytes{where}")
        known = before.pfns if before else ()
        for replica in file.replicas:
            if replica.pfn not in known:
                yield Action(Sign.ADD, "replica", replica.pfn)
    for did in recorded:
        yield Action(Sign.REMOVE, "file", str(did), f"detached from {wanted.did}")
    for link in wanted.links:
        if link.reason:
            yield Action(Sign.SAME, "link", f"{name}/{link.name}", link.reason)
    for key in sorted(set(found.metadata_keys) - set(wanted.metadata)) if found else ():
        yield Action(Sign.REMOVE, "metadata", f"{wanted.did} {key}")


def name_of(key: ItemKey) -> str:
    """Return an item's name for people: ``collection/id``."""
    return f"{key.collection}/{key.id}"
