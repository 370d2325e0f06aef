"""Uploads in a test: files to send, workers that can be looked at, and Rucio as it is seen from outside."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests

from stac_rucio_sync.model import Did, Uploaded, UploadFate
from stac_rucio_sync.settings import Rucio, Settings
from stac_rucio_sync.stores.rucio.calls import RucioCalls
from stac_rucio_sync.stores.rucio.uploads import RucioUploads
from stac_rucio_sync.upload.job import UploadJob
from stac_rucio_sync.upload.journal import Journal
from stac_rucio_sync.upload.request import UploadRequest
from stac_rucio_sync.upload.targets import Targets
from tests.conftest import RunningLake

RSE, ARCHIVE = "VIENNA-LOCALGROUPDISK", "VIENNA-ARCHIVE-LOCALGROUPDISK"


class Watched(Executor):
    """Threads; a test may look, or do something, before and after each call."""

    def __init__(self, before: Callable[[str, Any], None] = lambda _name, _task: None, workers: int = 2) -> None:
        self._before = before
        self._threads = ThreadPoolExecutor(workers)
        self.calls: list[str] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        def call() -> Any:
            self.calls.append(fn.__name__)
            self._before(fn.__name__, args[0])
            return fn(*args, **kwargs)

        return self._threads.submit(call)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)


@dataclass
class Uploading:
    """Uploads as one account of the lake into a scope of its own."""

    lake: RunningLake
    account: str
    scope: str
    folder: Path
    root: RucioCalls
    fates: list[Uploaded] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        config = Path(self.lake.facts["accounts"][self.account])
        return self.lake.settings_with(rucio=Rucio(config=config, account=self.account, attempts=2).model_dump())

    @property
    def files(self) -> Path:
        return self.folder / "files"

    def write(self, **contents: bytes) -> None:
        self.files.mkdir(exist_ok=True)
        for name, content in contents.items():
            (self.files / name).write_bytes(content)

    def request(self, **changes: Any) -> UploadRequest:
        return replace(UploadRequest((self.files,), RSE, self.scope), **changes)

    def run(self, executor: Executor | None = None, *, domain: str = "wan", **changes: Any) -> UploadJob:
        """Run an upload to its end; the journal is the same one every time."""
        request = self.request(**changes)
        journal = None if request.dry_run else self.folder / f"journal-{request.template}.sqlite"
        executor = executor or Watched()
        self.fates = []
        with (
            closing(RucioUploads(self.settings)) as uploads,
            closing(Journal(journal, str(request.template))) as opened,
            executor,
        ):
            targets = Targets(uploads, request.rse, request.dataset, domain)
            job = UploadJob(request, uploads, opened, targets, executor, on_fate=self.fates.append)
            job.run()
        assert job.report.files == sum(job.report.fates.values())
        return job

    def protocols(self) -> dict[str, dict[str, Any]]:
        """Return the protocols of the lake's folder for uploads by their schemes."""
        return {protocol["scheme"]: protocol for protocol in self.root.send("get_rse", RSE)["protocols"]}

    def rse_with(self, *protocols: tuple[str, dict[str, Any]]) -> str:
        """Make an RSE on the lake's folder for uploads with some protocols to write by, in their order."""
        by_scheme = self.protocols()
        name = f"T{self.scope[1:].upper()}-LOCALGROUPDISK"
        self.root.send("add_rse", name, deterministic=True)
        for key, value in self.root.send("list_rse_attributes", RSE).items():
            if key not in (RSE, "site"):
                self.root.send("add_rse_attribute", name, key, value)
        for priority, (scheme, changes) in enumerate(protocols, 1):
            domains = {domain: {"read": priority, "write": priority, "delete": priority} for domain in ("lan", "wan")}
            self.root.send("add_protocol", name, by_scheme[scheme] | {"domains": domains} | changes)
        self.root.send("set_local_account_limit", "alice", name, 10**12)
        return name

    def did(self, name: str) -> Did:
        return Did(self.scope, f"files..{name}")

    def told(self) -> dict[str, UploadFate]:
        return {file.path.name: file.fate for file in self.fates}

    def reasons(self) -> dict[str, str | None]:
        return {file.path.name: file.reason for file in self.fates}

    def state(self, name: str, rse: str = RSE) -> str | None:
        """Return the state of a file's replica, as Rucio's administrator sees it."""
        did = self.did(name)
        rows = self.root.send("list_replicas", [{"scope": did.scope, "name": did.name}], all_states=True)
        return next((row["states"].get(rse) for row in rows), None)

    def content(self, name: str, rse: str = RSE) -> bytes:
        """Return a file's bytes as the lake's clients get them."""
        did = self.did(name)
        (row,) = self.root.send("list_replicas", [{"scope": did.scope, "name": did.name}], schemes=["http"])
        (pfn,) = row["rses"][rse]
        answer = requests.get(pfn, timeout=60)
        answer.raise_for_status()
        return answer.content

    def stored(self, rse: str = RSE) -> list[Path]:
        """Return what lies in an RSE's storage below the scope, finished or not."""
        folder = Path(self.lake.facts["rses"][rse]["folder"])
        return sorted(path for path in folder.rglob("*") if path.is_file() and self.scope in path.parts)


@contextmanager
def uploading(lake: RunningLake, account: str, scope: str, folder: Path) -> Iterator[Uploading]:
    """Give an account a scope of its own to upload to."""
    config = Path(lake.facts["accounts"]["root"])
    with closing(RucioCalls(Rucio(config=config, account="root"))) as root:
        root.send("add_scope", account, scope)
        yield Uploading(lake, account, scope, folder, root)


class Meeting:
    """Before a call goes on, another one has to be under way."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._barrier = threading.Barrier(2, timeout=60)

    def __call__(self, name: str, _task: Any) -> None:
        if name == self._name:
            self._barrier.wait()
