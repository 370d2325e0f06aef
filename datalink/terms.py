"""What a link is to a data product: terms of the IVOA's vocabularies, and the one that they lack.

The core vocabulary is http://www.ivoa.net/rdf/datalink/core, that of content_qualifier
http://www.ivoa.net/rdf/product-type (DataLink 1.1 sections 3.2.6 and 3.2.9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

THIS: Final = "#this"
CUTOUT: Final = "#cutout"
AUXILIARY: Final = "#auxiliary"
CORE_URI: Final = "http://www.ivoa.net/rdf/datalink/core"
CORE: Final = frozenset(
    (
        *("this", "progenitor", "derivation", "coderived", "counterpart", "package", "proc", "cutout"),
        *("auxiliary", "weight", "error", "noise", "calibration", "bias", "dark", "flat"),
        *("preview", "preview-image", "preview-plot", "thumbnail", "documentation", "detached-header"),
    )
)
TERMS_PATH: Final = "/terms"
REPLICA: Final = "replica"
"""Our own term: another copy of the file that has the core term."""

_ROLES: Final[tuple[tuple[str, frozenset[str]], ...]] = (
    ("#thumbnail", frozenset({"icon"})),
    ("#preview", frozenset({"overview", "browse", "quicklook", "graphic", "visual", "tiles"})),
    ("#flat", frozenset({"flatfield", "flat-field"})),
    ("#calibration", frozenset({"cal"})),
    ("#error", frozenset({"uncertainty", "variance", "covmat"})),
    ("#weight", frozenset({"weights", "weight-map"})),
    ("#package", frozenset({"archive"})),
    ("#detached-header", frozenset({"header"})),
    ("#documentation", frozenset({"metadata", "license", "legend", "report", "pager-report", "readme"})),
    ("#progenitor", frozenset({"source", "raw"})),
    ("#derivation", frozenset({"derived"})),
)
"""Roles that are no terms themselves; the first line that knows one of an asset's roles tells."""
_RELATIONS: Final[Mapping[str, str]] = {
    "derived_from": "#progenitor",
    "source": "#progenitor",
    "derivative": "#derivation",
    "predecessor-version": "#coderived",
    "successor-version": "#coderived",
    "latest-version": "#coderived",
    "enclosure": "#package",
    "icon": "#thumbnail",
} | dict.fromkeys(
    (
        *("about", "alternate", "alternative", "canonical", "cite-as", "describedby", "handbook", "help", "license"),
        *("provider", "product_overview", "service-desc", "service-doc", "version-history", "via"),
    ),
    "#documentation",
)
_PRODUCTS: Final[Mapping[str, str]] = {
    "image": "#image",
    "cube": "#cube",
    "spectrum": "#spectrum",
    "sed": "#sed",
    "timeseries": "#timeseries",
    "visibility": "#visibility",
    "event": "#event-list",
    "measurements": "#measurements",
}


def term_of_asset(roles: Sequence[str], *, science: bool) -> str:
    """Return the core term of an asset.

    Parameters
    ----------
    roles
        Of the asset. One that is itself a term of the core vocabulary counts before others.
    science
        It is the data themselves.
    """
    if science:
        return THIS
    lower = [role.lower() for role in roles]
    for role in lower:
        if role in CORE and role not in ("this", "proc", "cutout"):
            return f"#{role}"
    return next((term for term, known in _ROLES if not known.isdisjoint(lower)), AUXILIARY)


def term_of_relation(rel: str) -> str:
    """Return the core term of an item's own link, by its relation type."""
    plain = rel.lower().replace("-from", "_from")
    if plain in CORE and plain not in ("this", "proc", "cutout"):
        return f"#{plain}"
    return _RELATIONS.get(plain, AUXILIARY)


def term_stated(semantics: str | None) -> str:
    """Return the term that metadata state, as DataLink 1.1 section 3.2.6 wants it written.

    Terms of the core vocabulary get their short form; another vocabulary's are kept where they are whole URIs.
    """
    said = (semantics or "").strip()
    word = said.removeprefix(CORE_URI).removeprefix("#")
    if word in CORE:
        return f"#{word}"
    return said if "://" in said and said.isascii() and said.isprintable() else AUXILIARY


def product_type(dataproduct_type: str | None) -> str | None:
    """Return the term of the product-type vocabulary for ObsCore's word; None where it has none."""
    return _PRODUCTS.get(dataproduct_type or "")


def replica_term(base_url: str) -> str:
    """Return the URI of our own term, which is where it is explained."""
    return f"{base_url}{TERMS_PATH}#{REPLICA}"
