"""Results as streams: formats, their documents, and the SQL that lets the database write the rows."""

from __future__ import annotations

from obscore_tap.results.compressed import accepts_gzip, gzipped
from obscore_tap.results.formats import FORMATS, Format, negotiate
from obscore_tap.results.votable import error_votable
from obscore_tap.results.writer import Ending, Info

__all__ = ["FORMATS", "Ending", "Format", "Info", "accepts_gzip", "error_votable", "gzipped", "negotiate"]
