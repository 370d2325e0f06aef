"""A writer for the tests that kill writers: groups of items, each in a transaction, reported once committed."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from stac_rucio_sync.catalog.repository import Repository
from stac_rucio_sync.catalog.transaction import transaction
from tests.catalog.examples import item


def main(place: str, name: str, groups: int) -> None:
    """Commit groups of items: small ones, which become loose objects, and a large one now and then."""
    dice = random.Random(name)  # noqa: S311 - which group is large is no secret
    with Repository(Path(place)) as repository:
        for number in range(groups):
            size = 70 if dice.random() < 0.1 else dice.randrange(1, 4)
            with transaction(repository, author=name, wait=100.0) as changes:
                for one in range(size):
                    notes = changes.writing.put_file(f"{name} {number} {one}".encode())
                    changes.put_item(
                        item(f"{name}-{number}-{one}", lon=one, group=f"{name}-{number}", size=size),
                        assets={"notes.txt": notes},
                    )
                if dice.random() < 0.1:
                    continue  # thought better of it
                commit = changes.commit(f"{name}-{number}")
            assert commit is not None
            print(commit.oid, f"{name}-{number}", size, flush=True)  # noqa: T201 - what the test listens to


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
