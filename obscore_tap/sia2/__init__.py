"""Simple Image Access 2.0 on ``ivoa.obscore``: parameters become ADQL, which goes the way of every query."""

from __future__ import annotations

from obscore_tap.sia2.service import blueprint

__all__ = ["blueprint"]
