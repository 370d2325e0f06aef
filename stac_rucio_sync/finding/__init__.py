"""A client of an archive that runs these services, for people with a laptop and no Rucio account.

>>> from stac_rucio_sync.finding import Archive
>>> archive = Archive("https://archive.example.org")
>>> found = archive.query("SELECT TOP 5 * FROM ivoa.obscore WHERE dataproduct_type = 'image'")  # doctest: +SKIP
>>> files = found.nearest(site="vienna").fetch("copies")  # doctest: +SKIP

The same from a STAC search: ``archive.search("https://stac.example.org/v1", collections=["images"], bbox=...)``.
"""

from stac_rucio_sync.finding.archive import Archive, Found
from stac_rucio_sync.finding.copies import Copies, Copy, Got, Nearest

__all__ = ["Archive", "Copies", "Copy", "Found", "Got", "Nearest"]
