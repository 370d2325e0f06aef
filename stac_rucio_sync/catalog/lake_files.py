"""Files of an item whose bytes stay in the lake: the catalogue has a pointer, and beside it the DID."""

from __future__ import annotations

from stac_rucio_sync.catalog.objects import Entry
from stac_rucio_sync.catalog.pointers import CONFIG, CONFIG_TEXT, Pointer, did_in, lake_path, lake_record
from stac_rucio_sync.catalog.repository import Version
from stac_rucio_sync.catalog.transaction import Transaction
from stac_rucio_sync.model import Did


def put_lake_file(changes: Transaction, did: Did, *, sha256: str, size: int) -> Entry:
    """Return what stands for a file of the lake among the ``assets`` of `Transaction.put_item`.

    Parameters
    ----------
    sha256
        Of its bytes: what Git LFS checks them by, as Rucio keeps none. Small hexadecimal letters.
    size
        Bytes.

    Raises
    ------
    UsageError
        It is no SHA-256.
    """
    edits = changes.draft.edits
    edits.write(lake_path(sha256), lake_record(did))
    if edits.entry(CONFIG) is None:
        edits.write(CONFIG, CONFIG_TEXT)
    return changes.writing.put_pointer(Pointer(sha256, size))


def did_of(version: Version, sha256: str) -> Did | None:
    """Return which DID holds the bytes with a digest; None: the catalogue does not say so."""
    entry = version.tree.entry(lake_path(sha256))
    return None if entry is None or entry.is_folder else did_in(version.tree.read(lake_path(sha256)))
