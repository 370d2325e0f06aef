"""Calls to the storage of an RSE by whichever of its protocols does them, in the RSE's order, again after what passes.

Where the storage answered before and then none of its protocols reaches it, as when its server is started again, it is
waited for; what is refused, and a storage that never was there, is not.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any, Final, TypeVar

from rucio.common import exception as rucio_errors

from stac_rucio_sync.errors import RefusedError
from stac_rucio_sync.http.servers import Servers
from stac_rucio_sync.stores.storage.failures import is_transient, pauses, repeating
from stac_rucio_sync.stores.storage.protocol_objects import Protocol, make_protocol, pfn_at, protocols_for

LOG = logging.getLogger(__name__)

ATTEMPTS: Final = 3
"""How often a protocol is tried with one file, where what it fails with may pass."""
AWAY_SECONDS: Final = 60.0
"""How long a storage is waited for that answered before."""
_DOWN_SECONDS: Final = 20.0
"""How long a protocol that could not be reached is left alone while there is another one, and else tried once only."""

Answer = TypeVar("Answer")
Call = Callable[[Protocol, int], Answer]
"""Is given a connected object of a protocol class, and how often the same was tried by it before."""


class Protocols:
    """The protocols of one RSE, with their connections. Not for several threads at a time: most classes are not.

    Parameters
    ----------
    settings, token, certificates, domain
        As of `rucio_protocols.StorageElement`.
    servers
        What is known of storages, by the name of the RSE; may be shared between threads.
    """

    def __init__(
        self, settings: Mapping[str, Any], token: str | None, certificates: str | None, domain: str, servers: Servers
    ) -> None:
        self.settings: Any = deepcopy(dict(settings))
        self._token = token
        self._certificates = certificates
        self._domain = domain
        self._servers = servers
        self._open: dict[tuple[str, str], Any] = {}
        self._down: dict[str, float] = {}

    @property
    def name(self) -> str:
        """Name of the RSE."""
        return str(self.settings["rse"])

    def close(self) -> None:
        """Close all connections."""
        while self._open:
            _, protocol = self._open.popitem()
            with suppress(Exception):  # whatever a protocol class says while it hangs up
                protocol.close()

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
            except Exception as error:  # noqa: BLE001 - protocol classes are others' code and may raise anything
                failures.append(f"{attributes['scheme']}: {_said(error)}")
        raise self._nobody("write", failures)

    def by_any(
        self, operation: str, call: Call[Answer], *, final: type[Exception], attempts: int = ATTEMPTS,
        patient: bool = False,
    ) -> tuple[Answer, tuple[str, ...]]:  # fmt: skip
        """Call by the first protocol that does it.

        Parameters
        ----------
        operation
            ``read``, ``write`` or ``delete``.
        call
            What is done; it may be done twice.
        final
            What a call raises that no other protocol would change.
        attempts
            Tries by one protocol, where what it fails with may pass.
        patient
            Wait up to `AWAY_SECONDS` for a storage that answered before.

        Returns
        -------
        tuple
            What the call returned, and why protocols that come before did not do it.

        Raises
        ------
        RefusedError
            No protocol did it; the text has the reason of each.
        """
        failing_since: float | None = None
        pause = pauses()
        before: Counter[str] = Counter()
        while True:
            failures: list[str] = []
            away = False
            for attributes in self._ordered(operation, failures):
                try:
                    answer = self._repeatedly(operation, attributes, call, attempts, before)
                except final:
                    raise
                except Exception as error:  # noqa: BLE001 - as in `pfn_of`
                    LOG.info("%s: no %s by %s: %s", self.name, operation, attributes["scheme"], _said(error))
                    failures.append(f"{attributes['scheme']}: {_said(error)}")
                    away = away or is_transient(error)
                else:
                    self._servers.answered(self.name)
                    return answer, tuple(one for one in failures if not one.startswith(f"{attributes['scheme']}: "))
            failing_since = failing_since or time.monotonic()
            if away:
                self._servers.away(self.name)
            if not (away and patient and self._servers.worth_waiting(self.name, failing_since, AWAY_SECONDS)):
                raise self._nobody(operation, failures)
            time.sleep(next(pause))

    def _nobody(self, operation: str, failures: list[str]) -> RefusedError:
        return RefusedError("; ".join(failures) or f"{self.name} has no protocol to {operation} by")

    def _ordered(self, operation: str, failures: list[str]) -> Iterator[dict[str, Any]]:
        """Yield the protocols in their order; one that was not reached lately only where no other one did it."""
        now = time.monotonic()
        found = protocols_for(self.settings, operation, self._domain)
        left_out = [one for one in found if self._down.get(one["scheme"], 0.0) > now]
        for one in found:
            if one in left_out:
                failures.append(f"{one['scheme']}: not reached a moment ago")
            else:
                yield one
        yield from left_out  # it costs its time-out once in a while, not once a file

    def _made(self, operation: str, attributes: dict[str, Any]) -> Protocol:
        return make_protocol(
            self.settings, operation, attributes, self._domain, token=self._token, certificates=self._certificates
        )

    def _repeatedly(
        self, operation: str, attributes: dict[str, Any], call: Call[Answer], attempts: int, before: Counter[str]
    ) -> Answer:
        """Call with a connection, again after what may pass."""
        scheme, tried = attributes["scheme"], 0
        if self._down.get(scheme, 0.0) > time.monotonic():
            attempts = 1
        try:
            for attempt in repeating(attempts):
                tried = attempt.retry_state.attempt_number
                with attempt, self._protocol(operation, attributes) as protocol:
                    answer = call(protocol, before[scheme] + tried - 1)
        except Exception as error:
            before[scheme] += tried
            if before[scheme] > 1:
                error.add_note(f"tried {before[scheme]} times")
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


def _said(error: Exception) -> str:
    text = " ".join(str(error).removeprefix("An unknown exception occurred.").replace("Details:", "").split())
    name = type(error).__name__
    return ", ".join([f"{name}: {text}" if text else name, *getattr(error, "__notes__", ())])
