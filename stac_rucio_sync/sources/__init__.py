"""Where items come from: STAC APIs, static catalogues and files, behind one small protocol."""

from stac_rucio_sync.sources.opening import names_of, open_source
from stac_rucio_sync.sources.protocol import Kind, Reading, ReadOptions, Source

__all__ = ["Kind", "ReadOptions", "Reading", "Source", "names_of", "open_source"]
