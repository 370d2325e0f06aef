"""From the place of a file on disk to its name in Rucio."""

from __future__ import annotations

from string import Formatter
from typing import Final

from stac_rucio_sync.errors import ItemError, UsageError
from stac_rucio_sync.mapping.identifiers import is_rucio_name, name_of_path, suffix_of
from stac_rucio_sync.model.storage import UNFINISHED

FIELDS: Final = ("path", "folder", "name", "stem", "suffix")
MOST: Final = 255 - len(UNFINISHED)
"""Characters of a name: file systems take 255, with the ending that a file has while it is sent."""


def check_template(template: str | None) -> str | None:
    """Return a template if it is one.

    Raises
    ------
    UsageError
        It has another field than `FIELDS`, or none that tells two files of a folder apart.
    """
    if template is None:
        return None
    try:
        fields = [field for _, field, _, _ in Formatter().parse(template) if field is not None]
    except ValueError as error:
        raise UsageError(f"the name template {template!r} cannot be read: {error}") from error
    unknown = [field for field in fields if field not in FIELDS]
    if unknown:
        raise UsageError(f"{{{unknown[0]}}} is no field of a name template: {', '.join(FIELDS)} are")
    if not {"path", "name", "stem"} & set(fields):
        raise UsageError("the name template needs {path}, {name} or {stem}: without one, all files had one name")
    return template


def name_of(relative: str, template: str | None = None) -> str:
    """Return the name of a file in Rucio.

    Parameters
    ----------
    relative
        Its path as it was found, parts divided by ``/``.
    template
        How the name is made of ``{path}`` (folders and name, flat), ``{folder}``, ``{name}``, ``{stem}`` and
        ``{suffix}``; None: ``{path}``. Each field is written in characters that Rucio takes.

    Raises
    ------
    ItemError
        Rucio would not take it.
    """
    parts = relative.split("/")
    suffix = suffix_of(parts[-1])
    name = name_of_path(parts, suffix, MOST) if template is None else _by_template(template, parts, suffix)
    if name.endswith(UNFINISHED):
        raise ItemError(
            f"names that end in {UNFINISHED} stand for files that are being sent: --name-template can give another"
        )
    return name


def _by_template(template: str, parts: list[str], suffix: str) -> str:
    name = template.format(
        path=name_of_path(parts, suffix, MOST),
        folder=name_of_path(parts[:-1], "", MOST) if len(parts) > 1 else "",
        name=name_of_path(parts[-1:], suffix, MOST),
        stem=name_of_path([parts[-1].removesuffix(suffix)], "", MOST),
        suffix=suffix,
    )
    if not is_rucio_name(name):
        raise ItemError(f"the template makes {name!r} of it, which is no name for Rucio")
    if len(name) > MOST:
        raise ItemError(f"the template makes a name of {len(name)} characters of it: {MOST} can be sent")
    return name
