"""Where a file lies at an RSE, by which path algorithm, and why there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rucio_policy.paths import BY_NAME, PARENT_DATASET, md5_of, parent_dataset
from stac_rucio_sync.errors import RefusedError, UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.stores.rucio.uploads import RucioUploads

#: What an RSE uses that names no algorithm, on a server that names none either.
_RUCIOS_DEFAULT = "hash"
_RULES = {
    "hash": "Rucio's own algorithm: SCOPE/aa/bb/NAME; dots are folders in scopes that start with user or group",
    "identity": "Rucio's own algorithm: SCOPE/NAME; dots are folders in scopes that start with user or group",
    "documented_hash": "/aa/bb/SCOPE/NAME",
    "naming_convention": "/FIRST/SCOPE/REST, where the name is FIRST.REST; /~/SCOPE/NAME where it is not",
    PARENT_DATASET: "/DATASET-SCOPE/DATASET-NAME/SCOPE/NAME; slashes in the dataset's name are tildes",
}


@dataclass(frozen=True)
class FilePath:
    """The place of a file.

    Attributes
    ----------
    did : Did
        The file.
    path : str
        Below the prefix of an RSE.
    algorithm : str or None
        What gave the path; None: Rucio keeps it.
    because : tuple of str
        How it comes about, in sentences.
    rse : str or None
        Where, when an RSE was asked for.
    pfn : str or None
        Its address there: the one that Rucio lists, else that of the RSE's first protocol for writing.
    """

    did: Did
    path: str
    algorithm: str | None
    because: tuple[str, ...]
    rse: str | None = None
    pfn: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the values of one JSON object."""
        return {
            "scope": self.did.scope,
            "name": self.did.name,
            "path": self.path,
            "algorithm": self.algorithm,
            "rse": self.rse,
            "pfn": self.pfn,
            "because": list(self.because),
        }


def algorithm_of(settings: Mapping[str, Any], attributes: Mapping[str, Any]) -> str:
    """Return the name of the algorithm that an RSE uses.

    Parameters
    ----------
    settings
        What Rucio says of the RSE.
    attributes
        Its attributes.
    """
    if settings["deterministic"]:
        return str(settings.get("lfn2pfn_algorithm") or _RUCIOS_DEFAULT)
    return str(attributes.get("naming_convention") or PARENT_DATASET)


def path_by(algorithm: str, did: Did, dataset: Did | None = None) -> FilePath:
    """Compute the path of a file.

    Parameters
    ----------
    algorithm
        One of `rucio_policy.paths`.
    did, dataset
        The file, and its dataset for the algorithm that needs one.

    Raises
    ------
    UsageError
        The algorithm is unknown here, or needs a dataset.
    """
    if algorithm == PARENT_DATASET:
        if dataset is None:
            raise UsageError(f"{PARENT_DATASET} names the place of a file by its dataset: name it with --dataset")
        path = parent_dataset(did.scope, did.name, dataset.scope, dataset.name)
        return FilePath(did, path, algorithm, (f"{algorithm}: {_RULES[algorithm]}",))
    if algorithm not in BY_NAME:
        names = ", ".join(sorted((*BY_NAME, PARENT_DATASET)))
        raise UsageError(f"there is no path algorithm {algorithm} here; there are {names}")
    because = [f"{algorithm}: {_RULES[algorithm]}"]
    if "hash" in algorithm:
        because.append(f"the MD5 sum of {did} is {md5_of(*did)}")
    return FilePath(did, BY_NAME[algorithm](*did), algorithm, tuple(because))


def path_at(uploads: RucioUploads, rse: str, did: Did, dataset: Did | None = None) -> FilePath:
    """Find out where a file lies at an RSE, or would lie.

    Rucio keeps the paths of files at an RSE that is not deterministic; for one that it does not hold there yet, the
    path is the one that an upload would choose. An algorithm that only the server has is asked for there.

    Parameters
    ----------
    uploads
        The edge to Rucio.
    rse, did, dataset
        The RSE, the file, and its dataset where the algorithm needs one.

    Raises
    ------
    UsageError
        There is no such RSE, or the path cannot be told without a dataset.
    """
    settings = uploads.told_of(rse)
    algorithm = algorithm_of(settings, uploads.attributes(rse))
    if settings["deterministic"]:
        why = f"{rse} is deterministic and names its algorithm: {algorithm}"
        if algorithm in BY_NAME:
            return _at(settings, path_by(algorithm, did), why)
        path = uploads.paths(rse, settings, [did])[did]
        return _at(settings, FilePath(did, path, algorithm, ("only the server knows it, and was asked",)), why)
    held = uploads.held([did]).get(did)
    kept = held.pfns.get(rse) if held else None
    if kept:
        because = (f"{rse} is not deterministic: Rucio keeps the path",)
        return FilePath(did, _below_prefix(kept[0], settings), None, because, rse, kept[0])
    why = f"{rse} is not deterministic and has no replica of {did}: an upload would name its place by its dataset"
    if algorithm != PARENT_DATASET:
        why += f", a transfer of Rucio's by {algorithm}"
    return _at(settings, path_by(PARENT_DATASET, did, dataset), why)


def _at(settings: Mapping[str, Any], placed: FilePath, why: str) -> FilePath:
    """Give a path the RSE that it is at, and its address there."""
    from stac_rucio_sync.stores.storage.protocols import StorageElement  # noqa: PLC0415 - Rucio is imported when used

    try:
        pfn = StorageElement(settings).pfn_of(placed.path.lstrip("/"))
    except RefusedError:
        pfn = None
    return replace(placed, rse=settings["rse"], pfn=pfn, because=(why, *placed.because))


def _below_prefix(pfn: str, settings: Mapping[str, Any]) -> str:
    """Return what stands behind an RSE's prefix in an address."""
    path = "/" + pfn.partition("://")[2].partition("/")[2]
    prefixes = {"/" + protocol["prefix"].strip("/") + "/" for protocol in settings["protocols"]}
    prefix = max((one for one in prefixes if path.startswith(one)), key=len, default="/")
    return "/" + path.removeprefix(prefix).lstrip("/")
