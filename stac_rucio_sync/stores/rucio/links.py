"""Links that the metadata of DIDs name under ``datalinks``, where no trigger keeps them: read from Rucio in turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stac_rucio_sync.model import Did
from stac_rucio_sync.stores.rucio.audit import PLUGINS
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json, in_calls

KEY = "datalinks"


class RucioLinks:
    """Reads the key ``datalinks`` of DIDs through Rucio's JSON plugin.

    Parameters
    ----------
    calls
        The edge to Rucio.
    """

    def __init__(self, calls: RucioCalls) -> None:
        self._calls = calls

    def links(self, dids: Sequence[Did]) -> Mapping[Did, Any]:
        """Return what DIDs say under the key, whatever it is; those that do not have it are left out.

        Raises
        ------
        TransientError, FatalError
            Rucio does not answer properly.
        """
        found = {}
        for call in in_calls(dids):
            for row in self._calls.send("get_metadata_bulk", [did_json(did) for did in call], plugin=PLUGINS["json"]):
                if row.get(KEY) is not None:
                    found[Did(row["scope"], row["name"])] = row[KEY]
        return found
