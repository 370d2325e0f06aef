"""The audit of storage on a real lake: each kind of difference planted, found, repaired, and gone afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import orjson
import psycopg

from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json
from tests.consistency.planted import NOW, SHARED_BY, Planted

AWKWARD = ("dark % ?#&.bin", "-rf", "a,b\"c'd", "été", "..x", "a+b=c;d")


def old() -> None:
    """Let a second pass: Rucio tells changes by whole seconds."""
    time.sleep(1.1)


def plant_one_of_each(planted: Planted) -> dict[str, tuple[str, str]]:
    """Plant every kind of difference; return what is to be found."""
    planted.plant_all([f"good{number}" for number in range(5)])
    planted.register("missing", b"missing")
    planted.register("copied", b"copied")
    planted.plant("longer").write_bytes(b"longer than it was")
    planted.plant("other").write_bytes(b"OTHER")
    planted.plant("rotten").write_bytes(b"ROTTEN")
    planted.register_elsewhere("copied", "longer", "other")
    planted.register("begun", b"begun", "C")
    planted.plant("half", b"whole", "C").write_bytes(b"wh")
    planted.plant("whole", state="C")
    for name in AWKWARD:
        planted.dark(name)
    left = planted.path("never")
    planted.write(left.with_name("never.rucio.upload"), b"nev")
    old()
    return {
        "missing": ("!", "last copy"),
        "copied": ("+", "missing"),
        "longer": ("*", "wrong size"),
        "other": ("*", "wrong checksum"),
        "rotten": ("!", "last copy"),
        "begun": ("-", "unfinished"),
        "half": ("-", "unfinished"),
        "whole": ("*", "unfinished"),
        "never.rucio.upload": ("-", "leftover"),
        **dict.fromkeys(AWKWARD, ("-", "dark")),
    }


def test_every_kind_of_difference_is_found_and_repaired(planted: Planted) -> None:
    expected = plant_one_of_each(planted)
    everything = (*NOW, "--checksums", "all")

    told, report = planted.found(*everything, whole=True)
    assert told == expected
    assert report["counts"]["same"] == 5
    assert (report["replicas"], report["files"]) == (13, 10 + len(AWKWARD) + 1)

    plan, _ = planted.found(*everything, "--repair", "--dry-run", "--delete-dark")
    assert plan == expected
    assert planted.state("copied") == "AVAILABLE"

    told, report = planted.found(*everything, "--repair", "--delete-dark", "--threshold", "100%")
    assert told == expected
    assert (report["repaired"], report["remaining"]) == (len(expected) - 2, 2)
    states = {name: planted.state(name) for name in ("missing", "rotten", "copied", "longer", "other")}
    assert states == {**dict.fromkeys(states, "BAD"), "missing": "AVAILABLE", "rotten": "AVAILABLE"}
    assert {name: planted.state(name) for name in ("begun", "half", "whole")} == {
        "begun": None,
        "half": None,
        "whole": "AVAILABLE",
    }
    there = {path.name for path in planted.folder.rglob("*") if path.is_file()}
    assert there == {*(f"good{number}" for number in range(5)), "longer", "other", "rotten", "whole"}

    told, report = planted.found(*everything, "--repair", "--declare-lost", "--threshold", "100%")
    assert told == {"missing": ("*", "last copy"), "rotten": ("*", "last copy")}
    assert (report["repaired"], report["remaining"]) == (2, 0)
    told, report = planted.found(*everything)
    assert told == {}
    assert report["counts"] == {"same": 6, "bad": 5, "known": 9}


def test_the_plan_says_what_a_repair_does_and_what_follows(folder: Planted) -> None:
    plant_one_of_each(folder)
    folder.root.send("add_dataset", folder.scope, "dataset")
    folder.root.send("attach_dids", folder.scope, "dataset", [did_json(folder.did("missing"))])
    lines = {
        line.split()[2].partition(":")[2]: line
        for line in folder.audit(*NOW, "--scope", folder.scope).stdout.splitlines()
        if " replica " in line
    }
    assert f"Rucio call the file lost, take it out of {folder.scope}:dataset and delete" in lines["missing"]
    assert "(--declare-lost)" in lines["missing"]
    assert f"repair: declare it bad, so that Rucio copies it again from {SHARED_BY}" in lines["copied"]
    assert lines["half"].endswith("with another file of 2 bytes; repair: withdraw it, and delete what is there of it)")
    assert lines["whole"].endswith("with the right checksum; repair: make it available)")


def test_what_is_young_may_be_on_its_way(planted: Planted) -> None:
    planted.register("begun", b"begun", "C")
    planted.plant("whole", state="C")
    planted.dark("dark")
    planted.write(planted.path("never").with_name("never.rucio.upload"), b"nev")
    told, report = planted.found("--repair", "--delete-dark", "--threshold", "100%")
    assert told == {}
    assert report["counts"] == {"under way": 2, "known": 1, "young": 2}
    assert planted.state("begun") == "COPYING"


def test_bytes_are_read_only_where_that_is_asked_for(planted: Planted) -> None:
    names = [f"f{number}" for number in range(40)]
    planted.plant_all(names)
    for name in names:
        planted.path(name).write_bytes(b"?" * len(name))
    told, report = planted.found()
    assert (told, report["read"]) == ({}, 0)
    told, report = planted.found("--checksums", "50%")
    assert 5 < len(told) < 35  # by chance less than once in a million runs
    assert report["read"] == len(told)
    told, report = planted.found("--checksums", "all")
    assert (len(told), report["read"]) == (40, 40)


def test_dark_files_are_told_and_stay_unless_their_deletion_is_asked_for(folder: Planted) -> None:
    folder.plant("good")
    dark = folder.dark("dark.bin")
    told, report = folder.found(*NOW, "--repair", "--threshold", "100%")
    assert (told, report["remaining"]) == ({"dark.bin": ("-", "dark")}, 1)
    assert dark.exists()
    told, _ = folder.found(*NOW, "--ignore", "*/dark/*.bin")
    assert told == {}


def test_a_file_that_rucio_hides_from_its_listing_is_not_dark(folder: Planted) -> None:
    hidden = folder.plant("hidden")
    folder.dark("dark")
    assert folder.lake.settings.database.admin_url is not None
    with psycopg.connect(folder.lake.settings.database.admin_url.get_secret_value()) as connection:
        connection.execute("UPDATE dev.dids SET suppressed = true WHERE scope = %s", [folder.scope])
    told, report = folder.found(*NOW, "--repair", "--delete-dark", "--threshold", "100%")
    assert told == {"dark": ("-", "dark")}
    assert report["counts"] == {"known": 1, "dark": 1}
    assert hidden.exists()


def test_a_storage_that_is_not_there_declares_nothing_lost(folder: Planted) -> None:
    folder.plant_all([f"f{number}" for number in range(10)])
    folder.folder.rename(folder.folder.with_name("elsewhere"))
    gone = folder.audit(*NOW, "--repair")
    assert "there is no folder" in str(gone.exception)

    folder.folder.mkdir()  # a mount point without its file system
    told, report = folder.found(*NOW, "--repair")
    assert len(told) == report["remaining"] == 10
    assert "10 of 10 replicas are missing" in next(iter(report["remarks"]))
    assert folder.state("f3") == "AVAILABLE"
    folder.folder.rmdir()
    folder.folder.with_name("elsewhere").rename(folder.folder)
    assert folder.found(*NOW)[0] == {}


def test_a_repair_does_the_one_kind_of_which_there_are_not_too_many(folder: Planted) -> None:
    folder.plant_all([f"f{number}" for number in range(20)])
    folder.path("f7").unlink()
    folder.register_elsewhere("f7")
    for number in range(20):
        folder.dark(f"dark{number}")
    _, report = folder.found(*NOW, "--repair", "--delete-dark")
    assert (report["repaired"], report["remaining"]) == (1, 20)
    assert folder.state("f7") == "BAD"
    assert (folder.folder / folder.scope / "dark" / "dark0").exists()


def test_what_a_rule_waits_for_is_not_withdrawn(folder: Planted) -> None:
    did = folder.register("ruled", b"ruled", "C")
    folder.root.send("set_local_account_limit", "root", folder.rse, 10**9)
    folder.root.send("add_replication_rule", [did_json(did)], 1, folder.rse)
    old()
    told, report = folder.found(*NOW, "--repair")
    assert told == {"ruled": ("!", "unfinished")}
    assert report["remaining"] == 1
    assert folder.state("ruled") == "COPYING"


def test_the_only_replica_of_a_file_in_a_dataset_is_not_withdrawn(folder: Planted) -> None:
    """Rucio would take the file out of the dataset, and the dataset, then empty, out of all its containers."""
    did = folder.register("attached", b"attached", "C")
    folder.root.send("add_dataset", folder.scope, "dataset")
    folder.root.send("attach_dids", folder.scope, "dataset", [did_json(did)])
    old()
    told, _ = folder.found(*NOW, "--repair")
    assert told == {"attached": ("!", "unfinished")}
    assert folder.state("attached") == "COPYING"
    folder.register("attached", b"attached", rse=SHARED_BY)
    told, report = folder.found(*NOW, "--repair")
    assert told == {"attached": ("-", "unfinished")}
    assert (report["repaired"], folder.state("attached")) == (1, None)


def test_an_account_that_may_not_repair_is_told_so(folder: Planted) -> None:
    folder.plant("good")
    folder.register("missing", b"missing")
    folder.register_elsewhere("missing")
    result = folder.audit(*NOW, "--scope", folder.scope, "--repair", "--threshold", "100%", account="alice")
    assert result.exit_code == 1
    assert "! replica" in result.stdout
    assert "alice can not declare bad replicas" in result.stdout
    assert folder.state("missing") == "AVAILABLE"


def test_replicas_that_promise_no_bytes_are_counted_and_not_missed(folder: Planted) -> None:
    for state in "UBDT":
        folder.register(f"state-{state}", b"...")
        if state != "D":
            folder.root.send(
                "update_replicas_states", folder.rse, [did_json(folder.did(f"state-{state}")) | {"state": state}]
            )
    folder.root.send("declare_bad_file_replicas", [did_json(folder.did("state-D")) | {"rse": folder.rse}], "test")
    told, report = folder.found(*NOW)
    assert told == {}
    assert {fate: count for fate, count in report["counts"].items() if fate != "being deleted"} == {
        "bad": 1,
        "unavailable": 1,
        "temporarily unavailable": 1,
    }


def test_something_else_in_the_place_of_a_file_is_no_file(folder: Planted) -> None:
    for name in ("link", "broken", "folder"):
        folder.plant(name)
    target = folder.write(folder.folder.with_name(f"{folder.rse}-target"), b"link")
    for name in ("link", "broken", "folder"):
        folder.path(name).unlink()
    folder.path("link").symlink_to(target)
    folder.path("broken").symlink_to(folder.folder / "nowhere")
    folder.path("folder").mkdir()
    (folder.folder / folder.scope / "loop").symlink_to(folder.folder)
    told, report = folder.found(*NOW)
    target.unlink()
    assert told == {"broken": ("!", "last copy"), "folder": ("!", "last copy")}
    assert report["counts"] == {"same": 1, "last copy": 2, "known": 1}


# ------------------------------------------------------------------------------------------------- what is looked at


def test_a_scope_is_looked_at_alone(planted: Planted) -> None:
    other = Planted(planted.lake, planted.root, planted.rse, planted.scope + "x")
    planted.root.send("add_scope", "root", other.scope)
    other.register("missing-too", b"...")
    planted.write(other.path("dark-too"), b"dark")
    planted.plant("good")
    planted.register("missing", b"missing")
    planted.register_elsewhere("missing")
    planted.dark("dark")
    told, report = planted.found(*NOW)
    assert told == {"missing": ("+", "missing"), "dark": ("-", "dark")}
    assert report["counts"] == {"same": 1, "missing": 1, "known": 1, "dark": 1}


def test_files_of_a_dataset_are_looked_up_one_by_one(planted: Planted) -> None:
    for name in ("good", "longer", "elsewhere"):
        planted.plant(name)
    planted.register("missing", b"missing")
    planted.path("longer").write_bytes(b"longer than it was")
    planted.path("elsewhere").unlink()
    planted.dark("dark")
    planted.root.send("add_dataset", planted.scope, "dataset")
    inside = [did_json(planted.did(name)) for name in ("good", "longer", "missing")]
    planted.root.send("attach_dids", planted.scope, "dataset", inside)
    told, report = planted.found(*NOW, "--dataset", f"{planted.scope}:dataset", whole=True)
    assert told == {"longer": ("!", "last copy"), "missing": ("!", "last copy")}
    assert (report["replicas"], report["listed"]) == (3, False)
    unknown = planted.audit("--dataset", f"{planted.scope}:nosuch")
    assert f"there is no {planted.scope}:nosuch" in str(unknown.exception)


def test_an_rse_that_is_told_its_paths(rse_with: Callable[..., Planted]) -> None:
    planted = rse_with("file", deterministic=False)
    prefix = f"file://localhost{planted.folder}"
    for name, place in (("good", "deep/down/here.bin"), ("missing", "not/here.bin")):
        planted.register(name, name.encode(), pfn=f"{prefix}/{place}")
    planted.write(planted.folder / "deep/down/here.bin", b"good")
    planted.write(planted.folder / "deep/dark.bin", b"dark")
    result = planted.audit("--json", *NOW, "--checksums", "all")
    *lines, report = map(orjson.loads, result.stdout.splitlines())
    assert {(line["fate"], line["path"]) for line in lines} == {
        ("last copy", "not/here.bin"),
        ("dark", "deep/dark.bin"),
    }
    assert report["counts"]["same"] == 1


def test_an_rse_that_is_only_written_to(rse_with: Callable[..., Planted]) -> None:
    """Rucio shows no address of its replicas; their places follow from its naming."""
    planted = rse_with("file", domains={domain: {"write": 1, "delete": 1} for domain in ("lan", "wan")})
    planted.plant("good")
    planted.register("missing", b"missing")
    told, report = planted.found(*NOW, "--checksums", "all")
    assert told == {"missing": ("!", "last copy")}
    assert report["counts"] == {"same": 1, "last copy": 1, "known": 1}


def test_several_rses_in_one_audit(rse_with: Callable[..., Planted]) -> None:
    one, other = rse_with("file"), rse_with("http")
    for planted in (one, other):
        planted.plant("everywhere")
    one.register("missing", b"missing")
    result = one.audit("--json", *NOW, "--scope", one.scope, rse=f"{one.rse}|{other.rse}")
    *lines, first, second = map(orjson.loads, result.stdout.splitlines())
    assert [(line["rse"], line["fate"]) for line in lines] == [(one.rse, "last copy")]
    assert {report["rse"]: report["differences"] for report in (first, second)} == {one.rse: 1, other.rse: 0}
    assert result.exit_code == 1

    for planted in (one, other):
        planted.path("everywhere").unlink()
    options = ("--json", *NOW, "--scope", one.scope, "--repair", "--threshold", "100%")
    result = one.audit(*options, rse=f"{one.rse}|{other.rse}")
    *lines, first, second = map(orjson.loads, result.stdout.splitlines())
    assert {(line["rse"], line["fate"]) for line in lines if line["path"].endswith("everywhere")} == {
        (one.rse, "missing"),
        (other.rse, "missing"),
    }
    assert first["repaired"] + second["repaired"] == 1  # the other one is the last by then
    assert sorted(str(planted.state("everywhere")) for planted in (one, other)) == ["AVAILABLE", "BAD"]


# -------------------------------------------------------------------------------------------------------- what is not


def test_what_cannot_be_audited_says_why(folder: Planted, root: RucioCalls) -> None:
    def refusal(*arguments: str, rse: str | None = None) -> str:
        result = folder.audit(*arguments, rse=rse)
        assert result.exit_code != 0
        return str(result.exception)

    assert "NO-SUCH-RSE" in refusal(rse="NO-SUCH-RSE")
    assert "HTTP 405" in refusal("--protocol", "http", rse="SYDNEY-DISK")
    assert "there is no scope nosuch in Rucio" in refusal("--scope", "nosuch")
    assert "no protocol of scheme srm" in refusal("--protocol", "srm")
    assert "--dry-run goes with --repair" in refusal("--dry-run")
    assert "--delete-dark goes with --repair" in refusal("--delete-dark")
    assert "--declare-lost goes with --repair" in refusal("--declare-lost")
    assert "a DID is written scope:name" in refusal("--dataset", "nothing")
    root.send("add_rse_attribute", folder.rse, "origin", "https://example.org")
    assert "somebody else's server" in refusal()


def test_nothing_in_a_folder_that_cannot_be_listed_is_missing(rse_with: Callable[..., Planted]) -> None:
    planted = rse_with("http")
    planted.plant("good")
    planted.plant("hidden")
    closed = planted.path("hidden").parent
    os.chown(closed, 0, 0)
    closed.chmod(0o700)
    told, report = planted.found(*NOW, "--repair", "--threshold", "100%")
    assert told == {"hidden": ("!", "unchecked")}
    assert report["counts"] == {"same": 1, "unchecked": 1, "known": 1}
    assert any("cannot be listed, so dark files in it are not seen" in remark for remark in report["remarks"])
    assert planted.state("hidden") == "AVAILABLE"
