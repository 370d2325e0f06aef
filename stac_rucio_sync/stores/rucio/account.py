"""One account at a Rucio server: what all have in common that act as one, whatever they do there."""

from __future__ import annotations

from stac_rucio_sync.errors import RefusedError, UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.calls import RucioCalls, did_json
from stac_rucio_sync.stores.rucio.refusals import DeniedError, ExistsError, MissingError


class RucioAccount:
    """Acts as one account; nothing is read or sent before the first call.

    Parameters
    ----------
    settings
        All settings; ``[rucio]`` is used.
    """

    def __init__(self, settings: Settings) -> None:
        self._calls = RucioCalls(settings.rucio)

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, log-in and repetitions included."""
        return self._calls.requests

    @property
    def account(self) -> str:
        """The name of the account."""
        return self._calls.account

    @property
    def server(self) -> str:
        """Address of the Rucio server."""
        return self._calls.use(lambda client: str(client.host))

    def close(self) -> None:
        """Close all connections."""
        self._calls.close()

    def rses(self, *expressions: str) -> frozenset[str]:
        """Return the RSEs that expressions stand for.

        Raises
        ------
        UsageError
            One stands for none, or is no expression.
        """
        found: set[str] = set()
        for expression in expressions:
            try:
                found |= {str(row["rse"]) for row in self._calls.send("list_rses", expression)}
            except RefusedError as error:
                raise UsageError(f"RSE expression {expression!r}: {error}") from error
        return frozenset(found)

    def ensure_dataset(self, dataset: Did) -> None:
        """Make an open dataset, unless it is there.

        Raises
        ------
        UsageError
            The name stands for something else, or the dataset is closed, or the account may not add DIDs to the scope.
        """
        try:
            self._calls.send("add_dids", [{**did_json(dataset), "type": "DATASET"}])
        except ExistsError:
            said = self._calls.send("get_did", dataset.scope, dataset.name)
            if said["type"] != "DATASET":
                raise UsageError(f"{dataset} is a {said['type'].lower()} in Rucio, not a dataset") from None
            if not said.get("open", True):
                raise UsageError(f"the dataset {dataset} is closed: no file can be attached to it") from None
        except (DeniedError, MissingError) as error:
            raise UsageError(f"the dataset {dataset} cannot be made: {error}") from error
