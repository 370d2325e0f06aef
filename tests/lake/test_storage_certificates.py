"""Storage over https is believed only with a certificate of its authority; Rucio's own class believes everybody."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.lake.environment import ensure_environment
from stac_rucio_sync.lake.home import server_user
from stac_rucio_sync.model import Hashed
from stac_rucio_sync.stores.storage.protocols import StorageElement
from tests.conftest import RunningLake
from tests.ports import free_port

_APPLICATION = """
from webdav import application as webdav

def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "HEAD" and environ["PATH_INFO"].endswith("/"):
        start_response("200 OK", [("Content-Length", "0")])
        return []
    return webdav(environ, start_response)
"""
"""A HEAD of a folder succeeds, as at grid storage: with it Rucio's class asks whether a server that knows its users is
there."""
BODY = b"bytes of a file" * 1000
HASHED = Hashed(len(BODY), f"{zlib.adler32(BODY):08x}", hashlib.md5(BODY).hexdigest())  # noqa: S324 - as Rucio has them


@dataclass(frozen=True)
class TlsStorage:
    """The lake's WebDAV server, once more, with TLS."""

    port: int
    folder: Path
    authority: Path

    def settings(self, host: str = "localhost", sign_url: str | None = "") -> dict[str, Any]:
        """Return what Rucio says of an RSE that lies there."""
        use = {"read": 1, "write": 1, "delete": 1}
        protocol = {
            "scheme": "https",
            "hostname": host,
            "port": self.port,
            "prefix": "/share/",
            "impl": "rucio.rse.protocols.webdav.Default",
            "domains": {"wan": use, "lan": use},
            "extended_attributes": None,
        }
        return {
            "rse": "TLS",
            "deterministic": True,
            "domain": ["wan", "lan"],
            "protocols": [protocol],
            "credentials": None,
            "sign_url": sign_url,
            "verify_checksum": True,
        }

    def names(self) -> list[str]:
        return [path.name for path in self.folder.rglob("*") if path.is_file()]


@contextmanager
def tls_storage(
    lake: RunningLake, folder: Path, authority: trustme.CA, *options: str, name: str = "localhost"
) -> Iterator[TlsStorage]:
    """Serve a folder with a certificate that the authority gave to ``name``."""
    share = folder / "share"
    share.mkdir()
    certificate = authority.issue_cert(name)
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    port = free_port()
    (folder / "tls.py").write_text(_APPLICATION)
    gunicorn = ensure_environment(server_user(), lambda _: None) / "bin" / "gunicorn"
    command = [str(gunicorn), "--bind", f"localhost:{port}", "--chdir", str(folder), "--log-level", "warning"]
    command += ["--worker-class", "gthread", "--threads", "4", "--graceful-timeout", "1"]
    command += ["--certfile", str(folder / "certificate.pem"), "--keyfile", str(folder / "key.pem"), *options]
    shares = {"share": {"root": str(share), "readonly": False}}
    guest = str(lake.home / "server" / "guest")
    environment = {"PATH": os.defpath, "PYTHONPATH": guest, "LAKE_SHARES": json.dumps(shares)}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*command, "tls:application"], env=environment, stderr=log)
    try:
        _wait_until_it_listens(port)
        yield TlsStorage(port, share, folder / "authority.pem")
    finally:
        server.terminate()
        server.wait(60)


def _wait_until_it_listens(port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            ssl.get_server_certificate(("localhost", port), timeout=60)
        except ConnectionRefusedError:
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.05)
        except OSError:
            return  # it wants a certificate of its clients
        else:
            return


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(BODY)
    return path


def put(settings: dict[str, Any], file: Path, authorities: Path | None) -> str:
    with closing(StorageElement(settings, certificates=None if authorities is None else str(authorities))) as storage:
        return storage.put(file, "scope/file", lambda: HASHED).pfn


def test_a_server_of_another_authority_gets_nothing(lake: RunningLake, tmp_path: Path, file: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "another.pem")
    with tls_storage(lake, tmp_path, trustme.CA()) as server:
        for authorities in (tmp_path / "another.pem", None):
            with pytest.raises(RefusedError, match="CERTIFICATE_VERIFY_FAILED"):
                put(server.settings(), file, authorities)
        assert server.names() == []
        pfn = put(server.settings(), file, server.authority)
        assert pfn == f"https://localhost:{server.port}/share/scope/file"
        assert server.names() == ["file"]
        assert requests.get(pfn, verify=str(server.authority), timeout=60).content == BODY


def test_a_server_of_another_name_gets_nothing(lake: RunningLake, tmp_path: Path, file: Path) -> None:
    with tls_storage(lake, tmp_path, trustme.CA(), name="storage.example.org") as server:
        with pytest.raises(RefusedError, match="(?i)hostname"):
            put(server.settings(), file, server.authority)
        assert server.names() == []


def test_a_proxy_certificate_is_shown_to_a_server_that_asks_for_one(
    lake: RunningLake, tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    options = ("--cert-reqs", str(int(ssl.CERT_REQUIRED)), "--ca-certs", str(tmp_path / "authority.pem"))
    proxy = tmp_path / "proxy.pem"
    with tls_storage(lake, tmp_path, authority, *options) as server:
        with pytest.raises(RefusedError):
            put(server.settings(), file, server.authority)  # with addresses "signed by nobody" none is shown
        assert server.names() == []
        authority.issue_cert("alice@example.org").private_key_and_cert_chain_pem.write_to_path(proxy)
        monkeypatch.setenv("X509_USER_PROXY", str(proxy))
        assert put(server.settings(sign_url=None), file, server.authority)
        assert server.names() == ["file"]
