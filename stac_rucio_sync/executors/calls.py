"""Calls on a Dask cluster, as ``concurrent.futures`` and with our errors."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures import wait as wait_for
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from stac_rucio_sync import __version__
from stac_rucio_sync.errors import FatalError, TransientError

if TYPE_CHECKING:
    from distributed import Client

_LOOK_SECONDS = 1.0
_CUT_OFF = "the connection to the Dask scheduler was lost"

P = ParamSpec("P")
T = TypeVar("T")


class WorkerLostError(TransientError):
    """The workers that did a call died with it, as often as the Dask scheduler tries (``allowed-failures``)."""


class ClusterLostError(FatalError):
    """The scheduler is gone, or all workers are and none comes: no further call can be done."""


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
