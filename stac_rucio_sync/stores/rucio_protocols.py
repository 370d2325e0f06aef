"""The storage of an RSE, written and looked at through Rucio's own protocol classes.

Whatever protocol Rucio's client library has is there; the RSE's settings say in which order they are tried. A file is
sent under a name of its own (``PFN.rucio.upload``, as Rucio's client does) and gets its true one when the storage
shows what was sent. Nothing here talks to the Rucio server, so that it also works where nobody is logged in.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from rucio.common import exception as rucio_errors

from stac_rucio_sync.errors import RefusedError, SyncError
from stac_rucio_sync.model import Did, Hashed
from stac_rucio_sync.model.storage import UNFINISHED
from stac_rucio_sync.stores.protocol_objects import Protocol, make_protocol, path_by_rule, pfn_at, protocols_for
from stac_rucio_sync.stores.storage_failures import repeating

LOG = logging.getLogger(__name__)

ATTEMPTS: Final = 3
"""How often a protocol is tried with one file, where what it fails with may pass."""
_DOWN_SECONDS: Final = 20.0
"""How long a protocol that could not be reached is left alone while there is another one, and else tried once only."""

Answer = TypeVar("Answer")


class DamagedError(Exception):
    """What arrived is not what was sent."""


class Put(NamedTuple):
    """A file that arrived."""

    pfn: str
    """The address that it was written to."""
    passed_over: tuple[str, ...]
    """Why protocols that come before in the RSE's order did not take it."""
    again: int
    """How often it was sent again after a failure that passes."""


