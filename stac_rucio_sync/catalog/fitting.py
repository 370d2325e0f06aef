"""What must change in the documents of a static catalogue when it is put below another: as little as possible.

A document with nothing to change keeps its bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from stac_rucio_sync.catalog.asset_files import local_path
from stac_rucio_sync.catalog.pages import json_file
from stac_rucio_sync.catalog.paths import folder_of, joined, path_of_href, relative_href
from stac_rucio_sync.catalog.repository import ROOT
from stac_rucio_sync.catalog.uploaded_assets import UploadOf, uploaded_asset, with_file_extension
from stac_rucio_sync.mapping.hrefs import absolute_href
from stac_rucio_sync.model.links import is_absolute

_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Fitting:
    """How the documents of one tree fit into the catalogue.

    Parameters
    ----------
    folder
        Where the tree lies in the catalogue; the empty one: it is the catalogue.
    source
        Where it lies on the disk.
    base
        Where it was published: links that begin so are made relative.
    is_root
        Its root becomes the root of the catalogue: ``root`` links are right already.
    below_made
        Paths in the tree of objects whose parent is the root made for it, whatever they say.
    links_assets
        Relative hrefs of assets become absolute, because the files stay where they are: on this machine, or where the
        tree was published. Otherwise it is the other way round for those that lie in the tree.
    in_lake
        Tells what became of local files of assets, where they were uploaded.
    """

    folder: str
    source: Path
    base: str | None
    is_root: bool
    below_made: frozenset[str] = field(default_factory=frozenset)
    links_assets: bool = True
    in_lake: UploadOf | None = None

    def fitted(self, path: str, content: bytes) -> bytes:
        """Return the document at a path of the tree as it is to lie in the catalogue."""
        stac: dict[str, Any] = orjson.loads(content)
        changed = dict(stac)
        if isinstance(stac.get("links"), list):
            changed["links"] = self._links(path, stac["links"])
        if isinstance(stac.get("assets"), dict):
            changed["assets"] = {name: self._asset(path, name, asset) for name, asset in stac["assets"].items()}
            changed = changed if self.in_lake is None else with_file_extension(changed)
        return content if changed == stac else json_file(changed)

    def _links(self, path: str, links: list[Any]) -> list[Any]:
        fitted: list[Any] = []
        has_root = False
        is_published = False
        for link in links:
            href = link.get("href") if isinstance(link, dict) else None
            if not isinstance(href, str):
                fitted.append(link)
                continue
            rel, made = link.get("rel"), link
            if self.base is not None and href.startswith(self.base) and rel != "self":
                is_published = True
                inside = self._inside(href)
                made = link if inside is None else link | {"href": relative_href(inside, path)}
            if rel == "root" and not self.is_root:
                if has_root:
                    continue
                has_root = True
                made = link | {"href": relative_href(ROOT, joined(self.folder, path))}
            if rel == "parent" and path in self.below_made:
                continue
            fitted.append(made)
        if not self.is_root or is_published:
            # It is not there that this copy lies.
            fitted = [link for link in fitted if not _is_published_self(link)]
        if path in self.below_made:
            fitted = self._upward(path) + [link for link in fitted if not _is_root_link(link)]
        return fitted

    def _upward(self, path: str) -> list[Any]:
        above = (("root", ROOT), ("parent", joined(self.folder, ROOT)))
        here = joined(self.folder, path)
        return [{"rel": rel, "href": relative_href(one, here), "type": _JSON} for rel, one in above]

    def _asset(self, path: str, name: str, asset: Any) -> Any:  # noqa: ANN401 - any JSON
        href = asset.get("href") if isinstance(asset, dict) else None
        if not isinstance(href, str) or not href:
            return asset
        if not self.links_assets:
            inside = self._inside(href)
            return asset if inside is None else asset | {"href": relative_href(inside, path)}
        if is_absolute(href) and (self.in_lake is None or not href.startswith("file:")):
            return asset
        file = self._local(path, href)
        if file is not None and self.in_lake is not None:
            return uploaded_asset(name, asset, file, self.in_lake)
        if file is not None:
            return asset | {"href": file.resolve().as_uri()}
        return asset if self.base is None else asset | {"href": absolute_href(href, self.base + quote(path))}

    def _local(self, path: str, href: str) -> Path | None:
        """Return the file on the disk that a document's href names; None: there is none."""
        if href.startswith("file:"):
            file = local_path(href, self.source)
        else:
            named = path_of_href(href, path)
            file = self.source / named if named is not None else self.source / folder_of(path) / href
        return file if file is not None and file.is_file() else None

    def _inside(self, href: str) -> str | None:
        """Return the path in the tree of what is there and was published with it; None: it is none of that."""
        if self.base is None or not href.startswith(self.base):
            return None
        path = path_of_href(href[len(self.base) :], "")
        return path if path is not None and (self.source / path).is_file() else None


def _is_root_link(link: object) -> bool:
    return isinstance(link, dict) and link.get("rel") == "root"


def _is_published_self(link: object) -> bool:
    return isinstance(link, dict) and link.get("rel") == "self" and is_absolute(str(link.get("href")))
