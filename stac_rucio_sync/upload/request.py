"""What an upload is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from stac_rucio_sync.model import Did
from stac_rucio_sync.model.uploads import readable
from stac_rucio_sync.upload.discovery import Choice

BATCH_FILES = 200
BATCH_BYTES = 2 * 2**30
"""What was read for its checksums is sent while the machine still has it in memory."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """What an upload is asked for.

    Attributes
    ----------
    paths
        Files and folders.
    rse, scope
        Where they go, and the scope of their DIDs.
    dataset
        What they are attached to; None: nothing.
    template
        How their names are made (`naming.name_of`).
    choice
        Which of the files are wanted.
    lifetime
        Seconds that rules made by the upload last; None: for good.
    rule
        Whether a rule is to hold the files at the RSE: one on the dataset, or one on each file.
    register_after
        Register files when they have been sent, not before: they are read while they are sent.
    batch_files
        Files of a batch.
    dry_run
        Say what would be done, and change nothing.
    """

    paths: tuple[Path, ...]
    rse: str
    scope: str
    dataset: Did | None = None
    template: str | None = None
    choice: Choice = field(default_factory=Choice)
    lifetime: int | None = None
    rule: bool = True
    register_after: bool = False
    batch_files: int = BATCH_FILES
    dry_run: bool = False

    def identity(self, server: str) -> str:
        """Return what tells this upload from others: whoever asks for the same again goes on with it."""
        said = {
            "server": server,
            "rse": self.rse,
            "scope": self.scope,
            "dataset": None if self.dataset is None else str(self.dataset),
            "template": self.template,
            "choice": asdict(self.choice),
            "paths": sorted(readable(path.absolute()) for path in self.paths),
        }
        return orjson.dumps(said).decode()
