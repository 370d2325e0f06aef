"""Links and hrefs of STAC objects."""

from __future__ import annotations

import re

STRUCTURAL_RELATIONS = frozenset(
    {
        "self",
        "root",
        "parent",
        "collection",
        "child",
        "children",
        "item",
        "items",
        "next",
        "prev",
        "previous",
        "first",
        "last",
        "search",
        "data",
        "conformance",
        "service-desc",
        "service-doc",
    }
)
"""Relations of links that only say where an item was served from and what stands around it."""
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:", re.ASCII)


def is_absolute(href: str) -> bool:
    """Tell whether an href stands by itself: it has a scheme."""
    return _ABSOLUTE.match(href) is not None
