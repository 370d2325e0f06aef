"""Where reading, hashing and sending are done: in threads of this process, or on a Dask cluster.

Whatever does the calls, the caller sees ``concurrent.futures`` and our errors. Calls are repeated where a worker died
with them, so they may only read, or write what a second time makes the same; functions and arguments are pickled.
"""

from stac_rucio_sync.executors.calls import ClusterLostError, DaskExecutor, WorkerLostError, perform
from stac_rucio_sync.executors.opening import open_executor

__all__ = ["ClusterLostError", "DaskExecutor", "WorkerLostError", "open_executor", "perform"]
