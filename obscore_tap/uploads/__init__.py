"""Tables that a query brings with it (TAP 1.1 section 2.7.6, DALI 1.1 section 3.4.5)."""

from __future__ import annotations

from obscore_tap.uploads.load import Uploads
from obscore_tap.uploads.requests import Upload, UploadLimits, labels

__all__ = ["Upload", "UploadLimits", "Uploads", "labels"]
