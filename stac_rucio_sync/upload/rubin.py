"""Files of the Rubin Observatory's Data Butler: the reference to a dataset, in Rucio's metadata and as columns.

A reference is what ``DatasetRef.to_json()`` writes. Daemons that ingest replicated files into a Butler find it as text
under ``rubin_sidecar``, beside ``rubin_butler``, which says what kind of file it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from stac_rucio_sync.errors import ItemError

KIND: Final = "rubin_butler"
SIDECAR: Final = "rubin_sidecar"
DATA_PRODUCT: Final = "data_product"
"""The kind of a file that a reference names one dataset of."""


def with_reference(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata in which a dataset reference has the form that the daemons read.

    A reference may be the whole of the metadata, or an object or a text under ``rubin_sidecar``.

    Raises
    ------
    ItemError
        What stands under ``rubin_sidecar`` is no reference.
    """
    if _is_reference(said):
        return {KIND: DATA_PRODUCT, SIDECAR: _text(said)}
    metadata = dict(said)
    if SIDECAR not in metadata:
        return metadata
    reference = metadata[SIDECAR]
    kind = metadata.setdefault(KIND, DATA_PRODUCT)
    if isinstance(reference, Mapping):
        metadata[SIDECAR] = _text(reference)
    if kind == DATA_PRODUCT and reference_in(metadata) is None:
        raise ItemError(f"its {SIDECAR} is no DatasetRef: datasetType, dataId, id and run belong to one")
    return metadata


def reference_in(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the dataset reference that metadata hold; None: there is none."""
    text = metadata.get(SIDECAR)
    try:
        said = orjson.loads(text) if isinstance(text, str) else text
    except orjson.JSONDecodeError:
        return None
    return said if isinstance(said, Mapping) and _is_reference(said) else None


def data_id(reference: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dimensions by which a reference names its dataset."""
    said: Any = reference["dataId"]
    nested = said.get("dataId")
    return dict(nested if isinstance(nested, Mapping) else said)


def _is_reference(said: Mapping[str, Any]) -> bool:
    parts = (said.get("datasetType"), said.get("dataId"))
    return {"id", "run"} <= said.keys() and all(isinstance(part, Mapping) for part in parts)


def _text(reference: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(reference)).decode()
