"""All functions by name; what is not here does not exist for a query."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from obscore_tap.adql.functions import Function
from obscore_tap.adql.functions_ivoa import IVOA
from obscore_tap.adql.functions_standard import MATHEMATICAL


def _by_name() -> Mapping[str, tuple[Function, ...]]:
    found: dict[str, tuple[Function, ...]] = {}
    for function in (*MATHEMATICAL, *IVOA):
        found[function.name] = (*found.get(function.name, ()), function)
    return MappingProxyType(found)


CATALOGUE = _by_name()
"""By name in upper case; set functions, and functions that have a builder of their own, are not among them."""
