"""What differs between two states of a STAC object, field by field, named by JSON pointers (RFC 6901)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stac_rucio_sync.model.links import STRUCTURAL_RELATIONS


class FieldChange(NamedTuple):
    """What became of one field."""

    pointer: str
    """Of a field that is gone in the older state, else in the newer one."""
    fate: str
    """``added``, ``modified`` or ``removed``."""
    old: Any = None
    new: Any = None


def field_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[FieldChange]:
    """Yield what differs between two states of a STAC object, in the order of names.

    Objects are compared field by field, lists of objects of equal length element by element, other lists (coordinates,
    a bbox, roles) as one value. Links are compared by relation and href; those that hold the catalogue together follow
    from where objects lie, and are left out.
    """
    links = _links(old), _links(new)
    yield from _of_objects(_without_links(old), _without_links(new), "")
    yield from _of_links(*links)


def equal(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Tell whether two JSON values are the same; unlike in Python, true is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equal(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _of_objects(old: Mapping[str, Any], new: Mapping[str, Any], pointer: str) -> Iterator[FieldChange]:
    for name in sorted(old.keys() | new.keys()):
        below = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        if name not in new:
            yield FieldChange(below, "removed", old=old[name])
        elif name not in old:
            yield FieldChange(below, "added", new=new[name])
        else:
            yield from _of_values(old[name], new[name], below)


def _of_values(old: Any, new: Any, pointer: str) -> Iterator[FieldChange]:  # noqa: ANN401 - any JSON value
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _of_objects(old, new, pointer)
    elif _are_objects(old) and _are_objects(new) and len(old) == len(new):
        for number, (was, is_) in enumerate(zip(old, new, strict=True)):
            yield from _of_objects(was, is_, f"{pointer}/{number}")
    elif not equal(old, new):
        yield FieldChange(pointer, "modified", old, new)


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, Mapping) for one in value)


_Links = dict[tuple[str, str, int], tuple[int, Mapping[str, Any]]]


def _links(stac: Mapping[str, Any]) -> _Links:
    """Return the links that are an object's own with their numbers, by relation, href and which of the like it is."""
    listed = stac.get("links")
    found: _Links = {}
    for number, link in enumerate(listed if isinstance(listed, Sequence) else ()):
        if isinstance(link, Mapping) and link.get("rel") not in STRUCTURAL_RELATIONS:
            rel, href = str(link.get("rel")), str(link.get("href"))
            which = sum(1 for one in found if one[:2] == (rel, href))
            found[rel, href, which] = number, link
    return found


def _of_links(old: _Links, new: _Links) -> Iterator[FieldChange]:
    for key, (number, link) in old.items():
        if key not in new:
            yield FieldChange(f"/links/{number}", "removed", old=link)
    for key, (number, link) in new.items():
        if key not in old:
            yield FieldChange(f"/links/{number}", "added", new=link)
        else:
            yield from _of_objects(old[key][1], link, f"/links/{number}")


def _without_links(stac: Mapping[str, Any]) -> dict[str, Any]:
    return {field: value for field, value in stac.items() if field != "links"}
