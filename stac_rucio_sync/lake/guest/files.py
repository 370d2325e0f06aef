"""A read-only HTTP server of folders, one port a folder, with range requests: a WSGI application for gunicorn.

The environment variable ``LAKE_FOLDERS`` holds a JSON object: port to folder.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from flask import Flask, abort, request, send_from_directory

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

FOLDERS: dict[str, str] = json.loads(os.environ["LAKE_FOLDERS"])

application = Flask(__name__, static_folder=None)
# A doubled slash is part of the path that was asked for, not a typing error to be redirected.
application.url_map.merge_slashes = False


@application.get("/")
def root() -> str:
    """Answer that the server is there (Rucio's http protocol asks before it reads)."""
    return "A file server of the embedded lake.\n"


@application.get("/<path:name>")
def file(name: str) -> Response:
    """Send a file, or the range of it that was asked for; 404 for all that is not a file in the folder.

    Rucio's webdav client, asked to read an http (not https) URL, puts the server's address before it a second time
    (`/http://host:port/name`): the second one is taken off.
    """
    name = name.removeprefix(request.host_url)
    folder = FOLDERS.get(request.environ["SERVER_PORT"])
    if folder is None:
        abort(404)
    return send_from_directory(folder, name, conditional=True, etag=True)
