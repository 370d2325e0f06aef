"""What DataLink is measured against: a Flask view that looks one thing up and returns always the same VOTable.

Run as ``python -m benchmarks.bare_links PORT WORKERS THREADS``, with the database's URL in ``BARE_LINKS_URL``.
"""

from __future__ import annotations

import os
import sys
import threading

import psycopg
from flask import Flask, Response, request

from datalink.cuttable import Kind
from datalink.descriptors import descriptors
from datalink.rows import Offer, Row
from datalink.votable import document
from stac_rucio_sync.commands.server import run_server
from stac_rucio_sync.model import Did, Extent, HeldFile, HeldItem, ItemKey
from stac_rucio_sync.settings import Services, Settings


def _answer() -> bytes:
    """Return an answer of the size of ours: two copies, two services and their descriptors."""
    did = Did("made", "made..obs-1..image.fits")
    file = HeldFile("image", did, 1, None, None, "application/fits", ("data",), "An image of the sky", True, ())
    extent = Extent(True, (10.0625, -45.0625, 10.1875, -45.0625, 10.1875, -44.9375), (10.125, -45.0, 0.09375))
    held = HeldItem(ItemKey("made", "obs-1"), did, "", "image", (file,), extent=extent)
    resources = descriptors([Offer(1, file, Kind.FITS, held)], lambda _: {}, Settings())
    return document([Row("x", "https://archive.example.org/x", None, "A file", "#this")] * 4, resources=resources)


def create_app() -> Flask:
    """Make the application."""
    app = Flask("bare_links", static_folder=None)
    url, kept = os.environ["BARE_LINKS_URL"], threading.local()
    answer = _answer()

    @app.get("/")
    def links() -> Response:
        if not hasattr(kept, "connection"):
            kept.connection = psycopg.connect(url, autocommit=True)
        scope, _, name = request.args["ID"].partition(":")
        looked_up = "SELECT bytes FROM lake.file WHERE scope = %s AND name = %s"
        assert kept.connection.execute(looked_up, (scope, name), prepare=True).fetchone()
        return Response(answer, content_type="application/x-votable+xml;content=datalink")

    return app


if __name__ == "__main__":
    port, workers, threads = map(int, sys.argv[1:])
    run_server("bare_links", create_app, Services(port=port, workers=workers, threads=threads))
