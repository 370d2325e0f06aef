"""Processors: how products become STAC objects. Each is a module with five names, found by its own name.

======================== ==============================================================================================
``__version__``          text; with another one, products are processed again
``discover(source)``     yields the product sources in a source: a file, a folder, a URL, whatever it knows
``id(product_source)``   the id of the product: the same for all its versions
``version(product_source)`` the version of the product: while it stays the same, the product is not ingested again
``process(product_source)`` returns the path of a STAC file (item, collection or catalogue), or of a folder that is a
                         static catalogue; a collection or catalogue comes with all that its links lead down to
======================== ==============================================================================================

A module may have a sixth, ``release(path)``: it is called with what ``process`` returned when that has been taken in
or refused, so that temporary files can go; and a seventh, ``documents(product_source)``: it yields the files of the
product that are STAC, not data, so that an upload leaves them where they are.

A module named ``stac_processor_NAME`` that Python can import is the processor NAME; so is an entry point NAME of the
group ``stac_rucio_sync.processors``, which comes first.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from stac_rucio_sync.errors import ItemError, SyncError, UsageError

GROUP = "stac_rucio_sync.processors"
PREFIX = "stac_processor_"
BUILT_IN = ("fits", "stac")
_NAMES = ("__version__", "discover", "id", "version", "process")


class Processing(Protocol):
    """The names that the module of a processor has."""

    __version__: str

    def discover(self, source: str) -> Iterator[str]:
        """Yield the product sources in a source."""

    def id(self, product_source: str) -> str:
        """Return the id of a product."""

    def version(self, product_source: str) -> str:
        """Return the version of a product."""

    def process(self, product_source: str) -> str:
        """Return the path of a product's STAC file, or of a folder that is a static catalogue."""


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor that can be used."""

    name: str
    version: str
    module: Processing

    def release(self, path: str) -> None:
        """Tell the processor that what it returned is no longer needed."""
        release = getattr(self.module, "release", None)
        if release is not None:
            release(path)

    def documents(self, product_source: str) -> Iterator[Path]:
        """Yield the local files of a product that are STAC documents, not data.

        Raises
        ------
        ItemError
            The processor cannot tell.
        """
        documents = getattr(self.module, "documents", None)
        if documents is None:
            return
        try:
            yield from map(Path, documents(product_source))
        except SyncError:
            raise
        except Exception as error:  # processors are others' code and may raise anything
            raise ItemError(f"documents() of the processor {self.name} failed: {error}") from error


@dataclass(frozen=True, slots=True)
class ProcessorFound:
    """A processor that is installed, be it usable or not."""

    name: str
    version: str | None
    origin: str
    """The module, or the entry point with its distribution."""
    problem: str | None = None
    """Why it cannot be used."""


def processors() -> list[ProcessorFound]:
    """Return all processors that are installed, by name."""
    found = []
    for name, (module, origin) in sorted(_origins().items()):
        try:
            loaded = _loaded(name, module)
        except UsageError as error:
            found.append(ProcessorFound(name, None, origin, str(error)))
        else:
            found.append(ProcessorFound(name, loaded.version, origin))
    return found


def processor(name: str) -> Processor:
    """Return a processor by its name.

    Raises
    ------
    UsageError
        There is none, or it cannot be used; the text names those that there are.
    """
    origins = _origins()
    if name not in origins:
        raise UsageError(
            f"there is no processor {name}, but {', '.join(sorted(origins))}; "
            f"a module {PREFIX}{name} in Python's path would be one"
        )
    return _loaded(name, origins[name][0])


def _origins() -> dict[str, tuple[str, str]]:
    """Return the modules of all processors by name, with where they come from."""
    found = {name: (f"{__name__}.{name}", "stac-rucio-sync") for name in BUILT_IN}
    for module in pkgutil.iter_modules():
        if module.name.startswith(PREFIX):
            found[module.name.removeprefix(PREFIX)] = (module.name, f"module {module.name}")
    for point in entry_points(group=GROUP):
        distribution = point.dist.name if point.dist is not None else "entry point"
        found[point.name] = (point.value, f"{distribution} ({point.value})")
    return found


def _loaded(name: str, module: str) -> Processor:
    path, _, attribute = module.partition(":")
    try:
        loaded: Any = importlib.import_module(path)
        for one in attribute.split(".") if attribute else ():
            loaded = getattr(loaded, one)
    except Exception as error:  # a module of others may raise anything when it is imported
        raise UsageError(f"the processor {name} cannot be used: {module}: {type(error).__name__}: {error}") from error
    missing = [one for one in _NAMES if not hasattr(loaded, one)]
    if missing:
        raise UsageError(f"the processor {name} cannot be used: {module} has no {', '.join(missing)}")
    return Processor(name, str(loaded.__version__), cast("Processing", loaded))
