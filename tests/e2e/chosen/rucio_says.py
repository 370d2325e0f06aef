"""Ask Rucio's own client about datasets and print the answers as JSON: run as a program, with RUCIO_CONFIG set.

A process of its own, for Rucio's client keeps its configuration once a process and the job under test has its own way
with it. Standard input: ``{"scope": ..., "datasets": [...], "plugin": ...}``, the plugin that keeps the metadata.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> None:
    from rucio.client.client import Client

    asked = json.load(sys.stdin)
    scope = asked["scope"]
    client: Any = Client()  # type: ignore[no-untyped-call] # Rucio annotates in part
    content: dict[str, list[str]] = {}
    metadata: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    for name in asked["datasets"]:
        content[name] = [one["name"] for one in client.list_content(scope, name)]
        metadata[name] = client.get_metadata(scope, name, plugin=asked["plugin"])
        columns[name] = client.get_metadata(scope, name)
    names = sorted({name for names in content.values() for name in names})
    files = []
    for start in range(0, len(names), 500):
        dids = [{"scope": scope, "name": name} for name in names[start : start + 500]]
        files += list(client.list_replicas(dids, all_states=True))
    met = {place["rse"] for file in files for place in file["pfns"].values()}
    origins = {rse: client.list_rse_attributes(rse).get("origin") for rse in met}
    answer = {"content": content, "metadata": metadata, "columns": columns, "files": files, "origins": origins}
    json.dump(answer, sys.stdout, default=str)


if __name__ == "__main__":
    main()
