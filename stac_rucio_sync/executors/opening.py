"""Opening what does the calls of a run: threads of this process, a Dask cluster that is there, or jobs of SLURM."""

from __future__ import annotations

import logging
import platform
import subprocess
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stac_rucio_sync.errors import FatalError, UsageError
from stac_rucio_sync.executors.calls import DaskExecutor
from stac_rucio_sync.settings import Dask

if TYPE_CHECKING:
    from distributed import Client

SLURM = "slurm"
"""In place of an address: jobs of SLURM, made for this run and ended with it."""
_ALIKE = ("stac-rucio-sync", "rucio-clients", "distributed")
"""Packages that workers must have in the versions that the client has."""
_CONNECT_SECONDS = 30.0
_LOOPBACK = "127.0.0.1:0"


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
