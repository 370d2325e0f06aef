"""The path algorithms as Rucio calls them: for deterministic RSEs, and for destinations that are not.

An RSE names the one it uses by its attribute ``lfn2pfn_algorithm``, or ``naming_convention`` when it is not
deterministic. The names are those of a server with one virtual organisation; with several, Rucio wants that of the
organisation before each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rucio_policy.paths import BY_NAME, PARENT_DATASET, parent_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

#: Rucio has these itself.
_RUCIOS_OWN = frozenset(("hash", "identity"))
_NO_DATASET = "other"


def get_algorithms() -> dict[str, dict[str, Callable[..., str]]]:
    """Return what Rucio's plugin loader registers: algorithms by kind and name."""
    return {
        "lfn2pfn": {name: _deterministic(path) for name, path in BY_NAME.items() if name not in _RUCIOS_OWN},
        "non_deterministic_pfn": {PARENT_DATASET: by_parent_dataset},
    }


def _deterministic(path: Callable[[str, str], str]) -> Callable[..., str]:
    """Give a function of a DID the arguments that Rucio passes."""

    def algorithm(scope: str, name: str, _rse: str, _rse_attributes: Any, _protocol_attributes: Any) -> str:  # noqa: ANN401 - Rucio's
        return path(scope, name).lstrip("/")  # the prefix before it ends with a slash

    return algorithm


def by_parent_dataset(dataset_name: str, scope: str, name: str) -> str:
    """Return where a transfer puts a file of a dataset.

    Rucio names the dataset without its scope, which is looked for among the parents of the file; when it cannot be
    found there (the file was detached in the meantime), and for a file without a dataset, it is ``other``.
    """
    # On a server only: on a client nothing is transferred.
    from rucio.common.types import InternalScope  # noqa: PLC0415
    from rucio.core.did import list_parent_dids  # noqa: PLC0415
    from rucio.db.sqla.constants import DIDType  # noqa: PLC0415

    scopes = sorted(
        parent["scope"].external
        for parent in list_parent_dids(InternalScope(scope), name)
        if parent["type"] == DIDType.DATASET and parent["name"] == dataset_name
    )
    return parent_dataset(scope, name, scopes[0] if scopes else _NO_DATASET, dataset_name)
