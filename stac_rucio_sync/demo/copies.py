"""What a user of Rucio does with what was synced: ask for copies, see where they are, download one."""

from __future__ import annotations

import hashlib
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from stac_rucio_sync.demo import spectral
from stac_rucio_sync.demo.catalogue import Catalogue
from stac_rucio_sync.demo.terminal import Terminal, check
from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.mapping.identifiers import container_did, dataset_did
from stac_rucio_sync.model import ItemKey
from stac_rucio_sync.settings import Settings

RSE = "VIENNA-DISK"
ACCOUNT = "alice"
RULE_LIMIT = 180.0
"""Seconds in which the transfer agent must have made the copies."""
_REPLICA = re.compile(r"([A-Z0-9_-]+): (\S+://\S+)")
"""RSE and PFN in the table that `rucio replica list file` prints."""
_RULE_OK = re.compile(r"OK\[(\d+)/0/0\]")
"""State and locks (made/under way/stuck) as `rucio rule list --csv` prints them."""


@dataclass(frozen=True, slots=True)
class CubeFile:
    """A file of a cube: its DID, and the original that every copy must equal."""

    did: str
    name: str
    asset: str
    original: Path


def cube_files(connection: psycopg.Connection[Any], catalogue: Catalogue) -> list[CubeFile]:
    """Return the files of the catalogue's cubes with the DIDs that the tables give them.

    Raises
    ------
    FatalError
        The tables lack one, or do not answer.
    """
    try:
        rows = connection.execute(
            "SELECT id, asset, scope, name FROM lake.file WHERE collection = %s ORDER BY asset, id", [spectral.CUBES]
        ).fetchall()
    except psycopg.Error as error:
        raise FatalError(f"the demo failed: the tables gave no answer: {error}") from error
    wanted = {
        (item["id"], key): catalogue.path_of(asset["href"])
        for item in catalogue.items
        if item["collection"] == spectral.CUBES
        for key, asset in item["assets"].items()
    }
    files = [
        CubeFile(f"{scope}:{name}", name, asset, wanted[id_, asset])
        for id_, asset, scope, name in rows
        if (id_, asset) in wanted
    ]
    check(len(files) == len(wanted), f"the catalogue has {len(wanted)} files of cubes, the tables have {len(files)}")
    return files


def replicate(terminal: Terminal, lake: dict[str, Any], settings: Settings, files: list[CubeFile]) -> dict[str, Any]:
    """Ask for copies of all cubes at one site by a rule, and wait until they are there.

    Parameters
    ----------
    lake
        What `Lake.status` says.
    files
        The files that must then lie at the site, equal to their originals.

    Raises
    ------
    FatalError
        The rule is stuck, or takes too long, or a copy is missing or differs.
    """
    did = str(container_did(spectral.CUBES, settings))
    rule = _rule_on(terminal, did)
    if rule is None:
        terminal.run("rucio", "rule", "add", "--copies", "1", "--rses", RSE, did)
    else:
        terminal.say("the rule is there since an earlier run")
    rule = _wait_for_rule(terminal, did, rule, len(files))
    terminal.show_command(f"rucio rule list --did {did} --csv")
    terminal.show(rule)
    site = lake["rses"][RSE]
    listed = terminal.run("rucio", "replica", "list", "file", "--rses", RSE, "--pfns", did, quiet=True).split()
    copies = {
        pfn.rpartition("/")[2]: Path(site["folder"] + pfn.removeprefix(site["url"]))
        for pfn in listed
        if pfn.startswith(site["url"])
    }
    for file in files:
        copy = copies.get(file.name)
        check(copy is not None and copy.is_file(), f"no copy of {file.did} lies at {RSE}")
        check(copy is not None and md5_of(copy) == md5_of(file.original), f"{copy} differs from {file.original}")
    terminal.say(f"{len(files)} files lie below {site['folder']}, with the MD5 sums of the originals")
    return {"did": did, "rse": RSE, "state": rule.split(",")[3], "files": len(files)}


