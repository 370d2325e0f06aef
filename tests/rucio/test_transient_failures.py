"""A server that stumbles is asked again; one that stays down is a transient error, not wrong data."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stac_rucio_sync.errors import TransientError
from stac_rucio_sync.model.rules import RuleWish
from stac_rucio_sync.settings import Rucio
from stac_rucio_sync.stores.rucio import calls as rucio_calls
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.rules import RucioRules
from stac_rucio_sync.stores.rucio.store import RucioStore
from tests.faults.harness import wait_until
from tests.rucio.catalogue import Catalogue
from tests.stumbling import Proxy, Stumbles, stumbling


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rucio_calls, "FIRST_PAUSE", 0.05)


@contextmanager
def proxied(lake: Any, folder: Path, stumbles: Stumbles, **rucio: Any) -> Iterator[tuple[RucioStore, Proxy]]:
    with stumbling(lake, folder, stumbles) as (config, proxy):
        store = RucioStore(lake.settings.model_copy(update={"rucio": Rucio(config=config, **rucio)}))
        try:
            yield store, proxy
        finally:
            store.close()


@pytest.mark.parametrize("stumble", ["503", "drop", "lost"])
@pytest.mark.parametrize(
    "verb",
    [
        "GET /auth",
        "POST /replicas ",
        "POST /replicas/list",
        "POST /dids ",
        "POST /dids/attachments",
        "POST /dids/bulkdidsmeta",
    ],
)
def test_one_stumble_at_any_call_is_survived(
    lake: Any,
    catalogue: Catalogue,
    rucio: RucioCalls,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    stumble: str,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    # Rucio's client itself sends a request twice.
    left = [2]

    def stumbles(request: bytes) -> str | None:
        if request.startswith(verb.encode()) and left[0]:
            left[0] -= 1
            return stumble
        return None

    with proxied(lake, tmp_path, stumbles) as (store, proxy):
        (registered,) = store.register([(catalogue.item("m31"), None)])

    assert proxy.stumbled == 2
    assert registered.refused is None
    assert len(registered.replicas) == 1
    assert rucio.send("get_metadata", catalogue.scope, "m31", plugin="JSON")["stac:id"] == "m31"
    assert len(rucio.send("list_content", catalogue.scope, "m31")) == 1


def test_a_server_that_stays_down_is_a_transient_error_and_every_request_is_counted(
    lake: Any, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with (
        proxied(lake, tmp_path, lambda _: "503", attempts=2) as (store, proxy),
        pytest.raises(TransientError, match="503"),
    ):
        store.register([(catalogue.item("m31"), None)])

    assert store.requests == proxy.stumbled >= 2


def test_a_database_that_is_away_for_a_while_is_nobodys_guilt(lake: Any, catalogue: Catalogue, tmp_path: Path) -> None:
    answered = [0]

    def stumbles(request: bytes) -> str | None:
        answered[0] += 1
        return "500" if 4 <= answered[0] <= 7 and not request.startswith(b"GET /auth") else None

    with proxied(lake, tmp_path, stumbles) as (store, proxy):
        answers = store.register([(catalogue.item(f"i{number}"), None) for number in range(3)])

    assert proxy.stumbled == 4
    assert [answer.refused for answer in answers] == [None] * 3


def test_no_server_at_all_is_a_transient_error(lake: Any, catalogue: Catalogue, tmp_path: Path) -> None:
    with proxied(lake, tmp_path, lambda _: None, attempts=2) as (store, proxy):
        proxy.shutdown()
        proxy.server_close()
        with pytest.raises(TransientError):
            store.register([(catalogue.item("m31"), None)])


def test_a_server_that_never_answers_is_left_after_the_time_out(
    lake: Any, catalogue: Catalogue, tmp_path: Path
) -> None:
    release = threading.Event()

    def hangs(_: bytes) -> str:
        release.wait(60)
        return "drop"

    with proxied(lake, tmp_path, hangs, attempts=1, timeout=0.3) as (store, _):
        with pytest.raises(TransientError):
            store.register([(catalogue.item("m31"), None)])
        release.set()


def test_rows_that_somebody_else_holds_in_rucios_database_are_waited_for(
    lake: Any, catalogue: Catalogue, store: RucioStore, rucio: RucioCalls
) -> None:
    wanted = catalogue.item("m31", catalogue.file("m31", "b1", b"bytes"))
    store.register([(wanted, None)])
    did = wanted.files[0].did
    assert lake.settings.database.admin_url is not None
    with closing(RucioRules(lake.settings)) as rules, ThreadPoolExecutor(1) as beside:
        rules.own()  # so that it is logged in
        sent = rules.requests
        with psycopg.connect(lake.settings.database.admin_url.get_secret_value()) as daemon:
            daemon.execute("SELECT 1 FROM dev.replicas WHERE scope = %s FOR UPDATE", [did.scope])
            adding = beside.submit(rules.add, [did], RuleWish("VIENNA-DISK"))
            wait_until(lambda: rules.requests > sent + 1 or adding.done(), "Rucio refuses")
        [rule] = adding.result(timeout=100)
    assert rucio.send("get_replication_rule", rule)["name"] == did.name
    assert len(list(rucio.send("list_did_rules", did.scope, did.name))) == 1
