r"""Items and assets as Rucio DIDs and IVOA identifiers, and back.

Rucio holds containers, datasets and files in one name space, so the kind shows in the number of parts:

=====================  ==============================================
collection, container  ``collection``
item, dataset          ``collection..item``
asset, file            ``collection..item..asset.suffix``
changed content        ``collection..item..asset..digest.suffix``
=====================  ==============================================

A part is the STAC name itself wherever Rucio's rule for names (``[/A-Za-z0-9][/A-Za-z0-9.\-_]*``, at most 250) can
carry it. Any other character becomes ``_xHEX_`` (its code point), and so does what would be misread: a dot that
begins or ends a part or stands before another dot, an underscore that seems to begin such an escape, the last dot of
an asset key that has no suffix and would lend it one. The empty name is ``_x_``. A name must begin with a letter or a
digit: an ``x`` stands before an escape at its beginning, and one more before names that look so already.

A name that would be too long keeps its readable head and ends in ``...`` and a digest; three dots are in no other name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from string import Formatter
from typing import Final, NamedTuple

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.escapes import escape, unescape
from stac_rucio_sync.model import Did, ItemKey
from stac_rucio_sync.settings import Settings

NAME_LENGTH: Final = 250

_SEPARATOR: Final = ".."
_NOT_OURS: Final = "..."
"""Stands in names that do not decode: shortened ones, and the versions of names that others gave."""
_DIGEST_BYTES: Final = 16

_RUCIO_NAME = re.compile(r"[/A-Za-z0-9][/A-Za-z0-9.\-_]*", re.ASCII)
_RUCIO_SCOPE = re.compile(r"[a-zA-Z_\-.0-9]{1,25}", re.ASCII)
_PLAIN = re.compile(r"(?:[A-Za-z0-9-]|_(?!x))+(?:\.(?:[A-Za-z0-9-]|_(?!x))+)*", re.ASCII)
_DOT = r"\.(?=\.|\Z)"
"""A dot that would look like a separator."""
_LENDING_DOT = r"\.(?=\.|\Z|[A-Za-z0-9]{1,10}\Z)"
"""Or would lend a suffix to a file that has none."""


def _to_escape(dot: str) -> re.Pattern[str]:
    """Match what a name cannot hold, dots at the beginning or matching ``dot``, underscores that begin an escape."""
    return re.compile(rf"[^A-Za-z0-9._-]|\A\.|{dot}|_(?=x[0-9A-F]*(?:_|[^A-Za-z0-9._-]|{dot}))", re.ASCII)


_TO_ESCAPE = _to_escape(_DOT)
_TO_ESCAPE_WITHOUT_SUFFIX = _to_escape(_LENDING_DOT)
_ESCAPE = re.compile(
    r"[^A-Za-z0-9._-]"  # what a name cannot hold
    r"|\A\.|\.(?=\.|\Z)"  # dots that would look like a separator
    r"|_(?=x[0-9A-F]*(?:_|[^A-Za-z0-9._-]|\.(?:\.|\Z)))",  # an underscore that would begin an escape
    re.ASCII,
)
_ESCAPED_START = re.compile(r"x*_x[0-9A-F]*_", re.ASCII)
_GUARDED_START = re.compile(r"x+_x[0-9A-F]*_", re.ASCII)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}\Z", re.ASCII)
_VERSION = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_PUBLISHER_DID = re.compile(r"ivo://[^?#\s]+\?(?P<local>.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
_TEMPLATE_FIELDS: Final = ("collection", "item", "asset")


class Decoded(NamedTuple):
    """What a name of the default rule stands for; an item, an asset or a digest that it does not name is None."""

    collection: str
    item: str | None = None
    asset: str | None = None
    digest: str | None = None


def container_did(collection: str, settings: Settings) -> Did:
    """Return the DID of a collection's container."""
    return Did(_scope(collection, settings), _fitting(_first_part(collection)))


def dataset_did(key: ItemKey, settings: Settings) -> Did:
    """Return the DID of an item's dataset."""
    return Did(_scope(key.collection, settings), _fitting(_item_name(key)))


