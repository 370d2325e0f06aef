"""Questions whose right answer is known, before a filter or ``updated`` is relied on.

A server that ignores a filter answers the impossible with items; one that does not know it answers the certain with
nothing. Conformance classes are declarations; these are tests of them.
"""

from __future__ import annotations

from collections.abc import Callable

from stac_rucio_sync.errors import FatalError, TransientError
from stac_rucio_sync.model import JsonObject
from stac_rucio_sync.sources.cql2 import Expression, Language

NO_ITEM = "no-item-has-this-id-0f2c7b1e"
_FAR_PAST, _FAR_FUTURE = "1900-01-01T00:00:00Z", "2999-01-01T00:00:00Z"

Ask = Callable[[Expression | None], list[JsonObject]]
"""Asks for at most one item that fulfils an expression (None: any)."""


def why_filter_is_unusable(ask: Ask, language: Language) -> str | None:
    """Tell what shows that a server does not obey filters; None: it does."""
    try:
        if ask(language.compare("id", "=", NO_ITEM)):
            return "it answers a filter that no item fulfils with items"
        if not ask(language.compare("id", "<>", NO_ITEM)) and ask(None):
            return "it answers a filter that every item fulfils with nothing"
    except (FatalError, TransientError) as error:
        return f"it refuses a plain filter ({error})"
    return None


def why_updated_is_unusable(ask: Ask, language: Language) -> str | None:
    """Tell what shows that a server cannot select by ``updated``; None: it can, and every item has one."""
    try:
        if ask(language.compare("updated", ">=", _FAR_FUTURE, instant=True)):
            return "it answers items that were updated after the year 2999"
        some = ask(language.compare("updated", ">=", _FAR_PAST, instant=True))
        if not some or not isinstance(some[0].get("properties"), dict) or not some[0]["properties"].get("updated"):
            return "it finds no item by its 'updated'"
        if ask(language.is_null("updated")):
            return "it has items without 'updated'"
    except (FatalError, TransientError) as error:
        return f"it refuses a filter by 'updated' ({error})"
    return None
