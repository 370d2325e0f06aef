"""A Rucio policy package: who may keep origin RSEs and upload files, and where files lie.

It imports Rucio's server and nothing else, so that it can be put on any server's ``PYTHONPATH``::

    [policy]
    package = rucio_policy
    permission = generic
    schema = generic
"""

from __future__ import annotations

from rucio_policy.algorithms import get_algorithms

__all__ = ["SUPPORTED_VERSION", "get_algorithms"]

#: Versions of Rucio that this package is written for; the server refuses to start with another.
SUPPORTED_VERSION = [">=41,<42"]
