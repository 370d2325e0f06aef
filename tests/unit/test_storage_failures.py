"""What of a storage's failures may pass. Rucio's protocol classes say it in several ways."""

from __future__ import annotations

import errno

import pytest
import requests
from rucio.common import exception as rucio_errors

from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.stores.storage_failures import is_transient


@pytest.mark.parametrize(
    "error",
    [
        rucio_errors.ServiceUnavailable(requests.ConnectionError("Connection reset by peer")),
        rucio_errors.ServiceUnavailable(requests.ReadTimeout("read timed out")),
        rucio_errors.ServiceUnavailable("Bad status code 503 http://storage/ : busy"),
        rucio_errors.SourceNotFound(requests.exceptions.ChunkedEncodingError("Connection broken")),
        rucio_errors.ResourceTemporaryUnavailable(),
        rucio_errors.RucioException(503, "busy"),
        rucio_errors.RucioException(429, ""),
        rucio_errors.ServiceUnavailable(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")),
        requests.ConnectionError("Connection refused"),
        TimeoutError("timed out"),
    ],
)
def test_what_may_pass(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        rucio_errors.RucioException(403, "Forbidden"),
        rucio_errors.RucioException(507, "Insufficient Storage"),
        rucio_errors.RucioException(500, "No space left on device"),
        rucio_errors.RucioException("[3011] something else"),
        rucio_errors.RSEAccessDenied(),
        rucio_errors.SourceNotFound(),
        rucio_errors.ServiceUnavailable(OSError(errno.ENOSPC, "No space left on device")),
        rucio_errors.ServiceUnavailable(OSError(errno.EDQUOT, "Disk quota exceeded")),
        rucio_errors.ServiceUnavailable(rucio_errors.RucioException("[ERROR] Disk quota exceeded")),
        rucio_errors.ServiceUnavailable("TRANSFER ERROR: Permission denied"),
        rucio_errors.ServiceUnavailable(requests.exceptions.SSLError("certificate verify failed")),
        rucio_errors.DestinationNotAccessible(PermissionError(errno.EACCES, "Permission denied")),
        requests.exceptions.InvalidURL("x"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        RefusedError("it says no"),
        NotImplementedError(),
    ],
)
def test_what_stays(error: Exception) -> None:
    assert not is_transient(error)
