"""One guilty item costs its batch nothing but itself; what concerns everything stops everything, with a way out."""

from __future__ import annotations

import os
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.model import Did, Wanted
from stac_rucio_sync.settings import Origins, Rucio, Settings
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.store import RucioStore
from tests.rucio.catalogue import Catalogue


def with_file(wanted: Wanted, **changes: Any) -> Wanted:
    return replace(wanted, files=(replace(wanted.files[0], **changes),))


Crime = Callable[[Catalogue, Wanted], Wanted]

CRIMES: dict[str, Crime] = {
    "bytes beyond any disk": lambda _, wanted: with_file(wanted, bytes=2**70),
    "a malformed checksum": lambda _, wanted: with_file(wanted, adler32="not hex"),
    "a name that Rucio forbids": lambda catalogue, wanted: with_file(wanted, did=Did(catalogue.scope, "with space")),
    "a PFN of another server": lambda _, wanted: with_file(
        wanted, replicas=(replace(wanted.files[0].replicas[0], pfn="http://elsewhere.example:1/x"),)
    ),
    "a metadata key that Rucio keeps for itself": lambda _, wanted: replace(wanted, metadata={"length": 5}),
    "a metadata key with a dot": lambda _, wanted: replace(wanted, metadata={"a.b": 5}),
    "a NUL in metadata": lambda _, wanted: replace(wanted, metadata={"text": "a\x00b"}),
    "a scope of somebody else": lambda _, wanted: with_file(wanted, did=Did("alices", "file.tif")),
    "a scope that does not exist": lambda _, wanted: with_file(wanted, did=Did("nowhere", "file.tif")),
}


@pytest.mark.parametrize("crime", CRIMES)
def test_the_guilty_item_is_found_in_a_batch(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls, root: RucioCalls, crime: str
) -> None:
    if "alices" not in root.send("list_scopes"):
        root.send("add_scope", "alice", "alices")
    batch = [catalogue.item(f"i{number}") for number in range(16)]
    batch.insert(11, CRIMES[crime](catalogue, catalogue.item("guilty")))

    answers = store.register([(wanted, None) for wanted in batch])

    assert [answer.key for answer in answers] == [wanted.key for wanted in batch]
    assert [answer.key.id for answer in answers if answer.refused is not None] == ["guilty"]
    assert all(len(answer.replicas) == 1 for answer in answers if answer.refused is None)
    content = {row["name"] for row in rucio.send("list_content", catalogue.scope, "images.collection")}
    assert content >= {f"i{number}" for number in range(16)}


def test_wrong_credentials_are_fatal(lake: Any, catalogue: Catalogue, tmp_path: Path) -> None:
    store = RucioStore(lake.settings.model_copy(update={"rucio": Rucio(config=_config(lake, tmp_path, password="no"))}))

    with pytest.raises(FatalError, match="ingest"):
        store.register([(catalogue.item("m31"), None)])
    store.close()


def test_a_missing_configuration_is_fatal(catalogue: Catalogue, tmp_path: Path) -> None:
    store = RucioStore(Settings(rucio=Rucio(config=tmp_path / "none.cfg"), origins=Origins(create=True)))

    with pytest.raises(FatalError, match=r"none\.cfg"):
        store.register([(catalogue.item("m31"), None)])


def test_the_setting_wins_over_a_broken_environment(lake: Any) -> None:
    script = (
        "import sys; from pathlib import Path; from stac_rucio_sync.settings import Rucio\n"
        "from stac_rucio_sync.stores.rucio.calls import RucioCalls; import stac_rucio_sync.stores.rucio.store\n"
        "assert 'rucio' not in sys.modules, 'Rucio is imported before it is used'\n"
        "config = Path(sys.argv[1]) if len(sys.argv) > 1 else None\n"
        "print(RucioCalls(Rucio(config=config)).send('whoami')['account'])"
    )
    environment = {**os.environ, "RUCIO_CONFIG": "/nowhere/rucio.cfg"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)

    assert run(lake.facts["accounts"]["ingest"]).stdout == "ingest\n"
    assert "/nowhere/rucio.cfg" in run().stderr.splitlines()[-1]


