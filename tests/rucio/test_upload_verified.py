"""What a storage shows of a file is compared with what was sent: its size, and its checksum where it tells one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.model import UploadFate
from tests.conftest import RunningLake
from tests.rucio.uploading import RSE, Uploading, uploading


@pytest.fixture
def alice(lake: RunningLake, scope: str, tmp_path: Path) -> Iterator[Uploading]:
    with uploading(lake, "alice", scope, tmp_path) as one:
        yield one


def test_bytes_that_change_on_their_way_are_not_taken_for_the_file(
    alice: Uploading, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rucio.rse.protocols.webdav import Default

    whole: Any = Default.put
    folder = Path(alice.lake.facts["rses"][RSE]["folder"])

    def damaging(self: Any, source: str, target: str, *more: Any) -> None:
        whole(self, source, target, *more)
        stored = folder / target.partition("/localgroupdisk/")[2]
        stored.write_bytes(b"\x00" + stored.read_bytes()[1:])

    monkeypatch.setattr(Default, "put", damaging)
    alice.write(a=b"whole")
    alice.run()
    assert alice.told() == {"a": UploadFate.UPLOADED}
    assert "http: DamagedError" in (alice.reasons()["a"] or "")
    assert alice.content("a") == b"whole"
    assert [path.name for path in alice.stored()] == ["files..a"]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("adler32=0a1b2c3d", {"adler32": "0a1b2c3d"}),
        ("ADLER32=A1B2C3D", {"adler32": "0a1b2c3d"}),
        ("md5=1B2M2Y8AsgTpgAmY7PhCfg==", {"md5": "d41d8cd98f00b204e9800998ecf8427e"}),
        ("sha=x, adler32=1, md5=1B2M2Y8AsgTpgAmY7PhCfg==",
         {"adler32": "00000001", "md5": "d41d8cd98f00b204e9800998ecf8427e"}),
        ("", {}),
        ("adler32=", {}),
        ("adler32=123456789", {}),
        ("md5=d41d8cd98f00b204e9800998ecf8427e", {}),
        ("md5=***", {}),
    ],
)  # fmt: skip
def test_checksums_are_read_as_storages_write_them(header: str, told: dict[str, str]) -> None:
    from stac_rucio_sync.stores.storage.protocol_objects import digests

    assert digests(header) == told
