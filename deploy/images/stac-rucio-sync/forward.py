"""Make the addresses that users outside have good inside a container: ``forward.py PORT=HOST:PORT …``, on loopback.

Links of the demo name 127.0.0.1, where its ports are published; a notebook in a container follows the same links.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from functools import partial

CHUNK_BYTES = 1 << 16


async def pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass bytes on until there are no more, or one side is gone."""
    with contextlib.suppress(OSError):
        while chunk := await source.read(CHUNK_BYTES):
            target.write(chunk)
            await target.drain()
    with contextlib.suppress(OSError):
        target.close()
        await target.wait_closed()


async def connect(host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Join one connection with the place that it is for; end it where nobody answers there."""
    try:
        there = await asyncio.open_connection(host, port)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer))


async def main(places: list[str]) -> None:
    """Listen for all of them until the process ends."""
    async with contextlib.AsyncExitStack() as stack:
        for place in places:
            port, _, target = place.partition("=")
            host, _, target_port = target.rpartition(":")
            server = await asyncio.start_server(partial(connect, host, int(target_port)), "127.0.0.1", int(port))
            await stack.enter_async_context(server)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
