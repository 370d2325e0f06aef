"""Rucio's REST interface, for tests that act as several accounts in one process (Rucio's client keeps one)."""

from __future__ import annotations

import configparser
import hashlib
import json
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests

# Rucio finds the path of a new replica by the protocol for writing, so a read-only origin has to name one.
ORIGIN_DOMAINS = {"wan": {"read": 1, "write": 1, "third_party_copy_read": 1}, "lan": {"read": 1, "write": 1}}

LAKE_RSES = ("VIENNA-DISK", "SYDNEY-DISK", "SANFRANCISCO-DISK")


class Account:
    """One account of a lake, logged in by the client configuration that the lake wrote for it."""

    def __init__(self, config: Path) -> None:
        parser = configparser.ConfigParser()
        parser.read(config)
        section = parser["client"]
        self.name = section["account"]
        self.url = section["rucio_host"]
        answer = requests.get(
            f"{self.url}/auth/userpass",
            headers={
                "X-Rucio-Account": self.name,
                "X-Rucio-Username": section["username"],
                "X-Rucio-Password": section["password"],
            },
            timeout=60,
        )
        answer.raise_for_status()
        self._headers = {"X-Rucio-Auth-Token": answer.headers["X-Rucio-Auth-Token"]}

    def ask(self, verb: str, path: str, body: Any = None) -> requests.Response:
        """Send a request and return the answer, whatever it is."""
        return requests.request(verb, f"{self.url}/{path}", headers=self._headers, json=body, timeout=60)

    def do(self, verb: str, path: str, body: Any = None) -> requests.Response:
        """Send a request that must succeed."""
        answer = self.ask(verb, path, body)
        assert answer.ok, f"{verb} {path} as {self.name}: {answer.status_code} {answer.text}"
        return answer

    def add_scope(self, scope: str) -> None:
        self.do("POST", f"scopes/{self.name}/{scope}")

    def add_origin(self, rse: str, url: str, destinations: Iterable[str] = LAKE_RSES) -> None:
        """Make an origin RSE for an http origin, from which rules may copy to the destinations."""
        host, _, port = url.removeprefix("http://").partition(":")
        self.do("POST", f"rses/{rse}", {"deterministic": False})
        self.do("POST", f"rses/{rse}/attr/origin", {"value": url})
        self.do("POST", f"rses/{rse}/attr/sign_url", {"value": ""})
        self.do("POST", f"rses/{rse}/protocols/http", origin_protocol(host, int(port)))
        for destination in destinations:
            self.do("POST", f"rses/{rse}/distances/{destination}", {"distance": 1})

    def add_replica(self, rse: str, scope: str, name: str, content: bytes, url: str, **changes: Any) -> None:
        """Register one file; a change to None leaves the key out."""
        file = replica(scope, name, content, url) | changes
        present = {key: value for key, value in file.items() if value is not None}
        self.do("POST", "replicas", {"rse": rse, "files": [present]})

    def add_rule(self, scope: str, name: str, expression: str) -> str:
        body = {"dids": [{"scope": scope, "name": name}], "copies": 1, "rse_expression": expression}
        body |= {"account": self.name, "lifetime": None, "grouping": "DATASET", "locked": False}
        return str(self.do("POST", "rules/", body).json()[0])

    def wait_for_rule(self, rule: str, state: str, seconds: float = 100) -> dict[str, Any]:
        """Wait until a rule has a state; return it."""
        deadline = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self.do("GET", f"rules/{rule}").json()
            if found["state"] == state:
                return found
            assert time.monotonic() < deadline, f"rule {rule} is {found['state']}, not {state}: {found}"
            time.sleep(0.2)

    def replicas(self, scope: str, name: str) -> dict[str, Any]:
        """Return what list_replicas says of one file; {} when it has none."""
        answer = self.do("POST", "replicas/list", {"dids": [{"scope": scope, "name": name}], "all_states": True})
        lines = answer.text.splitlines()
        found: dict[str, Any] = json.loads(lines[0]) if lines else {}
        return found


def origin_protocol(host: str, port: int, scheme: str = "http") -> dict[str, Any]:
    return {
        "scheme": scheme,
        "hostname": host,
        "port": port,
        "prefix": "/",
        "impl": "rucio.rse.protocols.webdav.Default",
        "domains": ORIGIN_DOMAINS,
    }


def replica(scope: str, name: str, content: bytes, url: str) -> dict[str, Any]:
    return {
        "scope": scope,
        "name": name,
        "bytes": len(content),
        "adler32": f"{zlib.adler32(content):08x}",
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "pfn": url,
        "state": "A",
    }
