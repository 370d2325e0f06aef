"""What the DID of an item's dataset says of it in Rucio's metadata.

ObsCore columns have their bare names, STAC properties theirs, and these keys are ours: ``stac:collection``,
``stac:id``, ``stac:asset`` (asset key to file name), ``stac:fingerprint`` and, of items from a catalogue with a
history, ``stac:commit`` (the commit that made the item what it is).

A property gets the prefix ``stac:`` where its own name is taken: by an ObsCore column, by Rucio (a bare ``lifetime``
would let Rucio delete the data), or by that prefix itself. Characters that a key cannot hold (``.`` separates key and
operator in Rucio's filters, ``/`` breaks its addresses, control characters) become ``_xHEX_``. `property_of` is the
way back.
"""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.escapes import escape, unescape
from stac_rucio_sync.model import File, Item, ObsCoreRow

_COLUMNS = """
    scope name account did_type is_open monotonic hidden obsolete complete is_new availability suppressed bytes length
    md5 adler32 expired_at purge_replicas deleted_at events guid project datatype run_number stream_name prod_step
    version campaign task_id panda_id lumiblocknr provenance phys_group transient accessed_at closed_at eol_at
    is_archive constituent access_cnt created_at updated_at
"""
_WORDS = "lifetime type created_before created_after rule_evaluation_action rule_evaluation_required"
RUCIO_KEYS: Final = frozenset(f"{_COLUMNS} {_WORDS}".split())
"""Keys that mean something to Rucio 41 itself: columns of its DIDs, and words of its metadata calls and filters;
``lifetime``, ``expired_at`` and ``eol_at`` make it delete data."""
COMMIT_KEY: Final = "stac:commit"
OWN_KEYS: Final = frozenset(
    {"stac:collection", "stac:id", "stac:asset", "stac:fingerprint", "stac:left_out", COMMIT_KEY}
)
PROPERTIES_LIMIT: Final = 1_000_000
"""Octets of JSON that an item's properties may take; the largest beyond it are named in ``stac:left_out``."""

_PREFIX: Final = "stac:"
_LONGEST_KEY: Final = 255
_DEEPEST: Final = 200
_TAKEN: Final = RUCIO_KEYS | frozenset(ObsCoreRow._fields) | {""}
_OBSCORE_POSITIONS: Final = tuple(
    (position, column) for position, column in enumerate(ObsCoreRow._fields) if column not in ("s_bound", "s_polygon")
)
_FORBIDDEN: Final = r"[./\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_TO_ESCAPE = re.compile(rf"{_FORBIDDEN}|_(?=x[0-9A-F]*(?:_|{_FORBIDDEN}))")
_SHORTENED = re.compile(r"stac:.*~[0-9a-f]{32}", re.DOTALL)
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


def did_metadata(item: Item, obscore: ObsCoreRow, files: Iterable[File], fingerprint: str) -> dict[str, Any]:
    """Return the metadata of an item's dataset: keys that Rucio takes as custom ones, and JSON values.

    Parameters
    ----------
    item
        The item. NaN and infinite numbers of its properties become null, integers beyond 64 bits the nearest double;
        NUL is removed from every text.
    obscore
        Its row; columns without a value are left out. ``s_polygon`` and ``s_bound`` are lists of degrees.
    files
        Its files, for ``stac:asset``.
    fingerprint
        What tells this state of the item from another.

    Raises
    ------
    ItemError
        A property is nested too deeply to be stored.
    """
    metadata = _storable_properties(item.properties)
    for position, column in _OBSCORE_POSITIONS:
        value = obscore[position]
        if value is not None:
            metadata[column] = value
    if obscore.s_polygon is not None:
        metadata["s_polygon"] = list(obscore.s_polygon)
    if obscore.s_bound is not None:
        metadata["s_bound"] = list(obscore.s_bound)
    metadata["stac:collection"] = _storable_text(item.key.collection)
    metadata["stac:id"] = _storable_text(item.key.id)
    metadata["stac:asset"] = {_storable_text(file.asset): file.did.name for file in files}
    metadata["stac:fingerprint"] = fingerprint
    if item.commit is not None:
        metadata[COMMIT_KEY] = item.commit
    return metadata


@lru_cache(maxsize=8192)
def metadata_key(name: str) -> str:
    """Return the metadata key of a STAC property.

    No two properties share one. A name that stays longer than 255 characters is shortened with a digest.
    """
    key = _TO_ESCAPE.sub(escape, name)
    if key in _TAKEN or key.startswith(_PREFIX):
        key = _PREFIX + key
    if len(key) <= _LONGEST_KEY:
        return key
    digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    head = key if key.startswith(_PREFIX) else _PREFIX + key
    return f"{head[: _LONGEST_KEY - 33]}~{digest}"


def property_of(key: str) -> str | None:
    """Return the STAC property that a metadata key is for.

    None: the key is ours, ObsCore's or Rucio's, or the property's name was too long to be kept.
    """
    if key in OWN_KEYS or key in _TAKEN or (len(key) == _LONGEST_KEY and _SHORTENED.fullmatch(key)):
        return None
    return unescape(key.removeprefix(_PREFIX))


def _storable_properties(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties under their keys with values that PostgreSQL's jsonb can hold."""
    try:
        text = orjson.dumps(properties)
    except TypeError:  # a lone surrogate, an integer of more than 64 bits, or deep nesting
        text = b""
    if text and b"\\u0000" not in text:
        storable: dict[str, Any] = orjson.loads(text)
        size = len(text)
    else:
        storable = {name: _storable(value) for name, value in properties.items()}
        size = sum(map(_size, storable.values()))
    metadata = {metadata_key(name): value for name, value in storable.items()}
    if size > PROPERTIES_LIMIT:
        metadata["stac:left_out"] = _leave_out_largest(metadata, size)
    return metadata


def _storable(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value in, any JSON value out
    if isinstance(value, str):
        return _storable_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) <= sys.float_info.max else None  # as RFC 8259 section 6 expects of readers
    if depth > _DEEPEST:
        raise ItemError(f"a property is nested deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        return {_storable_text(str(key)): _storable(nested, depth + 1) for key, nested in value.items()}
    if isinstance(value, (list, tuple)):
        return [_storable(nested, depth + 1) for nested in value]
    return value


def _storable_text(text: str) -> str:
    """Remove NUL; half of a surrogate pair becomes the replacement character."""
    return _UNSTORABLE.sub(lambda match: "" if match.group() == "\0" else "\ufffd", text)


def _size(value: object) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:
        return len(repr(value))


def _leave_out_largest(metadata: dict[str, Any], size: int) -> list[str]:
    """Take the largest values away until the rest fits; return their keys."""
    left_out = []
    for key, octets in sorted(((key, _size(value)) for key, value in metadata.items()), key=lambda one: -one[1]):
        if size <= PROPERTIES_LIMIT:
            break
        del metadata[key]
        left_out.append(key)
        size -= octets
    return sorted(left_out)
