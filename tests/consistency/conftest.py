"""RSEs of a test's own."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.settings import Rucio
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from tests.conftest import RunningLake
from tests.consistency.planted import DOMAINS, SHARED_BY, Planted


@pytest.fixture(scope="session")
def root(lake: RunningLake) -> Iterator[RucioCalls]:
    """What only Rucio's administrator may do."""
    with closing(RucioCalls(Rucio(config=Path(lake.facts["accounts"]["root"]), account="root"))) as calls:
        yield calls


@pytest.fixture
def rse_with(lake: RunningLake, root: RucioCalls, scope: str) -> Iterator[Callable[..., Planted]]:
    """Make an RSE with protocols of some schemes, on a folder of its own."""
    root.send("add_scope", "root", scope)
    usual = {one["scheme"]: one for one in root.send("get_rse", SHARED_BY)["protocols"]}
    made: list[Planted] = []

    def make(*schemes: str, deterministic: bool = True, **changes: Any) -> Planted:
        rse = f"AUDIT-{uuid.uuid4().hex[:12].upper()}"
        root.send("add_rse", rse, deterministic=deterministic)
        root.send("add_rse_attribute", rse, "sign_url", "")
        planted = Planted(lake, root, rse, scope)
        for scheme in schemes:
            prefix = f"{usual[scheme]['prefix']}{rse}/"
            root.send("add_protocol", rse, usual[scheme] | {"prefix": prefix, "domains": DOMAINS} | changes)
        planted.write(planted.folder / "lost+found" / "README", b"of the file system's own").unlink()
        made.append(planted)
        return planted

    yield make
    for planted in made:
        shutil.rmtree(planted.folder, ignore_errors=True)


@pytest.fixture(params=["file", "http"])
def planted(request: pytest.FixtureRequest, rse_with: Callable[..., Planted]) -> Planted:
    """An RSE that is a folder of this machine, and one that is reached by WebDAV alone."""
    return rse_with(request.param)


@pytest.fixture
def folder(rse_with: Callable[..., Planted]) -> Planted:
    """An RSE that is a folder of this machine."""
    return rse_with("file")
