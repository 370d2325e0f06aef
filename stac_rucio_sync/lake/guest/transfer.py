"""The lake's transfer tool: really moves bytes, from an http or file source to a file destination.

It stands in for FTS on one machine. Rucio's own submitter, poller and finisher drive it as they drive FTS, through
Rucio's `Transfertool` interface; what it does not have is what FTS is for: other machines, third-party copies,
credentials, optimisation of links, a queue that survives it. Rucio submits again what was lost with the process.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import logging
import os
import threading
import urllib.parse
import uuid
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import requests
from rucio.common.constants import SCHEME_MAP
from rucio.core import transfer as transfer_core
from rucio.db.sqla.constants import RequestState
from rucio.transfertool.transfertool import TransferStatusReport, Transfertool, TransferToolBuilder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rucio.core.request import DirectTransfer
    from sqlalchemy.orm import Session

NAME = "lake"
HOST = "lake-transfer-agent"
PARALLEL_COPIES = 8
TRANSFERS_PER_JOB = 50
CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = (10, 120)
LONGEST_MESSAGE = 900

LOGGER = logging.getLogger("transfer")


class CopyError(Exception):
    """A copy failed; the text is what Rucio's request and rule will say."""


@dataclass(frozen=True)
class Copy:
    """One file to be copied, and what it must be when it has arrived."""

    source: str
    destination: str
    size: int | None
    adler32: str | None
    md5: str | None


@dataclass(frozen=True)
class Outcome:
    """How a copy ended: without an error, or with one."""

    started_at: datetime.datetime
    ended_at: datetime.datetime
    error: str | None


def now() -> datetime.datetime:
    """Return the time as Rucio keeps it: UTC, without a zone."""
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)


def local_path(url: str, root: Path) -> Path:
    """Return the path of a file URL, which must lie below the folder of the lake's RSEs.

    Without this an account that may set up origin RSEs could have any file of this machine copied, or overwritten.
    """
    # Rucio's posix protocol writes names into file URLs as they are, without percent-encoding.
    path = Path(os.path.normpath("/" + url.split("://", 1)[1].partition("/")[2]))
    if not path.is_relative_to(root) or not Path(os.path.realpath(path.parent)).is_relative_to(os.path.realpath(root)):
        raise CopyError(f"{url} lies outside the lake's RSEs")
    return path


def read_source(url: str, root: Path) -> Iterator[bytes]:
    """Yield a source's bytes in chunks."""
    scheme = urllib.parse.urlsplit(url).scheme
    if scheme == "file":
        try:
            with local_path(url, root).open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    yield chunk
        except OSError as error:
            raise CopyError(f"{url}: {error.strerror}") from error
    elif scheme in ("http", "https"):
        try:
            # The stored bytes are wanted, not what a content encoding makes of them.
            headers = {"Accept-Encoding": "identity"}
            with requests.get(url, stream=True, timeout=TIMEOUT_SECONDS, headers=headers) as answer:
                if answer.status_code != requests.codes.ok:
                    raise CopyError(f"{url} answered {answer.status_code} {answer.reason}")
                yield from answer.iter_content(CHUNK_BYTES)
        except requests.RequestException as error:
            raise CopyError(f"{url}: {type(error).__name__}: {error}") from error
    else:
        raise CopyError(f"{url}: the lake copies from http, https and file only")


