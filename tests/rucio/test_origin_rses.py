"""Each origin has one RSE: the operator's, or one that is made so that no rule chooses it and every PFN comes back."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from stac_rucio_sync.errors import FatalError, SyncError
from stac_rucio_sync.settings import Origins
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.origins import rse_name
from stac_rucio_sync.stores.rucio.store import RucioStore
from tests.rucio.catalogue import Catalogue


@pytest.fixture
def host() -> str:
    return f"h{uuid.uuid4().hex[:10]}.example.org"


@pytest.mark.parametrize("origin", ["https://{}", "http://{}", "https://{}:8443", "s3://{}"])
def test_the_href_comes_back_from_a_new_origin(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls, host: str, origin: str
) -> None:
    at = origin.format(host)
    wanted = catalogue.item("m31", catalogue.file("m31", "b1", origin=at))

    (registered,) = store.register([(wanted, None)])

    (replica,) = registered.replicas
    assert replica.pfn == wanted.files[0].replicas[0].pfn
    assert rucio.send("list_rse_attributes", replica.rse)["origin"] == wanted.files[0].replicas[0].origin
    properties = rucio.send("get_rse", replica.rse)
    assert not properties["deterministic"]
    assert len(properties["protocols"]) == 1
    for domain in ("lan", "wan"):
        assert properties["protocols"][0]["domains"][domain]["delete"] is None
    (rse,) = [rse for rse in store.known_rses() if rse.rse == replica.rse]
    assert rse.origin == wanted.files[0].replicas[0].origin


def test_no_rule_chooses_an_origin_as_its_destination_but_copies_from_it(
    store: RucioStore, catalogue: Catalogue, root: RucioCalls
) -> None:
    wanted = catalogue.item("m31")
    store.register([(wanted, None)])
    origin_rse = rse_name(catalogue.origin)
    did = [{"scope": wanted.did.scope, "name": wanted.did.name}]

    with pytest.raises(SyncError):
        root.send("add_replication_rule", did, 1, origin_rse)
    assert root.send("get_distance", origin_rse, "VIENNA-DISK")
    assert root.send("add_replication_rule", did, 1, "VIENNA-DISK")


def test_many_threads_and_processes_make_one_rse(lake: Any, catalogue: Catalogue, host: str) -> None:
    stores = [RucioStore(lake.settings) for _ in range(4)]
    items = [catalogue.item(f"i{n}", catalogue.file(f"i{n}", "b1", origin=f"https://{host}")) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda store, item: store.register([(item, None)])[0], stores, items))
    for store in stores:
        store.close()

    assert {replica.rse for answer in answers for replica in answer.replicas} == {rse_name(f"https://{host}:443")}
    assert [len(answer.replicas) for answer in answers] == [1] * 4


def test_an_rse_that_was_half_made_is_finished(
    store: RucioStore, catalogue: Catalogue, rucio: RucioCalls, host: str
) -> None:
    rucio.send("add_rse", rse_name(f"https://{host}:443"), deterministic=False)
    wanted = catalogue.item("m31", catalogue.file("m31", "b1", origin=f"https://{host}"))

    (registered,) = store.register([(wanted, None)])

    assert [replica.pfn for replica in registered.replicas] == [wanted.files[0].replicas[0].pfn]


def test_the_operators_rse_wins(lake: Any, catalogue: Catalogue, root: RucioCalls, host: str) -> None:
    rse = _operators_rse(root, host)
    mapped = Origins(create=True, rses={f"https://{host}": rse})
    store = RucioStore(lake.settings.model_copy(update={"origins": mapped}))
    wanted = catalogue.item("m31", catalogue.file("m31", "b1", origin=f"https://{host}"))

    (registered,) = store.register([(wanted, None)])

    assert [(replica.rse, replica.pfn) for replica in registered.replicas] == [(rse, wanted.files[0].replicas[0].pfn)]
    store.close()


@pytest.mark.parametrize(
    ("rse", "complaint"), [("NO-SUCH-RSE", "no RSE of that name"), ("VIENNA-DISK", "deterministic")]
)
def test_a_setting_that_names_an_unfit_rse_is_fatal(
    lake: Any, catalogue: Catalogue, host: str, rse: str, complaint: str
) -> None:
    mapped = Origins(rses={f"https://{host}:443": rse})
    store = RucioStore(lake.settings.model_copy(update={"origins": mapped}))

    with pytest.raises(FatalError, match=complaint) as caught:
        store.register([(catalogue.item("m31", catalogue.file("m31", "b1", origin=f"https://{host}")), None)])
    assert f'"https://{host}" = "{rse}"' in str(caught.value)
    store.close()


def test_a_setting_that_names_the_rse_of_another_server_is_fatal(
    lake: Any, catalogue: Catalogue, root: RucioCalls, host: str
) -> None:
    mapped = Origins(rses={"https://other.example.org": _operators_rse(root, host)})
    store = RucioStore(lake.settings.model_copy(update={"origins": mapped}))

    with pytest.raises(FatalError, match="no protocol that reads from https://other"):
        store.register([(catalogue.item("m31", catalogue.file("m31", "b1", origin="https://other.example.org")), None)])
    store.close()


def test_files_of_an_origin_without_an_rse_stay_links(
    lake: Any, catalogue: Catalogue, rucio: RucioCalls, host: str
) -> None:
    store = RucioStore(lake.settings.model_copy(update={"origins": Origins(create=False)}))
    wanted = catalogue.item("m31", catalogue.file("m31", "b1", origin=f"https://{host}"))

    (registered,) = store.register([(wanted, None)])

    assert registered.refused is None
    assert registered.replicas == ()
    (link,) = registered.links
    assert (link.name, link.href, link.rel) == ("b1", wanted.files[0].replicas[0].pfn, None)
    assert link.reason is not None
    assert f"https://{host};" in link.reason
    assert "[origins]" in link.reason
    assert rucio.send("list_content", *wanted.did) == []
    store.close()


def test_an_account_that_may_make_none_is_told(lake: Any, catalogue: Catalogue, root: RucioCalls, host: str) -> None:
    scope = f"alice{catalogue.scope[:8]}"
    root.send("add_scope", "alice", scope)
    alice = lake.settings.rucio.model_copy(update={"config": lake.facts["accounts"]["alice"], "account": "alice"})
    store = RucioStore(lake.settings.model_copy(update={"rucio": alice}))
    wanted = replace(catalogue, scope=scope)
    item = wanted.item("m31", wanted.file("m31", "b1", origin=f"https://{host}"))

    (registered,) = store.register([(item, None)])

    assert registered.refused is None
    assert registered.links[0].reason is not None
    assert "alice" in registered.links[0].reason
    store.close()


def test_a_file_with_one_registrable_replica_is_a_file(
    lake: Any, catalogue: Catalogue, host: str, root: RucioCalls
) -> None:
    mapped = Origins(create=False, rses={f"https://{host}": _operators_rse(root, host)})
    store = RucioStore(lake.settings.model_copy(update={"origins": mapped}))
    file = catalogue.file("m31", "b1", origin="https://nowhere.example.org")
    alternate = replace(catalogue.replica("mirror/b1.tif", f"https://{host}"), alternate="mirror")
    wanted = catalogue.item("m31", replace(file, replicas=(*file.replicas, alternate)))

    (registered,) = store.register([(wanted, None)])

    (left,) = registered.links
    assert left.name == "b1#href"
    assert left.reason is not None
    assert "nowhere.example.org" in left.reason
    assert [replica.pfn for replica in registered.replicas] == [f"https://{host}/mirror/b1.tif"]
    store.close()


def test_all_rses_are_described_with_place_and_site(store: RucioStore) -> None:
    rses = {rse.rse: rse for rse in store.rses()}

    vienna = rses["VIENNA-DISK"]
    assert (vienna.site, vienna.latitude, vienna.longitude) == ("vienna", 48.2082, 16.3738)
    assert (vienna.deterministic, vienna.rse_type, vienna.available_read, vienna.origin) == (True, "DISK", True, None)


def _operators_rse(root: RucioCalls, host: str) -> str:
    rse = f"OPERATOR-{host[:8].upper()}"
    root.send("add_rse", rse, deterministic=False)
    # The mark that lets the ingest account register there.
    root.send("add_rse_attribute", rse, "origin", f"https://{host}:443")
    domains = {"read": 1, "write": 1}
    root.send(
        "add_protocol",
        rse,
        {
            "scheme": "https",
            "hostname": host,
            "port": 443,
            "prefix": "/",
            "impl": "rucio.rse.protocols.gfal.NoRename",
            "domains": {"lan": domains, "wan": domains},
        },
    )
    return rse