def file_did(key: ItemKey, asset_key: str, suffix: str, settings: Settings) -> Did:
    """Return the DID of an asset's file, by the default rule or by the template of the settings.

    Parameters
    ----------
    key
        The item.
    asset_key
        The asset's key.
    suffix
        The file's suffix with its dot, as `suffix_of` gives it, or the empty string.
    settings
        They give the scope, and a template if names are to follow one.

    Raises
    ------
    ItemError
        The template gives no valid Rucio name here.
    """
    template = settings.collection(key.collection).template or settings.identity.template
    scope = _scope(key.collection, settings)
    if template is not None:
        return Did(scope, _name_by_template(template, key, asset_key))
    return Did(scope, _fitting(_file_name(key, asset_key, suffix), suffix))


def name_of_path(parts: Sequence[str], suffix: str = "", most: int = NAME_LENGTH) -> str:
    """Return a file's name by its place in folders: each part as the default rule writes it, two dots between them.

    Parameters
    ----------
    parts
        Folders and the file's own name, at least one; of a local file system they may hold anything.
    suffix
        The file's suffix, which a name that has to be shortened keeps.
    most
        Characters that the name may have.
    """
    return _fitting(_SEPARATOR.join([_first_part(parts[0]), *map(_part, parts[1:])]), suffix, most)


def version_did(did: Did, digest: str) -> Did:
    """Return the DID of another content of the same asset: the name with a short digest, the suffix still last.

    Parameters
    ----------
    did
        The file DID that the asset has by its name alone (or an earlier version of it, whose digest is replaced).
    digest
        1 to 64 lower-case hexadecimal digits that name the content.
    """
    if not _VERSION.fullmatch(digest):
        raise ValueError(f"{digest!r} is no digest: 1 to 64 lower-case hexadecimal digits are")
    stem, suffix = _split_suffix(did.name)
    decoded = decode(did.name)
    if decoded is None or decoded.asset is None:
        return Did(did.scope, _fitting(f"{stem}{_NOT_OURS}{digest}{suffix}", suffix))
    if decoded.digest is not None:
        stem = stem.rpartition(_SEPARATOR)[0]
    return Did(did.scope, _fitting(f"{stem}{_SEPARATOR}{digest}{suffix}", suffix))


def decode(name: str) -> Decoded | None:
    """Return what a name of the default rule stands for.

    None: the rule cannot have made it. Shortened names and those of templates and ``rucio:config`` are found through
    the files table.
    """
    if _NOT_OURS in name or len(name) > NAME_LENGTH or not _RUCIO_NAME.fullmatch(name):
        return None
    first, *others = name.split(_SEPARATOR)
    if len(others) > 3:
        return None
    collection = unescape(first[1:] if _GUARDED_START.match(first) else first)
    if not others:
        decoded, canonical = Decoded(collection), _first_part(collection)
    elif len(others) == 1:
        key = ItemKey(collection, unescape(others[0]))
        decoded, canonical = Decoded(*key), _item_name(key)
    else:
        decoded, canonical = _decode_file(ItemKey(collection, unescape(others[0])), others[1:])
    return decoded if canonical == name else None


def suffix_of(href: str | None) -> str:
    """Return the suffix of an href's path, ``.`` and 1 to 10 ASCII letters or digits, or the empty string."""
    if not isinstance(href, str):
        return ""
    path = href.split("#", 1)[0].split("?", 1)[0]
    after_scheme = path.partition("://")[2]
    if after_scheme and "/" not in after_scheme:
        return ""
    basename = path.rpartition("/")[2]
    found = _SUFFIX.search(basename)
    return found.group() if found and found.start() > 0 else ""


def is_rucio_name(name: object) -> bool:
    """Whether Rucio takes this as the name of a DID."""
    return isinstance(name, str) and len(name) <= NAME_LENGTH and _RUCIO_NAME.fullmatch(name) is not None


def is_rucio_scope(scope: object) -> bool:
    """Whether Rucio takes this as a scope."""
    return isinstance(scope, str) and _RUCIO_SCOPE.fullmatch(scope) is not None


def obs_publisher_did(did: Did, settings: Settings) -> str:
    """Return the IVOA dataset identifier of a DID: ``ivo://authority/path?scope:name``."""
    return f"ivo://{settings.identity.authority}/{settings.identity.path}?{did.scope}:{did.name}"


