"""What differs between two states of an object, by JSON pointers (RFC 6901)."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stac_rucio_sync.catalog.fields import FieldChange, equal, field_changes
from tests.catalog.examples import Json, item

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text("a/~", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=2),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text("abc/~", max_size=2), VALUES, max_size=3)


def changed(old: Json, **properties: object) -> Json:
    new = copy.deepcopy(old)
    new["properties"].update(properties)
    return new


def test_a_field_is_named_by_its_pointer() -> None:
    old = item("a", gsd=1)
    new = changed(old, gsd=2, platform=None, cloud=5)
    del new["properties"]["datetime"]
    assert list(field_changes(old, new)) == [
        FieldChange("/properties/cloud", "added", None, 5),
        FieldChange("/properties/datetime", "removed", "2024-01-01T00:00:00Z"),
        FieldChange("/properties/gsd", "modified", 1, 2),
        FieldChange("/properties/platform", "modified", "telescope", None),
    ]


def test_slashes_and_tildes_in_names_are_escaped() -> None:
    assert [one.pointer for one in field_changes({"a/b~c": 1}, {"a/b~c": 2})] == ["/a~1b~0c"]


def test_coordinates_are_one_value_and_objects_in_lists_are_not() -> None:
    old = {"bbox": [1, 2, 3, 4], "bands": [{"name": "r"}, {"name": "g"}]}
    new = {"bbox": [1, 2, 3, 5], "bands": [{"name": "r"}, {"name": "b"}]}
    assert list(field_changes(old, new)) == [
        FieldChange("/bands/1/name", "modified", "g", "b"),
        FieldChange("/bbox", "modified", [1, 2, 3, 4], [1, 2, 3, 5]),
    ]
    assert [one.pointer for one in field_changes(old, {**old, "bands": [{"name": "r"}]})] == ["/bands"]


def test_links_that_hold_the_catalogue_together_are_no_fields() -> None:
    root = {"rel": "root", "href": "../catalog.json"}
    about = {"rel": "about", "href": "https://example.org/a"}
    assert not list(field_changes({"links": [root, about]}, {"links": [about, root | {"href": "../../x.json"}]}))
    assert list(
        field_changes({"links": [root, about]}, {"links": [about | {"title": "A"}, {"rel": "via", "href": "x"}]})
    ) == [
        FieldChange("/links/0/title", "added", None, "A"),
        FieldChange("/links/1", "added", None, {"rel": "via", "href": "x"}),
    ]
    assert list(field_changes({"links": [root, about]}, {"links": []})) == [FieldChange("/links/1", "removed", about)]


def test_true_is_not_one() -> None:
    assert [one.fate for one in field_changes({"a": {"b": [True]}}, {"a": {"b": [1]}})] == ["modified"]
    assert not list(field_changes({"a": 1}, {"a": 1.0}))


def apply(stac: Json, change: FieldChange) -> None:
    *above, name = [part.replace("~1", "/").replace("~0", "~") for part in change.pointer.split("/")[1:]]
    at: Any = stac
    for part in above:
        at = at[int(part)] if isinstance(at, list) else at[part]
    if change.fate == "removed":
        del at[name]
    else:
        at[name] = change.new


@given(OBJECTS, OBJECTS)
def test_the_changes_turn_one_state_into_the_other(old: Json, new: Json) -> None:
    made = copy.deepcopy(old)
    changes = list(field_changes(old, new))
    for change in changes:
        apply(made, change)
    assert equal(made, new)
    assert bool(changes) != equal(old, new)
