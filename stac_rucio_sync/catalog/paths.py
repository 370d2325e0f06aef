"""Where things lie in the tree of a repository: every id becomes a safe path, whatever it holds."""

from __future__ import annotations

import hashlib
import posixpath
import re
from urllib.parse import quote, unquote

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*", re.ASCII)
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE | re.ASCII)
"""Names that Windows keeps for itself: a clone must be possible there, too."""
_NO_NEED_TO_QUOTE = re.compile(r"[A-Za-z0-9/._+=~-]*", re.ASCII)
_LENGTH = 120
_DIGEST = 16

_TAKEN = frozenset({"items", "pages", "catalog.json", "collection.json"})
"""What lies in the folder of a catalogue beside the folders of its children."""

HIDDEN = "."
"""Names that begin so are the repository's own: they are in no export."""


def path_name(identifier: str) -> str:
    """Return the name of an id as a file or folder: the id itself where it is harmless, else escaped.

    What is harmless: letters, digits and ``._+-`` of ASCII, a letter or digit first, no dot last, no name of a device,
    at most 120 characters. Any other byte of its UTF-8 becomes ``=HH``; a name that would be too long keeps its head
    and ends in ``==`` and a digest. Different ids have different names.
    """
    if _PLAIN.fullmatch(identifier) and len(identifier) <= _LENGTH and not _awkward(identifier):
        return identifier
    escaped = "".join(
        chr(byte) if _PLAIN.fullmatch(f"a{chr(byte)}") and byte < 128 else f"={byte:02X}"
        for byte in identifier.encode(errors="surrogatepass")
    )
    if not escaped:
        return "="
    if (not _PLAIN.match(escaped) and not escaped.startswith("=")) or _DEVICES.fullmatch(escaped):
        escaped = f"={ord(escaped[0]):02X}{escaped[1:]}"
    if escaped.endswith("."):
        escaped = f"{escaped[:-1]}=2E"
    if len(escaped) <= _LENGTH:
        return escaped
    digest = hashlib.sha256(identifier.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
    return f"{escaped[: _LENGTH - _DIGEST - 2].rstrip('=.')}=={digest}"


def _awkward(name: str) -> bool:
    return name.endswith(".") or _DEVICES.fullmatch(name) is not None


def digits(identifier: str) -> str:
    """Return the hexadecimal digits by which an id is put into folders and pages."""
    return hashlib.sha256(identifier.encode(errors="surrogatepass")).hexdigest()


def item_path(parent_folder: str, item_id: str) -> str:
    """Return where an item lies that is put below a catalogue or collection.

    Three levels of 16 folders keep every folder, and so every commit, small up to a million items; the path never
    changes.
    """
    by = digits(item_id)
    name = path_name(item_id)
    return joined(parent_folder, f"items/{by[0]}/{by[1]}/{by[2]}/{name}/{name}.json")


def has_own_folder(path: str, item_id: str) -> bool:
    """Tell whether the folder of an item's file was made for it: then all files there are its own."""
    return f"/{path}".endswith(f"/{item_path('', item_id)}")


_OWN_FOLDER = re.compile(r"(?:^|.*/)items/[0-9a-f]/[0-9a-f]/[0-9a-f]/([^/]+)/")


def item_beside(path: str) -> str | None:
    """Return the item in whose own folder a file lies: whatever it holds, it is an asset. None: it is no such file."""
    found = _OWN_FOLDER.match(path)
    if found is None:
        return None
    item = f"{found[0]}{found[1]}.json"
    return None if item == path else item


def is_hidden(path: str) -> bool:
    """Tell whether a file is the repository's own."""
    return f"/{HIDDEN}" in f"/{path}"


def child_path(parent_folder: str, child_id: str, kind: str) -> str:
    """Return where a collection or catalogue lies that is put below another; ``kind`` names its file."""
    name = path_name(child_id)
    if name in _TAKEN:
        name = f"={ord(name[0]):02X}{name[1:]}"
    return joined(parent_folder, f"{name}/{kind}.json")


def joined(folder: str, path: str) -> str:
    """Return a path below a folder; the empty folder is the root."""
    return f"{folder}/{path}" if folder else path


def folder_of(path: str) -> str:
    """Return the folder that a file lies in."""
    return posixpath.dirname(path)


def relative_href(path: str, start: str) -> str:
    """Return the href by which the file at ``start`` names the file at ``path``."""
    there, here = path.split("/"), start.split("/")[:-1]
    shared = 0
    for one, other in zip(there[:-1], here, strict=False):
        if one != other:
            break
        shared += 1
    up = "../" * (len(here) - shared) or "./"
    href = up + "/".join(there[shared:])
    return href if _NO_NEED_TO_QUOTE.fullmatch(href) else quote(href, safe="/._-+=~!$&'()*,;@:")


def path_of_href(href: str, start: str) -> str | None:
    """Return the path inside the repository that an href in the file at ``start`` names; None: it leads outside."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:|/", href):
        return None
    path = posixpath.normpath(
        posixpath.join(folder_of(start), unquote(href.split("#", maxsplit=1)[0].split("?", maxsplit=1)[0]))
    )
    return None if path.startswith("..") or path == "." else path
