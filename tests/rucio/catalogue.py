"""Wanted items to register: what mapping would yield, made by hand, with files of real bytes on the lake's origin."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stac_rucio_sync.model import (
    Did,
    File,
    Found,
    FoundFile,
    ItemKey,
    ObsCoreRow,
    Wanted,
    WantedReplica,
)

NO_ROW = ObsCoreRow._make([None] * len(ObsCoreRow._fields))
"""The store registers; it does not look at the row."""


@dataclass(frozen=True)
class Catalogue:
    """Makes wanted items of one scope."""

    scope: str
    origin: str
    folder: Path

    def file(self, item: str, asset: str, content: bytes | None = None, origin: str | None = None) -> File:
        """Return a file; its bytes are put on the lake's origin server where they are given."""
        path = f"{self.scope}/{item}/{asset}.tif"
        if content is not None:
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        body = content if content is not None else path.encode()
        at = origin or self.origin
        return File(
            asset=asset,
            did=Did(self.scope, f"{item}.{asset}.tif"),
            bytes=len(body),
            adler32=f"{zlib.adler32(body):08x}",
            md5=None,
            replicas=(self.replica(path, at),),
            media_type="image/tiff",
            roles=("data",),
            title=None,
        )

    def replica(self, path: str, origin: str) -> WantedReplica:
        """Return a replica as mapping writes it: http PFNs without their default port, others and origins with it."""
        scheme, _, host = origin.partition("://")
        ported = origin if ":" in host else f"{origin}:{ {'https': 443, 'http': 80, 's3': 443}[scheme] }"
        pfn = f"{origin if scheme.startswith('http') else ported}/{path}"
        return WantedReplica(pfn, ported, needs_login=False, alternate=None)

    def item(self, item: str, *files: File, metadata: dict[str, Any] | None = None) -> Wanted:
        """Return a wanted item with one file unless others are given."""
        return Wanted(
            key=ItemKey("images", item),
            did=Did(self.scope, item),
            container=Did(self.scope, "images.collection"),
            files=files or (self.file(item, "b1"),),
            links=(),
            obscore=NO_ROW,
            epn=None,
            metadata=metadata if metadata is not None else {"stac:id": item, "s_ra": 10.5},
            fingerprint="1",
        )

    def without_files(self, item: str) -> Wanted:
        """Return an item that has links only."""
        return replace(self.item(item), files=())


def recorded(wanted: Wanted) -> Found:
    """Return what the tables hold after ``wanted`` was committed."""
    files = tuple(
        FoundFile(file.asset, file.did, file.bytes, file.adler32, file.md5, tuple(r.pfn for r in file.replicas))
        for file in wanted.files
    )
    return Found(wanted.key, "test", wanted.fingerprint, wanted.did, tuple(wanted.metadata), files)