class StorageElement:
    """The storage of one RSE. Not for several threads at a time: most protocol classes are not.

    Parameters
    ----------
    settings
        What Rucio says of the RSE (its ``get_rse``).
    token
        A token of OIDC that the storage wants, if any.
    certificates
        File or folder of the authorities that vouch for the storage; None: the usual ones.
    domain
        ``wan`` or ``lan``: as seen from where.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        token: str | None = None,
        certificates: str | None = None,
        domain: str = "wan",
    ) -> None:
        self._settings: Any = deepcopy(dict(settings))
        self._token = token
        self._certificates = certificates
        self._domain = domain
        self._open: dict[tuple[str, str], Any] = {}
        self._down: dict[str, float] = {}

    @property
    def name(self) -> str:
        """Name of the RSE."""
        return str(self._settings["rse"])

    def close(self) -> None:
        """Close all connections."""
        while self._open:
            _, protocol = self._open.popitem()
            with suppress(Exception):  # whatever a protocol class says while it hangs up
                protocol.close()

    # ------------------------------------------------------------------------------------------------------ sending

    def put(self, file: Path, path: str, expected: Callable[[], Hashed], *, may_be_there: bool = False) -> Put:
        """Bring a file to its place, by the first protocol that takes it.

        Each has up to `ATTEMPTS` tries where what it fails with may pass.

        Parameters
        ----------
        file
            What is sent.
        path
            Its place below the RSE's prefix.
        expected
            Tells what the storage must show afterwards; asked when everything is sent.
        may_be_there
            An earlier attempt may have come to its end: look first.

        Returns
        -------
        Put
            The PFN that it was written to, and why protocols that come before did not take it.

        Raises
        ------
        RefusedError
            No protocol took it; the text has the reason of each.
        """

        def put(protocol: Protocol, before: int) -> tuple[str, int]:
            return self._put_by(protocol, file, path, expected, may_be_there=may_be_there or before > 0), before

        failures: list[str] = []
        for attributes in self._ordered("write", failures):
            try:
                pfn, again = self._repeatedly("write", attributes, put)
                return Put(pfn, tuple(failures), again)
            except SyncError:
                raise  # about the file itself
            except Exception as error:  # noqa: BLE001 - protocol classes are others' code and may raise anything
                scheme = attributes["scheme"]
                LOG.info("%s: %s did not take %s: %s", self.name, scheme, path, _said(error))
                failures.append(f"{scheme}: {_said(error)}")
        raise RefusedError("; ".join(failures) or f"{self.name} has no protocol to write by")

    def _put_by(
        self, protocol: Protocol, file: Path, path: str, expected: Callable[[], Hashed], *, may_be_there: bool
    ) -> str:
        pfn = pfn_at(protocol, path)
        if may_be_there and self._shows(protocol, pfn, expected(), certain=True):
            return pfn
        suffix = UNFINISHED if protocol.renaming else ""
        at = pfn + suffix
        if not protocol.renaming and may_be_there:
            self._clear(path)
        self._send(protocol, file, at, path + suffix)
        whole = False
        try:
            whole = self._shows(protocol, at, expected())
        finally:
            if not whole:
                self._clear(path + suffix)
        if not whole:
            raise DamagedError("another size or checksum arrived than was sent")
        if protocol.renaming:
            self._rename(protocol, at, pfn, path, expected())
        _give_to_owner(protocol, pfn)
        return pfn

    def _send(self, protocol: Protocol, file: Path, pfn: str, path: str) -> None:
        _make_local_folders(protocol, pfn)
        try:
            protocol.put(str(file), pfn, None)
        except (rucio_errors.FileReplicaAlreadyExists, rucio_errors.SourceNotFound):
            if not file.exists():
                raise
            # Something of an attempt that was cut short is in the way; or a folder is missing: there a WebDAV server
            # says 409 too (RFC 4918 section 9.7.1), and Rucio's class takes that for a file that is there.
            if not self._clear(path):
                if not hasattr(protocol, "mkdir"):
                    raise
                self._make_folders(protocol, pfn)
            protocol.put(str(file), pfn, None)

    def _make_folders(self, protocol: Protocol, pfn: str) -> None:
        prefix = pfn_at(protocol, "")
        folder = prefix.rstrip("/")
        for part in pfn.removeprefix(prefix).split("/")[:-1]:
            folder = f"{folder}/{part}"
            protocol.mkdir(folder)

    def _rename(self, protocol: Protocol, at: str, pfn: str, path: str, hashed: Hashed) -> None:
        try:
            protocol.rename(at, pfn)
        except Exception:
            if not _is_there(protocol, pfn):
                raise
            if not _is_there(protocol, at):
                # It was renamed and the answer got lost, or another attempt at the same file did it.
                if self._shows(protocol, pfn, hashed):
                    return
                raise
            # Of an attempt that was cut short, or of nobody: the name belongs to this file alone.
            self.delete(path)
            protocol.rename(at, pfn)

    def _clear(self, path: str) -> bool:
        """Delete a file, if it is there and can be deleted; tell whether it was."""
        with suppress(RefusedError):
            return self._delete(path, attempts=1)
        return False

    def _shows(self, protocol: Protocol, pfn: str, hashed: Hashed, *, certain: bool = False) -> bool:
        """Tell whether the storage shows a file of these bytes; ``certain``: by a checksum, the size is no proof."""
        try:
            shown = protocol.stat(pfn)
        except NotImplementedError:
            return not certain and self._settings.get("verify_checksum") is False
        except Exception:  # noqa: BLE001 - as in `put`
            if certain:
                return False
            time.sleep(1.0)  # some storages take a moment before they show what they hold
            shown = protocol.stat(pfn)
        sums = [shown[kind] == getattr(hashed, kind) for kind in ("adler32", "md5") if shown.get(kind)]
        size = shown.get("filesize")
        return all(sums) and (size is None or int(size) == hashed.bytes) and (bool(sums) or not certain)

    # ---------------------------------------------------------------------------------------------------- the rest

    def delete(self, path: str) -> bool:
        """Delete a file; tell whether it was there.

        Raises
        ------
        RefusedError
            No protocol can.
        """
        return self._delete(path)

    def _delete(self, path: str, attempts: int = ATTEMPTS) -> bool:
        def delete(protocol: Protocol, _before: int) -> None:
            protocol.delete(pfn_at(protocol, path))

        failures: list[str] = []
        for attributes in self._ordered("delete", failures):
            try:
                self._repeatedly("delete", attributes, delete, attempts)
            except rucio_errors.SourceNotFound:
                return False
            except Exception as error:  # noqa: BLE001 - as in `put`
                failures.append(f"{attributes['scheme']}: {_said(error)}")
            else:
                return True
        raise RefusedError("; ".join(failures) or f"{self.name} has no protocol to delete by")

    def path_of(self, did: Did) -> str | None:
        """Return the place of a file below the prefix by the RSE's own rule; None: the rule is not known here."""
        return path_by_rule(self._settings, did)

    def pfn_of(self, path: str) -> str:
        """Return the PFN of a place, as the first protocol for writing has it.

        Raises
        ------
        RefusedError
            There is none that can be used here.
        """
        failures: list[str] = []
        for attributes in self._ordered("write", failures):
            try:
                return pfn_at(self._made("write", attributes), path)
            except Exception as error:  # noqa: BLE001 - as in `put`
                failures.append(f"{attributes['scheme']}: {_said(error)}")
        raise RefusedError("; ".join(failures) or f"{self.name} has no protocol to write by")

    # -------------------------------------------------------------------------------------------------- protocols

    def _ordered(self, operation: str, failures: list[str]) -> Iterator[dict[str, Any]]:
        """Yield the protocols in their order; one that was not reached lately only where no other one did it."""
        now = time.monotonic()
        found = protocols_for(self._settings, operation, self._domain)
        left_out = [one for one in found if self._down.get(one["scheme"], 0.0) > now]
        for one in found:
            if one in left_out:
                failures.append(f"{one['scheme']}: not reached a moment ago")
            else:
                yield one
        yield from left_out  # it costs its time-out once in a while, not once a file

    def _made(self, operation: str, attributes: dict[str, Any]) -> Protocol:
        return make_protocol(
            self._settings, operation, attributes, self._domain, token=self._token, certificates=self._certificates
        )

    def _repeatedly(
        self, operation: str, attributes: dict[str, Any], call: Callable[[Protocol, int], Answer],
        attempts: int = ATTEMPTS,
    ) -> Answer:  # fmt: skip
        """Call with a connection, again after what may pass; ``call`` is told how often it was called before."""
        scheme, before = attributes["scheme"], 0
        if self._down.get(scheme, 0.0) > time.monotonic():
            attempts = 1
        try:
            for attempt in repeating(attempts):
                before = attempt.retry_state.attempt_number - 1
                with attempt, self._protocol(operation, attributes) as protocol:
                    answer = call(protocol, before)
        except Exception as error:
            if before:
                error.add_note(f"tried {before + 1} times")
            raise
        self._down.pop(scheme, None)
        return answer

    @contextmanager
    def _protocol(self, operation: str, attributes: dict[str, Any]) -> Iterator[Protocol]:
        key = (operation, attributes["scheme"])
        protocol = self._open.get(key)
        if protocol is None:
            protocol = self._made(operation, attributes)
            try:
                protocol.connect()
            except Exception:
                self._down[attributes["scheme"]] = time.monotonic() + _DOWN_SECONDS
                raise
            self._open[key] = protocol
        try:
            yield protocol
        except (rucio_errors.ServiceUnavailable, OSError):
            self._open.pop(key, None)
            self._down[attributes["scheme"]] = time.monotonic() + _DOWN_SECONDS
            raise


