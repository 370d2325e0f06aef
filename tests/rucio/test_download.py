"""A registered file is retrieved by its DID with Rucio's own command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from stac_rucio_sync.stores.rucio.store import RucioStore
from tests.rucio.catalogue import Catalogue


def test_rucio_download_gets_the_bytes_from_the_origin(
    lake: Any, store: RucioStore, catalogue: Catalogue, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 40
    wanted = catalogue.item("m31", catalogue.file("m31", "b1", content))
    store.register([(wanted, None)])

    command = Path(sys.executable).with_name("rucio")
    done = subprocess.run(
        [sys.executable, command, "download", "--dir", tmp_path, str(wanted.files[0].did)],
        env={**os.environ, "RUCIO_CONFIG": lake.facts["accounts"]["ingest"]},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / catalogue.scope / "m31.b1.tif").read_bytes() == content
