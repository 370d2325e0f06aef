"""The storage of an RSE, written and looked at through Rucio's own protocol classes.

Whatever protocol Rucio's client library has is there; the RSE's settings say in which order they are tried. A file is
sent under a name of its own (``PFN.rucio.upload``, as Rucio's client does) and gets its true one when the storage
shows what was sent. Nothing here talks to the Rucio server, so that it also works where nobody is logged in.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from rucio.common import exception as rucio_errors

from stac_rucio_sync.errors import RefusedError, SyncError
from stac_rucio_sync.http.servers import Servers
from stac_rucio_sync.model import Did, Hashed
from stac_rucio_sync.model.storage import UNFINISHED
from stac_rucio_sync.stores.storage.protocol_calls import ATTEMPTS, Protocols
from stac_rucio_sync.stores.storage.protocol_objects import Protocol, path_by_rule, pfn_at


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
    servers
        What is known of storages, where several threads have one.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        token: str | None = None,
        certificates: str | None = None,
        domain: str = "wan",
        servers: Servers | None = None,
    ) -> None:
        self._protocols = Protocols(settings, token, certificates, domain, servers or Servers())

    @property
    def name(self) -> str:
        """Name of the RSE."""
        return self._protocols.name

    def close(self) -> None:
        """Close all connections."""
        self._protocols.close()

    # ------------------------------------------------------------------------------------------------------ sending

    def put(self, file: Path, path: str, expected: Callable[[], Hashed], *, may_be_there: bool = False) -> Put:
        """Bring a file to its place, by the first protocol that takes it; a storage that goes away is waited for.

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

        (pfn, again), passed_over = self._protocols.by_any("write", put, final=SyncError, patient=True)
        return Put(pfn, passed_over, again)

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
            return not certain and self._protocols.settings.get("verify_checksum") is False
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

        try:
            self._protocols.by_any("delete", delete, final=rucio_errors.SourceNotFound, attempts=attempts)
        except rucio_errors.SourceNotFound:
            return False
        return True

    def path_of(self, did: Did) -> str | None:
        """Return the place of a file below the prefix by the RSE's own rule; None: the rule is not known here."""
        return path_by_rule(self._protocols.settings, did)

    def pfn_of(self, path: str) -> str:
        """Return the PFN of a place, as the first protocol for writing has it.

        Raises
        ------
        RefusedError
            There is none that can be used here.
        """
        return self._protocols.pfn_of(path)


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