def test_an_account_that_may_not_register_is_fatal(lake: Any, catalogue: Catalogue, store: RucioStore) -> None:
    store.register([(catalogue.item("m31"), None)])
    alice = Rucio(config=Path(lake.facts["accounts"]["alice"]))
    hers = RucioStore(lake.settings.model_copy(update={"rucio": alice}))

    with pytest.raises(FatalError, match="alice"):
        hers.register([(catalogue.item("m32"), None)])
    hers.close()


def test_an_empty_ca_cert_over_https_is_refused_before_anything_is_sent(
    lake: Any, catalogue: Catalogue, tmp_path: Path
) -> None:
    config = _config(lake, tmp_path, rucio_host="https://127.0.0.1:1", auth_host="https://127.0.0.1:1", ca_cert="")
    store = RucioStore(lake.settings.model_copy(update={"rucio": Rucio(config=config)}))

    with pytest.raises(FatalError, match="ca_cert"):
        store.register([(catalogue.item("m31"), None)])
    assert store.requests == 0


def test_a_certificate_that_nobody_vouches_for_is_fatal_at_once(
    lake: Any, catalogue: Catalogue, tmp_path: Path
) -> None:
    pem = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", pem, "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", pem)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handshake) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign] # the refused handshake is the point
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        host = f"https://127.0.0.1:{server.server_address[1]}"
        config = _config(lake, tmp_path, rucio_host=host, auth_host=host)
        store = RucioStore(lake.settings.model_copy(update={"rucio": Rucio(config=config)}))

        with pytest.raises(FatalError, match="ca_cert"):
            store.register([(catalogue.item("m31"), None)])

        server.shutdown()
        thread.join()
    assert store.requests == 1


class _Handshake(socketserver.BaseRequestHandler):
    pass


def test_a_token_of_another_account_is_not_used(
    lake: Any, catalogue: Catalogue, root: RucioCalls, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(root._client().auth_token)
    config = _config(lake, tmp_path, auth_token_file_path=str(token))
    store = RucioStore(lake.settings.model_copy(update={"rucio": Rucio(config=config)}))

    with pytest.raises(FatalError, match="root's, not ingest's"):
        store.register([(catalogue.item("m31"), None)])
    store.close()


def test_tokens_are_kept_apart_by_server_and_account(
    lake: Any, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    same_server = lake.facts["rucio_url"].replace("127.0.0.1", "localhost")
    for folder, host in (("one", lake.facts["rucio_url"]), ("two", same_server)):
        config = _config(lake, tmp_path / folder, rucio_host=host, auth_host=host, auth_token_file_path=None)
        store = RucioStore(lake.settings.model_copy(update={"rucio": Rucio(config=config)}))
        store.register([(catalogue.item("m31"), None)])
        store.close()

    tokens = list(tmp_path.rglob("token"))
    assert len(tokens) == 2
    for token in tokens:
        assert token.stat().st_mode & 0o077 == 0


def test_an_expired_token_is_renewed(lake: Any, catalogue: Catalogue, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("ingest-ingest-unknown-0123456789abcdef")
    config = _config(lake, tmp_path, auth_token_file_path=str(token))
    store = RucioStore(lake.settings.model_copy(update={"rucio": Rucio(config=config)}))

    (registered,) = store.register([(catalogue.item("m31"), None)])

    assert registered.refused is None
    store.close()


def _config(lake: Any, folder: Path, **changes: str | None) -> Path:
    """Write the ingest account's configuration with some lines changed (None: left out)."""
    lines = Path(lake.facts["accounts"]["ingest"]).read_text().splitlines()
    changes.setdefault("auth_token_file_path", str(folder / "token"))
    kept = [line for line in lines if line.partition("=")[0].strip() not in changes]
    start = kept.index("[client]") + 1
    kept[start:start] = [f"{key} = {value}" for key, value in changes.items() if value is not None]
    config = folder / "rucio.cfg"
    config.write_text("\n".join(kept) + "\n")
    return config