def _is_there(protocol: Protocol, pfn: str) -> bool:
    """Tell whether a file is there; not by ``exists``, for which the WebDAV class reads the whole of it."""
    try:
        protocol.stat(pfn)
    except NotImplementedError:
        return bool(protocol.exists(pfn))
    except Exception:  # noqa: BLE001 - as in `StorageElement.put`
        return False
    return True


def _make_local_folders(protocol: Protocol, pfn: str) -> None:
    """Make the folders of a file on this machine as their owner's: root may upload where a server goes on writing."""
    if protocol.attributes["scheme"] != "file" or os.geteuid() != 0:
        return
    folder = Path(protocol.pfn2path(pfn)).parent
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        _own_as(one, one.parent)


def _give_to_owner(protocol: Protocol, pfn: str) -> None:
    if protocol.attributes["scheme"] == "file" and os.geteuid() == 0:
        file = Path(protocol.pfn2path(pfn))
        _own_as(file, file.parent)


def _own_as(path: Path, other: Path) -> None:
    owner = other.stat()
    os.chown(path, owner.st_uid, owner.st_gid)


def _said(error: Exception) -> str:
    text = " ".join(str(error).removeprefix("An unknown exception occurred.").replace("Details:", "").split())
    name = type(error).__name__
    return ", ".join([f"{name}: {text}" if text else name, *getattr(error, "__notes__", ())])
