"""Make Rucio hold what a JSON file says, with passwords from the environment: ``prepare.py FILE``.

The file is what the embedded lake's ``bootstrap.py`` reads (accounts, rses, distances, origins, limits); ``$NAME`` in a
value stands for a variable of the environment, and one that is missing or empty is an error.
"""

from __future__ import annotations

import io
import json
import os
import string
import sys
from pathlib import Path
from typing import Any


def filled(value: Any, environment: dict[str, str]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with the variables in its strings replaced.

    Raises
    ------
    KeyError
        A variable is not set, or empty: an account without a password would be open to everybody.
    """
    if isinstance(value, dict):
        return {key: filled(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, environment) for inner in value]
    if isinstance(value, str):
        return string.Template(value).substitute({name: text for name, text in environment.items() if text})
    return value


def main() -> None:
    """Read the file, and hand it to the set-up."""
    try:
        wanted = filled(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), dict(os.environ))
    except KeyError as missing:
        sys.exit(f"prepare: the environment lacks {missing.args[0]}")
    import bootstrap  # noqa: PLC0415 - it needs Rucio's server, which is only there in the image

    sys.stdin = io.StringIO(json.dumps(wanted))
    bootstrap.main()
    print(f"Rucio holds what {sys.argv[1]} says")  # noqa: T201 - the log of a container


if __name__ == "__main__":
    main()
