"""The one HTTP edge of the sources and of sizes: time-outs, retries, refusal of private addresses, our errors."""

from stac_rucio_sync.http.edge import Http, Patience
from stac_rucio_sync.http.outcomes import TRANSIENT_STATUS, PrivateAddress, RefusedAnswer, parse_json
from stac_rucio_sync.http.servers import STRIKES

__all__ = ["STRIKES", "TRANSIENT_STATUS", "Http", "Patience", "PrivateAddress", "RefusedAnswer", "parse_json"]