def did_of_publisher_did(text: str) -> Did:
    """Return the DID that an IVOA identifier stands for.

    Taken are ``ivo://authority/path?scope:name`` (the registry part in any case and of any authority, as IVOA
    Identifiers 2.0 section 2.1 compares it), the older ``ivo://AUTHORITY?scope/name``, and a bare ``scope:name``.

    Raises
    ------
    ItemError
        It is none of these, or names no possible DID.
    """
    publisher_did = _PUBLISHER_DID.fullmatch(text)
    local = publisher_did["local"] if publisher_did else text
    scope, separator, name = local.partition(":")
    if publisher_did and not separator:
        scope, separator, name = local.partition("/")
    broken = not publisher_did and scope.lower() == "ivo"
    if broken or not separator or not is_rucio_scope(scope) or not is_rucio_name(name):
        raise ItemError(
            f"{text[:300]!r} identifies no dataset here: ivo://authority/path?scope:name or scope:name is expected"
        )
    return Did(scope, name)


# ------------------------------------------------------------------------------------------------------- parts


def _part(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return _TO_ESCAPE.sub(escape, text) or "_x_"


@lru_cache(maxsize=1024)
def _first_part(collection: str) -> str:
    part = _part(collection)
    if part[0] in "_-" and not _ESCAPED_START.match(part):
        part = f"_x{ord(part[0]):X}_{part[1:]}"
    return "x" + part if _ESCAPED_START.match(part) else part


def _item_name(key: ItemKey) -> str:
    return _first_part(key.collection) + _SEPARATOR + _part(key.id)


def _file_name(key: ItemKey, asset_key: str, suffix: str) -> str:
    lends = not suffix and _SUFFIX.search(asset_key) is not None
    part = _TO_ESCAPE_WITHOUT_SUFFIX.sub(escape, asset_key) if lends else _part(asset_key)
    return _item_name(key) + _SEPARATOR + part + suffix


def _split_suffix(name: str) -> tuple[str, str]:
    suffix = _SUFFIX.search(name)
    if suffix is None or name[suffix.start() - 1 : suffix.start()] in ("", "."):
        return name, ""
    return name[: suffix.start()], suffix.group()


def _decode_file(key: ItemKey, parts: list[str]) -> tuple[Decoded, str]:
    """Decode the parts after the item's; return the name that they have by the rule as well."""
    last, suffix = _split_suffix(parts[-1])
    if len(parts) == 1:
        asset = unescape(last)
        return Decoded(*key, asset), _file_name(key, asset, suffix)
    asset = unescape(parts[0])
    stem, _ = _split_suffix(_file_name(key, asset, suffix)) if suffix else (_file_name(key, asset, ""), "")
    canonical = stem + _SEPARATOR + last + suffix if _VERSION.fullmatch(last) else ""
    return Decoded(*key, asset, last), canonical


def _fitting(name: str, suffix: str = "", most: int = NAME_LENGTH) -> str:
    """Shorten a name that is too long; the digest is of the whole name, so that no two become one."""
    if len(name) <= most:
        return name
    tail = f"{_NOT_OURS}{hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES).hexdigest()}{suffix}"
    return name[: most - len(tail)].rstrip(".") + tail


# ------------------------------------------------------------------------------------------- scopes and templates


def _scope(collection: str, settings: Settings) -> str:
    return settings.collection(collection).scope or settings.identity.scope


@lru_cache(maxsize=64)
def _check_template(template: str) -> None:
    try:
        fields = [part[1:] for part in Formatter().parse(template) if part[1] is not None]
    except ValueError as error:
        raise ItemError(f"the name template {template!r} cannot be read: {error}") from error
    for field, spec, conversion in fields:
        if field not in _TEMPLATE_FIELDS or spec or conversion:
            raise ItemError(
                f"the name template {template!r} may only hold {{collection}}, {{item}} and {{asset}}, not {field!r}"
            )


def _name_by_template(template: str, key: ItemKey, asset_key: str) -> str:
    _check_template(template)
    name = template.format(collection=key.collection, item=key.id, asset=asset_key)
    if not is_rucio_name(name) or _SEPARATOR in name or "/" in name:
        raise ItemError(
            f"the name template {template!r} gives {name[:300]!r} for asset {asset_key!r}, which is no Rucio name here "
            f"(letters, digits, '.', '-' and '_', at most {NAME_LENGTH}, no '..'): set another template for collection "
            f"{key.collection!r}, or none, which escapes what Rucio refuses"
        )
    return name
