"""Where a file lies below the prefix of an RSE: Rucio's path algorithms, and those of its workflow, by name.

Pure functions of names, for Rucio's server (see `rucio_policy.algorithms`) and its clients alike.

Two DIDs never share a path, and no path leaves the folder: a segment that would be empty, ``.`` or ``..`` gets a tilde
before it, which neither names nor scopes may hold. The two algorithms of Rucio's own, `rucio_hash` and `identity`, are
as Rucio computes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

_MARK: Final = "~"
_UNPLAIN: Final = frozenset(("", ".", ".."))


def documented_hash(scope: str, name: str) -> str:
    """Return ``/aa/bb/SCOPE/NAME``: the first four digits of the MD5 sum of ``SCOPE:NAME`` spread files evenly.

    Examples
    --------
    >>> documented_hash("user.jdoe", "test.file.1")
    '/07/7c/user.jdoe/test.file.1'
    """
    digits = md5_of(scope, name)
    return _path(digits[:2], digits[2:4], scope, *name.split("/"))


def naming_convention(scope: str, name: str) -> str:
    """Return ``/FIRST/SCOPE/REST``, where the name is ``FIRST.REST``: files of a project lie together.

    A name that has no such first part lies at ``/~/SCOPE/NAME``.

    Examples
    --------
    >>> naming_convention("user.jdoe", "test.file.1")
    '/test/user.jdoe/file.1'
    """
    first, _, rest = name.partition(".")
    if not first or not rest or "/" in first:
        return _path(_MARK, scope, *name.split("/"))
    return _path(first, scope, *rest.split("/"))


def rucio_hash(scope: str, name: str) -> str:
    """Return what Rucio's own algorithm ``hash`` gives: ``SCOPE/aa/bb/NAME``, the dots of some scopes being folders.

    Examples
    --------
    >>> rucio_hash("user.jdoe", "test.file.1")
    'user/jdoe/07/7c/test.file.1'
    """
    digits = md5_of(scope, name)
    return f"{_folders_of(scope)}/{digits[:2]}/{digits[2:4]}/{name}"


def identity(scope: str, name: str) -> str:
    """Return what Rucio's own algorithm ``identity`` gives: ``SCOPE/NAME``, the dots of some scopes being folders.

    Examples
    --------
    >>> identity("user.jdoe", "test.file.1")
    'user/jdoe/test.file.1'
    """
    return f"{_folders_of(scope)}/{name}"


def parent_dataset(scope: str, name: str, dataset_scope: str, dataset_name: str) -> str:
    """Return ``/DATASET-SCOPE/DATASET-NAME/SCOPE/NAME``: files of a dataset lie together.

    It is for RSEs that are not deterministic: the path of a file is kept, so the dataset may go. A slash in the name
    of the dataset becomes a tilde.

    Examples
    --------
    >>> parent_dataset("user.jdoe", "test.file.1", "data", "dataset1234")
    '/data/dataset1234/user.jdoe/test.file.1'
    """
    return _path(dataset_scope, dataset_name.replace("/", _MARK), scope, *name.split("/"))


def md5_of(scope: str, name: str) -> str:
    """Return the MD5 sum of ``SCOPE:NAME`` in hexadecimal digits."""
    return hashlib.md5(f"{scope}:{name}".encode(), usedforsecurity=False).hexdigest()


def _path(*segments: str) -> str:
    return "".join(f"/{_MARK if segment in _UNPLAIN else ''}{segment}" for segment in segments)


def _folders_of(scope: str) -> str:
    return scope.replace(".", "/") if scope.startswith(("user", "group")) else scope


#: Algorithms that need only the DID, by the name that an RSE's attribute ``lfn2pfn_algorithm`` gives.
BY_NAME: Final[Mapping[str, Callable[[str, str], str]]] = {
    "hash": rucio_hash,
    "identity": identity,
    "documented_hash": documented_hash,
    "naming_convention": naming_convention,
}
#: Name of the algorithm that needs the dataset, too; an RSE's attribute ``naming_convention`` gives it.
PARENT_DATASET: Final = "parent_dataset"
