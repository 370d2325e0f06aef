"""Assets whose files were uploaded: they say where in the lake the bytes are, and what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from stac_rucio_sync.errors import ItemError
from stac_rucio_sync.mapping.checksums import md5_multihash
from stac_rucio_sync.mapping.lake_assets import REPLICA_MARK
from stac_rucio_sync.model import JsonObject, Uploaded

UploadOf = Callable[[Path], Uploaded | None]
"""Tells what became of a local file; None: it was not among those that were uploaded."""
FILE_EXTENSION: Final = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_FILE_EXTENSIONS: Final = "https://stac-extensions.github.io/file/"


def uploaded_asset(key: str, asset: JsonObject, file: Path, upload_of: UploadOf) -> JsonObject:
    """Return an asset as the catalogue is to keep it, for its file in the lake.

    Parameters
    ----------
    key, asset
        The asset of a document; left as it is.
    file
        Its local file.
    upload_of
        Tells what became of it.

    Raises
    ------
    ItemError
        The file is not in the lake, or nobody can read it there.
    """
    uploaded = upload_of(file)
    if uploaded is None:
        raise ItemError(f"asset '{key}': {file} is none of the files that were uploaded")
    if not uploaded.fate.in_lake or uploaded.did is None:
        why = f": {uploaded.reason}" if uploaded.reason else ""
        raise ItemError(f"asset '{key}': {file} is not in the lake ({uploaded.fate}{why})")
    if uploaded.pfn is None:
        raise ItemError(f"asset '{key}': {uploaded.did} is at {uploaded.rse}, from which no protocol reads")
    said: JsonObject = {"href": uploaded.pfn, REPLICA_MARK: uploaded.rse}
    said |= {"rucio:scope": uploaded.did.scope, "rucio:name": uploaded.did.name, "file:size": uploaded.bytes}
    if uploaded.md5 is not None:
        said["file:checksum"] = md5_multihash(uploaded.md5)
    return asset | said


def with_file_extension(stac: JsonObject) -> JsonObject:
    """Return a document that says that it uses the file extension, if it has assets in the lake."""
    assets: Any = stac.get("assets")
    is_used = any(isinstance(asset, dict) and REPLICA_MARK in asset for asset in assets.values())
    said = stac.get("stac_extensions")
    extensions = said if isinstance(said, list) else []
    if not is_used or any(isinstance(one, str) and one.startswith(_FILE_EXTENSIONS) for one in extensions):
        return stac
    return stac | {"stac_extensions": [*extensions, FILE_EXTENSION]}