def copy(task: Copy, root: Path) -> None:
    """Copy a file beside its destination, check it, and rename it into place.

    Raises
    ------
    CopyError
        The source cannot be read, the bytes are not the registered ones, or the destination cannot be written.
    """
    destination = local_path(task.destination, root)
    part = destination.with_name(f".{uuid.uuid4().hex}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        size, adler32 = 0, 1
        md5 = hashlib.md5(usedforsecurity=False)
        with part.open("wb") as target:
            for chunk in read_source(task.source, root):
                target.write(chunk)
                size += len(chunk)
                adler32 = zlib.adler32(chunk, adler32)
                if not task.adler32:
                    md5.update(chunk)
            target.flush()
            os.fsync(target.fileno())
        check(task, size, f"{adler32:08x}", md5.hexdigest())
        part.replace(destination)
    except OSError as error:
        raise CopyError(f"{destination}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def check(task: Copy, size: int, adler32: str, md5: str) -> None:
    """Compare what arrived with what is registered: the size, and adler32, or md5 where only that is known."""
    if task.size is not None and size != task.size:
        raise CopyError(f"{task.source} has {size} bytes, registered are {task.size}")
    if task.adler32:
        if adler32 != task.adler32.lower():
            raise CopyError(f"{task.source} has adler32 {adler32}, registered is {task.adler32}")
    elif task.md5 and md5 != task.md5.lower():
        raise CopyError(f"{task.source} has md5 {md5}, registered is {task.md5}")


class Copier:
    """Runs copies, at most `PARALLEL_COPIES` at a time, and remembers how they ended until that was asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pool = ThreadPoolExecutor(PARALLEL_COPIES, thread_name_prefix="copy")
        self._jobs: dict[str, dict[str, Future[Outcome]]] = {}
        self._lock = threading.Lock()

    def submit(self, tasks: Mapping[str, Copy]) -> str:
        """Queue copies by request id; return the id of the job."""
        job = uuid.uuid4().hex
        with self._lock:
            self._jobs[job] = {request: self._pool.submit(self._run, task) for request, task in tasks.items()}
        return job

    def ended(self, job: str, requests_asked: Iterable[str]) -> dict[str, Outcome] | None:
        """Return the outcomes of those copies of a job that ended; None for a job that this process never had."""
        with self._lock:
            futures = self._jobs.get(job)
            if futures is None:
                return None
            return {name: futures[name].result() for name in requests_asked if name in futures and futures[name].done()}

    def forget(self, keep: set[str]) -> None:
        """Forget jobs that ended and that Rucio no longer waits for."""
        with self._lock:
            for job in [name for name in self._jobs if name not in keep]:
                if all(future.done() for future in self._jobs[job].values()):
                    del self._jobs[job]

    def stop(self) -> None:
        """Let running copies end, drop queued ones."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, task: Copy) -> Outcome:
        started = now()
        try:
            copy(task, self._root)
        except CopyError as error:
            LOGGER.warning("copy failed: %s", error)
            return Outcome(started, now(), str(error)[:LONGEST_MESSAGE])
        except Exception as error:
            LOGGER.exception("copy failed: %s", task)
            return Outcome(started, now(), f"{task.source}: {type(error).__name__}: {error}"[:LONGEST_MESSAGE])
        return Outcome(started, now(), None)


class LakeStatusReport(TransferStatusReport):
    """What the poller writes into a request whose copy ended."""

    supported_db_fields: ClassVar[list[str]] = ["state", "external_id", "started_at", "transferred_at", "err_msg"]

    def __init__(self, request_id: str, job: str, outcome: Outcome) -> None:
        super().__init__(request_id)
        self.state = RequestState.FAILED if outcome.error else RequestState.DONE
        self.external_id = job
        self.started_at = outcome.started_at
        self.transferred_at = outcome.ended_at
        self.err_msg = outcome.error

    def initialize(self, session: Session, logger: Any = logging.log) -> None:  # noqa: ANN401 - Rucio's signature
        """Do nothing: all fields are known."""

    def get_monitor_msg_fields(self, session: Session, logger: Any = logging.log) -> dict[str, Any]:  # noqa: ANN401
        """Return what hermes' message says beside the request's own columns."""
        return {"reason": self.err_msg, "started_at": self.started_at, "transferred_at": self.transferred_at}


class LakeTransfertool(Transfertool):
    """Rucio's view of the copier."""

    external_name = NAME
    required_rse_attrs = ()
    supported_schemes: ClassVar[set[str]] = {"http", "https", "file"}
    copier: ClassVar[Copier]

    @classmethod
    def submission_builder_for_path(
        cls,
        transfer_path: list[DirectTransfer],
        logger: Any = logging.log,  # noqa: ANN401 - Rucio's signature
    ) -> tuple[list[DirectTransfer], TransferToolBuilder | None]:
        """Take the first hop of a path when its destination is a file."""
        if not transfer_path or transfer_path[0].dst.scheme != "file":
            return [], None
        return transfer_path[:1], TransferToolBuilder(cls, external_host=HOST)

    def group_into_submit_jobs(self, transfer_paths: Iterable[list[DirectTransfer]]) -> list[dict[str, Any]]:
        """Put transfers into jobs of `TRANSFERS_PER_JOB`."""
        transfers = list(itertools.chain.from_iterable(transfer_paths))
        starts = range(0, len(transfers), TRANSFERS_PER_JOB)
        return [{"transfers": transfers[start : start + TRANSFERS_PER_JOB], "job_params": {}} for start in starts]

    def submit(
        self, transfers: Iterable[DirectTransfer], job_params: dict[str, str], timeout: int | None = None
    ) -> str:
        """Queue the copies of one job."""
        return self.copier.submit(
            {
                hop.rws.request_id: Copy(
                    hop.source_url(hop.src), hop.dest_url, hop.rws.byte_count, hop.rws.adler32, hop.rws.md5
                )
                for hop in transfers
            }
        )

    def bulk_query(
        self, requests_by_eid: Mapping[str, Mapping[str, Any]], timeout: int | None = None
    ) -> dict[str, dict[str, LakeStatusReport] | None]:
        """Report the copies that ended; None marks a job lost, and Rucio submits its transfers again."""
        answers: dict[str, dict[str, LakeStatusReport] | None] = {}
        for job, asked in requests_by_eid.items():
            outcomes = self.copier.ended(job, asked)
            answers[job] = (
                None
                if outcomes is None
                else {request: LakeStatusReport(request, job, outcome) for request, outcome in outcomes.items()}
            )
        return answers

    def cancel(self, transfer_ids: Sequence[str], timeout: int | None = None) -> bool:
        """Let the copies run: they are short, and what arrives unwanted is not registered."""
        return True

    def update_priority(self, transfer_id: str, priority: int, timeout: int | None = None) -> bool:
        """Ignore priorities: Rucio submits in their order already."""
        return True


def register(root: Path) -> Copier:
    """Make the tool known to Rucio's conveyor, and let http sources feed file destinations."""
    copier = Copier(root)
    LakeTransfertool.copier = copier
    transfer_core.TRANSFERTOOL_CLASSES_BY_NAME[NAME] = LakeTransfertool
    SCHEME_MAP["file"] = ["file", "http", "https"]
    return copier