def find_by_metadata(terminal: Terminal, settings: Settings, catalogue: Catalogue) -> list[str]:
    """Find datasets by their metadata with Rucio's own client; return their DIDs."""
    low = 60.0
    listed = terminal.run("rucio", "did", "list", "--filter", f"s_dec > {low:g}", "--short", f"{_scope(settings)}:*")
    known = {
        str(dataset_did(ItemKey(item["collection"], item["id"]), settings)): item["properties"].get("s_dec")
        for item in catalogue.items
    }
    found = set(listed.split()) & known.keys()
    wanted = {did for did, dec in known.items() if dec is not None and dec > low}
    check(found == wanted, f"Rucio's metadata and the catalogue differ on: {', '.join(sorted(found ^ wanted)[:5])}")
    return sorted(found)


def show_replicas(terminal: Terminal, files: list[CubeFile], catalogue: Catalogue) -> dict[str, Any]:
    """Show where the bytes of one cube are: at its origin and at the site of the rule."""
    file = _first_cube(files)
    output = terminal.run("rucio", "replica", "list", "file", file.did)
    replicas = dict(_REPLICA.findall(output))
    check(RSE in replicas, f"Rucio shows no replica of {file.did} at {RSE}")
    origin = any(pfn.startswith(catalogue.url + "/") for pfn in replicas.values())
    check(origin, f"Rucio shows no replica of {file.did} at its origin {catalogue.url}")
    return {"did": file.did, "pfns": replicas}


def download(terminal: Terminal, files: list[CubeFile]) -> dict[str, Any]:
    """Download one cube by its DID and compare it with the original."""
    file = _first_cube(files)
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        terminal.run("rucio", "download", "--dir", folder, file.did)
        got = Path(folder) / file.did.partition(":")[0] / file.name
        check(got.is_file(), f"rucio download left no file {got}")
        check(md5_of(got) == md5_of(file.original), f"the downloaded {file.did} differs from {file.original}")
        size = got.stat().st_size
    terminal.say(f"{size} bytes, MD5 {md5_of(file.original)}: equal to the original")
    return {"did": file.did, "bytes": size, "md5": md5_of(file.original)}


def md5_of(path: Path) -> str:
    """Return the MD5 sum of a file, hexadecimal."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _rule_on(terminal: Terminal, did: str) -> str | None:
    """Return our rule on a DID as Rucio lists it: id, account, DID, state with counts, RSE, and more."""
    for line in terminal.run("rucio", "rule", "list", "--did", did, "--csv", quiet=True).splitlines():
        values = line.split(",")
        if values[1:3] == [ACCOUNT, did] and values[4] == RSE:
            return line
    return None


def _wait_for_rule(terminal: Terminal, did: str, rule: str | None, files: int) -> str:
    """Wait until our rule is OK for so many files; ``rule`` is how it stood last.

    An older rule is OK for the files that it knows, until Rucio's judge has looked at what was added.
    """
    deadline = time.monotonic() + RULE_LIMIT
    with terminal.console.status("the transfer agent is at work"):
        while True:
            state = rule.split(",")[3] if rule else "unknown to Rucio"
            held = _RULE_OK.match(state)
            if rule and held and int(held[1]) >= files:
                return rule
            check(not state.startswith("STUCK"), f"the rule is stuck: {rule} (rucio rule show --examine says why)")
            waited = f"after {RULE_LIMIT:.0f} s the rule on {did} is {state}, not OK for {files} files"
            check(time.monotonic() < deadline, waited)
            time.sleep(0.5)
            rule = _rule_on(terminal, did)


def _scope(settings: Settings) -> str:
    return container_did(spectral.CUBES, settings).scope


def _first_cube(files: list[CubeFile]) -> CubeFile:
    return next(file for file in files if file.asset == "cube")
