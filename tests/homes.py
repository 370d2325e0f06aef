"""Where the lakes of a test session live; sessions side by side need homes of their own."""

from __future__ import annotations

import os
from pathlib import Path

from stac_rucio_sync.lake.home import default_home


def session_home() -> Path:
    """Return the home of this session's lake: ``STAC_RUCIO_SYNC_TEST_HOME`` or the usual one, one for each worker."""
    usual = Path(os.environ.get("STAC_RUCIO_SYNC_TEST_HOME", default_home().with_name("test-lake")))
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    return usual if worker is None else usual.with_name(f"{usual.name}-{worker}")
