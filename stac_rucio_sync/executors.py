"""Where reading, hashing and sending are done: in threads of this process, or on a Dask cluster.

Whatever does the calls, the caller sees ``concurrent.futures`` and our errors. Calls are repeated where a worker died
with them, so they may only read, or write what a second time makes the same; functions and arguments are pickled.
"""

from __future__ import annotations

import logging
import platform
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from stac_rucio_sync import __version__
from stac_rucio_sync.errors import FatalError, TransientError, UsageError
from stac_rucio_sync.settings import Dask

if TYPE_CHECKING:
    from distributed import Client

SLURM = "slurm"
"""In place of an address: jobs of SLURM, made for this run and ended with it."""
_ALIKE = ("stac-rucio-sync", "rucio-clients", "distributed")
"""Packages that workers must have in the versions that the client has."""
_LOOK_SECONDS = 1.0
_CONNECT_SECONDS = 30.0
_LOOPBACK = "127.0.0.1:0"
_CUT_OFF = "the connection to the Dask scheduler was lost"

P = ParamSpec("P")
T = TypeVar("T")


class WorkerLostError(TransientError):
    """The workers that did a call died with it, as often as the Dask scheduler tries (``allowed-failures``)."""


class ClusterLostError(FatalError):
    """The scheduler is gone, or all workers are and none comes: no further call can be done."""


@contextmanager
def open_executor(workers: int, dask: str | None = None, settings: Dask | None = None) -> Iterator[Executor]:
    """Open what does the calls of a run; leaving the block gives up the calls that nobody waits for any more.

    Parameters
    ----------
    workers
        Threads of this process, where no cluster is named; a cluster does as many calls at a time as its workers have
        threads.
    dask
        A Dask scheduler's address (``tcp://host:8786``, ``tls://host:8786``), the scheduler file that it wrote, or
        ``slurm``.
    settings
        What the settings say of clusters; None: the defaults.

    Returns
    -------
    Iterator[Executor]
        The executor, at ``with``. A call on a cluster raises what it raises in a thread, and `WorkerLostError` or
        `ClusterLostError`; functions must be found by import on the workers.

    Raises
    ------
    UsageError
        Dask is not installed, or what is named is none of the three.
    FatalError
        The scheduler does not answer, no worker comes in ``settings.wait`` seconds, or a worker has other versions.
    """
    if dask is None:
        threads = ThreadPoolExecutor(workers, thread_name_prefix="work")
        try:
            yield threads
        finally:
            threads.shutdown(cancel_futures=True)
        return
    settings = settings or Dask()
    with ExitStack() as opened:
        client = _connect(dask, settings, opened)
        _await_workers(client, dask, settings)
        _check_versions(client)
        executor = DaskExecutor(client, settings.wait)
        opened.callback(executor.shutdown, wait=False, cancel_futures=True)
        yield executor


class DaskExecutor(Executor):
    """Calls on a Dask cluster, with our errors.

    Parameters
    ----------
    client
        A connected ``distributed.Client``; it stays the caller's.
    wait
        Seconds without any worker after which the calls fail.
    """

    def __init__(self, client: Client, wait: float) -> None:
        self._client = client
        # Not "pure": Dask takes two equal calls for one, and a file that is sent again is a new call.
        self._cluster = client.get_executor(pure=False)
        self._wait = wait
        self._sent: dict[Future[Any], Future[Any]] = {}
        """By open call: the cluster's own. Only this refers to it, for Dask keeps an answer as long as somebody does,
        and does a call again whose answer was on a worker that died."""
        self._lock = threading.Lock()
        self._lost: ClusterLostError | None = None
        self._closing = threading.Event()
        threading.Thread(target=self._watch_workers, name="dask-workers", daemon=True).start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a function called by a worker.

        Raises
        ------
        ClusterLostError
            The cluster was lost before.
        """
        call: Future[T] = Future()
        with self._lock:
            if self._lost is not None:
                raise self._lost
            if self._closing.is_set():
                raise RuntimeError("cannot schedule new futures after shutdown")
            sent: Future[T] = self._cluster.submit(perform, __version__, fn, args, kwargs)
            self._sent[call] = sent
        call.add_done_callback(self._withdraw)
        sent.add_done_callback(partial(self._pass_on, call))
        return call

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; with ``cancel_futures`` withdraw those that have no answer yet."""
        self._closing.set()
        with self._lock:
            unanswered = list(self._sent)
        if cancel_futures:
            for call in unanswered:
                call.cancel()
        if wait:
            wait_for(unanswered)

    def _withdraw(self, call: Future[Any]) -> None:
        with self._lock:
            sent = self._sent.pop(call, None)
        if sent is not None:
            call.set_running_or_notify_cancel()  # it was cancelled: who waits for several hears of it only so
            sent.cancel()

    def _pass_on(self, call: Future[Any], sent: Future[Any]) -> None:
        """Give a call the answer of the cluster, unless it was given up."""
        with self._lock:
            is_open = self._sent.pop(call, None) is not None
        if not is_open:
            return
        if sent.cancelled():
            self._lose(_CUT_OFF, call)
        elif call.set_running_or_notify_cancel():
            error = sent.exception()
            if error is None:
                call.set_result(sent.result())
            else:
                call.set_exception(_translated(error))

    def _lose(self, reason: str, *calls: Future[Any]) -> None:
        """Give up all calls: nobody will do them."""
        with self._lock:
            if self._lost is None:
                self._lost = ClusterLostError(reason)
            given_up, self._sent = {*calls, *self._sent}, {}
        for call in given_up:
            if call.set_running_or_notify_cancel():
                call.set_exception(self._lost)

    def _watch_workers(self) -> None:
        """Wait no longer than is set for a cluster that has no workers: Dask itself waits for ever."""
        alone = 0.0
        while not self._closing.wait(_LOOK_SECONDS) and self._lost is None:
            try:
                present = bool(self._client.nthreads())
            except (OSError, RuntimeError, ValueError, CancelledError):
                present = False  # a scheduler that does not answer has no workers for us either
            if self._client.status != "running":  # an answer that was on its way then never comes
                self._lose(_CUT_OFF)
            alone = 0.0 if present else alone + _LOOK_SECONDS
            if alone >= self._wait:
                self._lose(f"the Dask cluster has had no worker for {self._wait:g} seconds")


