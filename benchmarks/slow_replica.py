"""A replica over a slow line: a web server that gives ranges of one file, slowly.

Run as ``python -m benchmarks.slow_replica FILE PORT BYTES_PER_SECOND SECONDS``; the rate is of all connections
together, the seconds are what every answer waits. ``/sent`` tells how many bytes of the file were sent.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_PIECE = 64 * 2**10


class Line:
    """Lets bytes through at a rate, for all who send together."""

    def __init__(self, rate: float) -> None:
        self.sent = 0
        self._rate = rate
        self._lock = threading.Lock()
        self._free = time.monotonic()

    def wait_for(self, size: int) -> None:
        """Return when so many bytes would have gone through."""
        with self._lock:
            self.sent += size
            self._free = max(self._free, time.monotonic() - 0.005) + size / self._rate
            until = self._free
        left = until - time.monotonic()
        if left > 0:
            time.sleep(left)


def handler_of(path: str, line: Line, latency: float) -> type[BaseHTTPRequestHandler]:
    """Return what answers requests for a file."""
    descriptor = os.open(path, os.O_RDONLY)
    size = os.fstat(descriptor).st_size

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path == "/sent":
                told = str(line.sent).encode()
                self._begin(200, len(told))
                self.wfile.write(told)
                return
            time.sleep(latency)
            wanted = _RANGE.fullmatch(self.headers.get("Range", ""))
            start, stop = (int(wanted[1]), min(int(wanted[2]) + 1, size)) if wanted else (0, size)
            told_range = {"Content-Range": f"bytes {start}-{stop - 1}/{size}"} if wanted else {}
            self._begin(206 if wanted else 200, stop - start, told_range)
            while start < stop:
                piece = os.pread(descriptor, min(_PIECE, stop - start), start)
                line.wait_for(len(piece))
                self.wfile.write(piece)
                start += len(piece)

        def _begin(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(length), "ETag": '"1"', **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    file, port, rate, latency = sys.argv[1:]
    _Server(("127.0.0.1", int(port)), handler_of(file, Line(float(rate)), float(latency))).serve_forever()
