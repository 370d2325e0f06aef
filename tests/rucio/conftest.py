"""The store, and looks at Rucio past it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.settings import Rucio, Settings
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.store import RucioStore
from tests.rucio.catalogue import Catalogue


@pytest.fixture
def catalogue(lake: Any, scope: str) -> Catalogue:
    """Items whose files lie on the lake's origin server."""
    return Catalogue(scope, lake.facts["origin_url"], Path(lake.facts["origin_dir"]))


@pytest.fixture
def store(lake: Any) -> Iterator[RucioStore]:
    """The store with the lake's own settings."""
    made = RucioStore(lake.settings)
    yield made
    made.close()


@pytest.fixture
def settings(lake: Any) -> Settings:
    """The lake's own settings."""
    found: Settings = lake.settings
    return found


def _calls(lake: Any, account: str) -> RucioCalls:
    return RucioCalls(Rucio(config=Path(lake.facts["accounts"][account]), account=account))


@pytest.fixture
def rucio(lake: Any) -> Iterator[RucioCalls]:
    """The ingest account's own look at Rucio, past the store."""
    calls = _calls(lake, "ingest")
    yield calls
    calls.close()


@pytest.fixture
def root(lake: Any) -> Iterator[RucioCalls]:
    """What only Rucio's administrator may do."""
    calls = _calls(lake, "root")
    yield calls
    calls.close()