def perform(client_version: str, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    """Call a function on a worker, which may have come after the versions were compared.

    Raises
    ------
    FatalError
        The worker has another version of this package than the client.
    OSError
        The function's own, with a note that names the machine: it may lack what others have.
    """
    if client_version != __version__:
        raise FatalError(
            f"the worker on {platform.node()} has stac-rucio-sync {__version__}, the client {client_version}: both "
            "need the same"
        )
    try:
        return function(*args, **kwargs)
    except OSError as error:
        error.add_note(f"on the worker {platform.node()}")
        raise


def _translated(error: BaseException) -> BaseException:
    from distributed import KilledWorker  # noqa: PLC0415 - an extra

    if isinstance(error, KilledWorker):
        lost = WorkerLostError(
            f"{error.allowed_failures + 1} Dask workers died while they did it, the last at {error.last_worker.address}"
        )
        lost.__cause__ = error
        return lost
    if isinstance(error, ImportError):
        wrong = FatalError(f"a Dask worker cannot import what it needs ({error}): workers need the client's packages")
        wrong.__cause__ = error
        return wrong
    return error


# ----------------------------------------------------------------------------------------------------------- clusters


def _connect(dask: str, settings: Dask, opened: ExitStack) -> Client:
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError("--dask needs the extra dask: pip install 'stac-rucio-sync[dask]'") from error
    # What becomes of the connection is told by our own errors, in one line in place of forty.
    for name in ("distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if dask == SLURM:
        cluster = _slurm_cluster(settings, opened)
        client: Client = opened.enter_context(Client(cluster, set_as_default=False))
        return client
    if "://" in dask:
        where: dict[str, Any] = {"address": dask}
    elif Path(dask).is_file():
        where = {"scheduler_file": dask}
    else:
        raise UsageError(
            f"--dask {dask} is no address of a scheduler (tcp://host:8786), no scheduler file, and not {SLURM!r}"
        )
    try:
        client = opened.enter_context(Client(**where, timeout=_CONNECT_SECONDS, set_as_default=False))
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"--dask {dask}: {error}") from error
    except (OSError, AssertionError) as error:  # Dask asserts that its own loop came up in ten seconds
        said = str(error) or "Dask's client did not come up"
        raise FatalError(f"the Dask scheduler {dask} does not answer: {said}") from error
    return client


def _slurm_cluster(settings: Dask, opened: ExitStack) -> Any:  # noqa: ANN401 - the library says nothing of its types
    """Submit jobs of workers to SLURM; the scheduler is in this process, and both speak TLS of this run's own."""
    from dask_jobqueue.slurm import SLURMCluster  # noqa: PLC0415 - an extra

    stated: dict[str, Any] = {
        "queue": settings.queue,
        "account": settings.account,
        "cores": settings.cores,
        "memory": settings.memory,
        "processes": settings.processes,
        "walltime": settings.walltime,
        "interface": settings.interface,
        "python": settings.python,
        "job_extra_directives": list(settings.directives) or None,
        "job_script_prologue": list(settings.prologue) or None,
    }
    try:
        cluster = SLURMCluster(
            security=True,
            shared_temp_directory=str(settings.shared_folder or Path.home()),
            scheduler_options={"dashboard": False, "dashboard_address": _LOOPBACK},
            worker_extra_args=["--dashboard-address", _LOOPBACK],
            # What is not stated here may be in dask-jobqueue's own configuration.
            **{name: value for name, value in stated.items() if value is not None},
        )
    except (ValueError, OSError) as error:
        raise UsageError(f"--dask {SLURM}: {error}") from error
    opened.callback(cluster.close)
    _try_submitting(cluster.job_script())
    cluster.scale(jobs=settings.jobs)
    return cluster


def _try_submitting(script: str) -> None:
    """Have SLURM say now what it would refuse: dask-jobqueue submits later, and only logs it."""
    try:
        tried = subprocess.run(
            ["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"--dask {SLURM}: jobs cannot be submitted from this machine: {error}") from error
    if tried.returncode:
        raise UsageError(f"--dask {SLURM}: SLURM refuses the job: {tried.stderr.strip()}")


def _await_workers(client: Client, dask: str, settings: Dask) -> None:
    try:
        client.wait_for_workers(1, timeout=settings.wait)
    except TimeoutError as error:
        raise FatalError(
            f"no worker came to the Dask cluster {dask} in {settings.wait:g} seconds (setting dask.wait)"
        ) from error


def _check_versions(client: Client) -> None:
    """Refuse workers with other packages: what they would measure or send is not what this version does."""
    here = {package: version(package) for package in _ALIKE}
    there = {package: client.run(version, package, on_error="return") for package in _ALIKE}
    here["Python"] = ".".join(platform.python_version_tuple()[:2])
    there["Python"] = {
        worker: ".".join(parts[:2]) for worker, parts in client.run(platform.python_version_tuple).items()
    }
    for package, answers in there.items():
        for worker, answer in sorted(answers.items()):
            if answer != here[package]:
                has = "no" if isinstance(answer, Exception) else f"version {answer} of"
                raise FatalError(
                    f"the Dask worker {worker} has {has} {package}, the client {here[package]}: both need the same"
                )
