"""Rucio's side of an audit of storage: names and replicas in bulk, what stands around a file, and what mends them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from stac_rucio_sync.errors import RefusedError, UsageError
from stac_rucio_sync.model import Did
from stac_rucio_sync.model.storage import Elsewhere, RseReplica
from stac_rucio_sync.settings import Settings
from stac_rucio_sync.stores.rucio.account import RucioAccount
from stac_rucio_sync.stores.rucio.answers import SCHEMES
from stac_rucio_sync.stores.rucio.calls import did_json, in_calls
from stac_rucio_sync.stores.rucio.refusals import MissingError
from stac_rucio_sync.stores.rucio.uploads import RucioUploads

_AT_A_TIME: Final = 1000
"""Names that are given away together."""


class RucioConsistency(RucioAccount):
    """Looks at Rucio with any account that may read, and mends with one that may; for one thread.

    Parameters
    ----------
    settings
        All settings; ``[rucio]`` is used. Nothing is read or sent before the first call.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._uploads = RucioUploads(settings)
        self._prefixes: dict[str, list[tuple[str, str]]] = {}
        self._described: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        """Close all connections."""
        super().close()
        self._uploads.close()

    # ------------------------------------------------------------------------------------------------------ the RSEs

    def described(self, rse: str) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Return what Rucio says of an RSE (protocols, naming), and its attributes."""
        settings: dict[str, Any] = self._calls.send("get_rse", rse)
        attributes: Mapping[str, Any] = self._calls.send("list_rse_attributes", rse)
        self._prefixes[rse] = prefixes_of(settings)
        self._described[rse] = settings
        return settings, attributes

    def login(self) -> tuple[str | None, str | None]:
        """Return the OIDC token that storages may want, if there is one, and the authorities of the configuration."""
        return self._uploads.login()

    # ----------------------------------------------------------------------------------------------------- the files

    def scopes(self) -> list[str]:
        """Return all scopes."""
        return sorted(self._calls.send("list_scopes"))

    def names(self, scope: str, take: Callable[[list[Did]], None]) -> None:
        """Give away the names of all files of a scope, some at a time; some come again after a broken connection."""
        self._gathered(take, "list_dids", scope, [{}], did_type="file", to=lambda name: Did(scope, name))

    def files_below(self, did: Did, take: Callable[[list[Did]], None]) -> None:
        """Give away the files below a collection, as `names` does; a file is its own.

        Raises
        ------
        UsageError
            Rucio does not know the DID.
        """
        try:
            self._gathered(
                take, "list_files", did.scope, did.name, to=lambda row: Did(str(row["scope"]), str(row["name"]))
            )
        except MissingError as error:
            raise UsageError(f"there is no {did} in Rucio") from error

    def _gathered(
        self,
        take: Callable[[list[Did]], None],
        verb: str,
        *arguments: Any,  # noqa: ANN401 - as in `RucioCalls.send`
        to: Callable[[Any], Did],
        **options: Any,  # noqa: ANN401
    ) -> None:
        gathered: list[Did] = []

        def one(row: Any) -> None:  # noqa: ANN401 - a line of Rucio's answer
            gathered.append(to(row))
            if len(gathered) == _AT_A_TIME:
                take(gathered)
                gathered.clear()

        self._calls.feed(verb, *arguments, take=one, **options)
        take(gathered)

    def replicas(self, dids: Iterable[Did], rses: Sequence[str], since: datetime | None = None) -> list[RseReplica]:
        """Return the replicas of files at some RSEs, in every state: one call for 1,000 files.

        Parameters
        ----------
        dids
            The files; one that Rucio does not know has no replica.
        rses
            Names of RSEs that were `described`.
        since
            Only replicas whose state changed since then (by Rucio's clock), or that are newer.
        """
        found: list[RseReplica] = []
        more = {} if since is None else {"updated_after": since.astimezone(UTC)}
        for call in in_calls(dict.fromkeys(dids)):
            for row in self._calls.send(
                "list_replicas",
                [did_json(did) for did in call],
                schemes=SCHEMES,
                all_states=True,
                rse_expression="|".join(rses),
                domain="all",
                resolve_archives=False,
                **more,
            ):
                did = Did(row["scope"], row["name"])
                for rse, state in row.get("states", {}).items():
                    path = self._path(did, rse, row["rses"].get(rse, ()))
                    found.append(RseReplica(did, rse, state, path, row["bytes"], row["adler32"], row["md5"]))
        return found

    def _path(self, did: Did, rse: str, pfns: Iterable[str]) -> str | None:
        paths = (path_below(pfn, self._prefixes[rse]) for pfn in pfns)
        found = next((path for path in paths if path is not None), None)
        if found is not None:
            return found
        # Rucio shows addresses of protocols for reading only.
        from stac_rucio_sync.stores.storage.protocol_objects import path_by_rule  # noqa: PLC0415 - Rucio is imported when used

        return path_by_rule(self._described[rse], did)

    def elsewhere(self, dids: Iterable[Did]) -> dict[Did, Elsewhere]:
        """Return where else files are, and in what; files that Rucio does not know are left out."""
        found = {}
        for call in in_calls(dict.fromkeys(dids)):
            for row in self._calls.send(
                "list_replicas",
                [did_json(did) for did in call],
                schemes=SCHEMES,
                all_states=True,
                resolve_archives=False,
                resolve_parents=True,
            ):
                states = row.get("states", {})
                available, away = (
                    tuple(sorted(rse for rse, state in states.items() if state == wanted))
                    for wanted in ("AVAILABLE", "TEMPORARY_UNAVAILABLE")
                )
                found[Did(row["scope"], row["name"])] = Elsewhere(
                    available, away, frozenset(states), tuple(sorted(row.get("parents", ())))
                )
        return found

    def rule_on(self, did: Did) -> str | None:
        """Return the account of a rule that covers a file; None: there is none."""
        try:
            rules = self._calls.send("list_associated_rules_for_file", did.scope, did.name)
        except MissingError:
            return None
        return next((str(rule["account"]) for rule in rules), None)

    # ------------------------------------------------------------------------------------------------------- mending

    def declare_bad(self, rse: str, dids: Sequence[Did], reason: str) -> dict[Did, str]:
        """Declare replicas bad; return why not, of those that Rucio does not take.

        A replica that was declared bad before, and mended by something else than Rucio's recovery, is taken, too.
        """
        refused: dict[Did, str] = {}
        for call in in_calls(dids):
            asked = [{**did_json(did), "rse": rse} for did in call]
            try:
                self._calls.send("declare_bad_file_replicas", asked, reason, force=True)
            except RefusedError as error:
                refused.update(dict.fromkeys(call, str(error)))
        return refused

    def withdraw(self, rse: str, dids: Sequence[Did]) -> dict[Did, str]:
        """Take replicas out of the catalogue; return why not, of those that stay."""
        return self._uploads.withdraw(rse, dids)

    def make_available(self, rse: str, dids: Sequence[Did]) -> dict[Did, str]:
        """Set replicas AVAILABLE; return why Rucio refuses it, of those that it refuses."""
        return self._uploads.make_available(rse, dids)


def prefixes_of(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the schemes and prefixes of an RSE's protocols, the longest prefix first."""
    found = {(str(one["scheme"]), _collapsed(f"/{one['prefix']}/")) for one in settings["protocols"]}
    return sorted(found, key=lambda one: (-len(one[1]), one))


def path_below(address: str, prefixes: Iterable[tuple[str, str]]) -> str | None:
    """Return the path of an address below the prefix of a protocol of its scheme; None: it is below none.

    Rucio collapses doubled slashes when it reads an address, and so does this. What a signature adds is cut off; of the
    addresses of SRM, the path after ``?SFN=`` counts.
    """
    scheme, _, rest = address.partition("://")
    path = rest.partition("?SFN=")[2] if "?SFN=" in rest else urlsplit(f"x://{rest}").path
    path = _collapsed(f"/{path}")
    for known, prefix in prefixes:
        if scheme == known and path.startswith(prefix) and path != prefix:
            return path[len(prefix) :]
    return None


def _collapsed(path: str) -> str:
    while "//" in path:
        path = path.replace("//", "/")
    return path
