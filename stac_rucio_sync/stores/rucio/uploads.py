"""Rucio's side of an upload: datasets and rules, replicas from COPYING to AVAILABLE, in bulk and idempotent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from stac_rucio_sync.errors import FatalError, RefusedError, UsageError
from stac_rucio_sync.model import Did, Hashed, Held
from stac_rucio_sync.stores.rucio.account import RucioAccount
from stac_rucio_sync.stores.rucio.answers import SCHEMES, held_of
from stac_rucio_sync.stores.rucio.calls import NEW_FILES_PER_CALL, did_json, in_calls
from stac_rucio_sync.stores.rucio.refusals import DeniedError, ExistsError, MissingError
from stac_rucio_sync.stores.rucio.rules import RULES_PER_CALL

Entry = TypeVar("Entry")

COPYING: Final = "C"
AVAILABLE: Final = "A"
_LETTERS_PER_QUESTION: Final = 3000
"""Web servers commonly take addresses of 4,000 letters."""


class RucioUploads(RucioAccount):
    """Registers uploaded files as one account; for one thread."""

    # ----------------------------------------------------------------------------------------------- where it goes

    def storage(self, rse: str) -> dict[str, Any]:
        """Return what Rucio says of an RSE: its protocols, and how it names files.

        Raises
        ------
        UsageError
            There is none of this name, or it cannot be written to.
        """
        said = self.told_of(rse)
        if not said.get("availability_write", True):
            raise UsageError(f"{rse} is closed for writing")
        if said.get("sign_url"):
            raise UsageError(f"{rse} takes signed addresses only ({said['sign_url']}), which an upload cannot make")
        return said

    def told_of(self, rse: str) -> dict[str, Any]:
        """Return what Rucio says of an RSE, whether or not it can be written to.

        Raises
        ------
        UsageError
            There is none of this name.
        """
        try:
            said: dict[str, Any] = self._calls.send("get_rse", rse)
        except RefusedError as error:
            raise UsageError(f"there is no RSE {rse} in Rucio: {error}") from error
        return said

    def attributes(self, rse: str) -> dict[str, Any]:
        """Return the attributes of an RSE."""
        said: dict[str, Any] = self._calls.send("list_rse_attributes", rse)
        return said

    def login(self) -> tuple[str | None, str | None]:
        """Return the OIDC token that storages may want, if there is one, and the authorities of the configuration."""

        def ask(client: Any) -> tuple[str | None, str | None]:  # noqa: ANN401 - Rucio's client
            token = client.auth_token
            is_jwt = isinstance(token, str) and len(token.split(".")) == 3
            return token if is_jwt else None, client.ca_cert or None

        return self._calls.use(ask)

    def paths(self, rse: str, settings: Mapping[str, Any], dids: Sequence[Did]) -> dict[Did, str]:
        """Ask the server for the places of files below the prefix of a deterministic RSE.

        Raises
        ------
        UsageError
            The server cannot tell.
        """
        protocol = settings["protocols"][0]
        paths: dict[Did, str] = {}
        for call in in_calls(dids, weight=lambda did: len(str(did)) + 5, most=_LETTERS_PER_QUESTION):
            try:
                said = self._calls.send("lfns2pfns", rse, list(map(str, call)), protocol_domain="wan")
            except RefusedError as error:
                raise UsageError(f"Rucio cannot tell where files lie at {rse}: {error}") from error
            for did in call:
                after = said[str(did)].partition("://")[2].partition("/")[2]
                paths[did] = after.lstrip("/").removeprefix(protocol["prefix"].strip("/")).lstrip("/")
        return paths

    # -------------------------------------------------------------------------------------------- before the files

    def ensure_scope(self, scope: str) -> bool:
        """Make a scope of the account's own, unless it is there; tell whether it was made.

        Raises
        ------
        UsageError
            It is not there, and the account may not add it.
        """
        if scope in self._calls.send("list_scopes"):
            return False
        account = self.account
        try:
            self._calls.send("add_scope", account, scope)
        except ExistsError:
            return False
        except RefusedError as error:
            raise UsageError(
                f"there is no scope {scope} in Rucio, and account {account} may not add it: ask for "
                f"`rucio scope add --account {account} {scope}`, or name another with --scope"
            ) from error
        return True

    def may_complete(self, rse: str) -> bool:
        """Tell whether the account may set replicas of an RSE AVAILABLE; Rucio says so before it looks at any."""
        try:
            self._calls.send("update_replicas_states", rse, [])
        except DeniedError:
            return False
        except RefusedError:
            return True  # it does not like that there is none
        return True

    def protect(self, dids: Sequence[Did], rse: str, lifetime: int | None) -> dict[Did, str]:
        """Have a rule of the account's hold DIDs at an RSE; one that is there already is left as it is.

        Parameters
        ----------
        dids
            Datasets or files.
        rse
            Where they are to stay.
        lifetime
            Seconds; None: for good.

        Returns
        -------
        dict
            Why Rucio makes no rule, of those DIDs where it does not.
        """

        def add(call: Sequence[Did]) -> None:
            try:
                self._calls.send("add_replication_rule", list(map(did_json, call)), 1, rse, lifetime=lifetime)
            except ExistsError:
                if len(call) > 1:
                    for did in call:
                        add([did])

        return _each(dids, add, RULES_PER_CALL)

    # --------------------------------------------------------------------------------------------------- the files

    def held(self, dids: Iterable[Did]) -> dict[Did, Held]:
        """Return what Rucio holds of files; those that it does not know are left out."""
        held = {}
        for call in in_calls(dict.fromkeys(dids)):
            asked = [did_json(did) for did in call]
            for file in self._calls.send(
                "list_replicas", asked, schemes=SCHEMES, all_states=True, resolve_archives=False
            ):  # fmt: skip
                held[Did(file["scope"], file["name"])] = held_of(file)
        return held

    def register(self, rse: str, files: Mapping[Did, tuple[Hashed, str | None]], state: str) -> dict[Did, str]:
        """Add replicas in a state.

        Parameters
        ----------
        rse
            Where they are.
        files
            By DID: what they hold, and the PFN where the RSE does not make it itself.
        state
            `COPYING` or `AVAILABLE`.

        Returns
        -------
        dict
            Why Rucio refuses it, of those that it refuses.

        Raises
        ------
        FatalError
            The account may not register there.
        """

        def add(call: Sequence[Did]) -> None:
            try:
                self._calls.send("add_replicas", rse, [_entry(did, *files[did], state) for did in call])
            except DeniedError as error:
                raise FatalError(
                    f"account {self.account} may not add replicas at {rse}: {error}. Rucio's generic rules allow it "
                    "at RSEs whose names end in SCRATCHDISK, LOCALGROUPDISK or USERDISK, and to administrators"
                ) from error

        return _each(list(files), add, NEW_FILES_PER_CALL)

    def make_available(self, rse: str, dids: Sequence[Did]) -> dict[Did, str]:
        """Set replicas AVAILABLE; return why Rucio refuses it, of those that it refuses."""

        def update(call: Sequence[Did]) -> None:
            self._calls.send("update_replicas_states", rse, [{**did_json(did), "state": AVAILABLE} for did in call])

        return _each(dids, update, NEW_FILES_PER_CALL)

    def attach(self, dataset: Did, files: Sequence[Did]) -> dict[Did, str]:
        """Put files into a dataset; return why Rucio refuses it, of those that it refuses."""

        def attach(call: Sequence[Did]) -> None:
            attachment = {**did_json(dataset), "dids": [did_json(did) for did in call]}
            self._calls.send("attach_dids_to_dids", [attachment], ignore_duplicate=True)

        return _each(files, attach, NEW_FILES_PER_CALL)

    def describe(self, metadata: Mapping[Did, Mapping[str, Any]]) -> dict[Did, str]:
        """Set metadata of DIDs, beside what they have; return why Rucio refuses it, of those that it refuses."""

        def describe(call: Sequence[Did]) -> None:
            self._calls.send(
                "set_dids_metadata_bulk", [{**did_json(did), "meta": dict(metadata[did])} for did in call]
            )  # fmt: skip

        return _each(list(metadata), describe, NEW_FILES_PER_CALL)

    def withdraw(self, rse: str, dids: Sequence[Did]) -> dict[Did, str]:
        """Take replicas that never became available out of the catalogue; return why not, of those that stay."""

        def delete(call: Sequence[Did]) -> None:
            try:
                self._calls.send("delete_replicas", rse, [did_json(did) for did in call])
            except MissingError:
                if len(call) > 1:
                    raise  # some are gone already, and Rucio then deletes none

        return _each(dids, delete, NEW_FILES_PER_CALL)


def _entry(did: Did, hashed: Hashed, pfn: str | None, state: str) -> dict[str, Any]:
    entry = {**did_json(did), "bytes": hashed.bytes, "adler32": hashed.adler32, "md5": hashed.md5, "state": state}
    return entry if pfn is None else entry | {"pfn": pfn}


def _each(entries: Sequence[Entry], call: Callable[[Sequence[Entry]], None], most: int) -> dict[Entry, str]:
    """Make a bulk call on all entries, in smaller ones where it is refused; return the refusals of single entries."""
    refused: dict[Entry, str] = {}

    def attempt(part: Sequence[Entry]) -> None:
        try:
            call(part)
        except RefusedError as error:
            if len(part) == 1:
                refused[part[0]] = str(error)
                return
            attempt(part[: len(part) // 2])
            attempt(part[len(part) // 2 :])

    for part in in_calls(entries, most=most):
        attempt(part)
    return refused
