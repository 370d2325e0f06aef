"""What of a storage's failures may pass. Rucio's protocol classes say it in several ways."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import requests
from rucio.common import exception

from stac_rucio_sync.errors import RefusedError, TransientError
from stac_rucio_sync.stores.storage.failures import is_transient

raised: Any = exception  # Rucio types its exceptions in part


@pytest.mark.parametrize(
    "error",
    [
        raised.ServiceUnavailable(requests.ConnectionError("Connection reset by peer")),
        raised.ServiceUnavailable(requests.ReadTimeout("read timed out")),
        raised.ServiceUnavailable("Bad status code 503 http://storage/ : busy"),
        raised.SourceNotFound(requests.exceptions.ChunkedEncodingError("Connection broken")),
        raised.ResourceTemporaryUnavailable(),
        raised.RucioException(503, "busy"),
        raised.RucioException(429, ""),
        raised.ServiceUnavailable(ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")),
        requests.ConnectionError("Connection refused"),
        TimeoutError("timed out"),
        TransientError("HTTP 503"),
    ],
)
def test_what_may_pass(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        raised.RucioException(403, "Forbidden"),
        raised.RucioException(507, "Insufficient Storage"),
        raised.RucioException(500, "No space left on device"),
        raised.RucioException("[3011] something else"),
        raised.RSEAccessDenied(),
        raised.SourceNotFound(),
        raised.ServiceUnavailable(OSError(errno.ENOSPC, "No space left on device")),
        raised.ServiceUnavailable(OSError(errno.EDQUOT, "Disk quota exceeded")),
        raised.ServiceUnavailable(raised.RucioException("[ERROR] Disk quota exceeded")),
        raised.ServiceUnavailable("TRANSFER ERROR: Permission denied"),
        raised.ServiceUnavailable(requests.exceptions.SSLError("certificate verify failed")),
        raised.DestinationNotAccessible(PermissionError(errno.EACCES, "Permission denied")),
        requests.exceptions.InvalidURL("x"),
        FileNotFoundError(errno.ENOENT, "No such file"),
        RefusedError("it says no"),
        NotImplementedError(),
    ],
)
def test_what_stays(error: Exception) -> None:
    assert not is_transient(error)
