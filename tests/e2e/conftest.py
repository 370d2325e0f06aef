"""What the tests of the services share: one archive for the whole session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import RunningLake
from tests.e2e.archive import Archive, running_archive


@pytest.fixture(scope="session")
def archive(lake: RunningLake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """200 synced items and the server process that answers for them."""
    with running_archive(lake, tmp_path_factory.mktemp("archive")) as running:
        yield running
