"""The one edge to the Rucio server: log-in, repetitions, time-outs, the translation of errors, the size of calls."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential, wait_random

from stac_rucio_sync.errors import FatalError, RefusedError, SyncError, TransientError
from stac_rucio_sync.settings import Rucio
from stac_rucio_sync.stores.rucio.refusals import FaultError

if TYPE_CHECKING:
    from stac_rucio_sync.stores.rucio.client import LakeClient

#: More DIDs in one call are refused by Rucio's schemas.
DIDS_PER_CALL = 1000
#: Registration costs the server more than linearly: 1,000 new files take half as long again in one call as in two.
NEW_FILES_PER_CALL = 500
#: What web servers in front of Rucio commonly let pass.
BYTES_PER_CALL = 4_000_000
#: Seconds before a transient failure is met with another try; each further pause is twice as long.
FIRST_PAUSE = 0.5

Entry = TypeVar("Entry")
Answer = TypeVar("Answer")

# Rucio's client reads its configuration through the process's environment: one log-in at a time in a process.
_LOGIN = threading.Lock()


class RucioCalls:
    """Sends verbs of Rucio's client, from any number of threads.

    Parameters
    ----------
    settings
        The ``[rucio]`` section.

    Notes
    -----
    Nothing is imported, read or sent before the first call. Every verb that is sent must be idempotent: an answer
    that got lost is asked for again.
    """

    def __init__(self, settings: Rucio) -> None:
        self._settings = settings
        self._here = threading.local()
        self._clients: list[LakeClient] = []
        self._count_lock = threading.Lock()
        self._requests = 0

    @property
    def requests(self) -> int:
        """HTTP requests sent so far, log-in and repetitions included."""
        return self._requests

    @property
    def clock(self) -> datetime:
        """The server's time when it last answered this thread (UTC, whole seconds); ours where it did not say."""
        return self._client().answered or datetime.now(UTC)

    @property
    def account(self) -> str:
        """The account that we act as."""
        named = self._repeatedly(lambda: self._client().account)
        return str(named or self.send("whoami")["account"])

    def send(self, verb: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as Rucio's client has it
        """Call a method of Rucio's client, again after a back-off where the failure is transient.

        Parameters
        ----------
        verb
            Name of the method (``add_replicas``).
        arguments, options
            Its arguments.

        Returns
        -------
        Any
            What the method returns; a streamed answer is read to its end, for a connection may break there too.

        Raises
        ------
        TransientError
            Still failing after ``[rucio] attempts``.
        RefusedError
            Rucio refused the call for something in it: `DeniedError`, `MissingError` and `ExistsError` say why.
        FatalError
            Wrong credentials or configuration, or an RSE that is closed for writing.
        """
        return self._repeatedly(lambda: self._call(verb, arguments, options))

    def send_once(self, verb: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as in `send`
        """Call a method as `send` does, but do not repeat it: for answers that may break off for a reason."""
        return self._call_once(lambda: self._call(verb, arguments, options))

    def use(self, call: Callable[[LakeClient], Answer]) -> Answer:
        """Let something use Rucio's client itself (its downloads do), once; errors are those of `send`."""
        return self._call_once(lambda: call(self._client()))

    def _call(self, verb: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:  # noqa: ANN401 - as in `send`
        answer = getattr(self._client(), verb)(*arguments, **options)
        return list(answer) if isinstance(answer, Iterator) else answer

    def feed(self, verb: str, *arguments: Any, take: Callable[[Any], None], **options: Any) -> None:  # noqa: ANN401 - as in `send`
        """Call a method whose answer may be longer than memory, and give its entries away as they come.

        Parameters
        ----------
        verb, arguments, options
            As of `send`.
        take
            Takes one entry; where a connection broke, the entries come again from the first.

        Raises
        ------
        TransientError, RefusedError, FatalError
            As of `send`.
        """

        def call() -> None:
            client = self._client()
            client.streaming = True
            try:
                for entry in getattr(client, verb)(*arguments, **options):
                    take(entry)
            finally:
                client.streaming = False

        self._repeatedly(call)

    def _repeatedly(self, call: Callable[[], Answer]) -> Answer:
        repeated = Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(self._settings.attempts),
            wait=wait_exponential(multiplier=FIRST_PAUSE, max=30) + wait_random(0, FIRST_PAUSE),
            reraise=True,
        )
        try:
            answer: Answer = repeated(self._call_once, call)
        except TransientError as error:
            raise TransientError(f"{error} ({self._configuration()} names the server)") from error
        return answer

    def _call_once(self, call: Callable[[], Answer]) -> Answer:
        try:
            return _translating(call)
        except FaultError as fault:
            try:
                _translating(self._client().whoami)
            except RefusedError:
                raise TransientError(f"the Rucio server is unwell: {fault}") from fault
            raise

    def _client(self) -> LakeClient:
        client: LakeClient | None = getattr(self._here, "client", None)
        if client is None:
            with _LOGIN:
                client = self._log_in()
            self._here.client = client
            self._clients.append(client)
        return client

    def _log_in(self) -> LakeClient:
        with _configured(self._settings.config):
            try:
                from stac_rucio_sync.stores.rucio.client import make_client  # noqa: PLC0415 - imported when used
            except Exception as error:
                raise FatalError(f"Rucio's client cannot be loaded: {' '.join(str(error).split())}") from error
            try:
                return _translating(lambda: make_client(self._settings, self._sending))
            except FatalError as error:
                raise FatalError(f"{error} ({self._configuration()} names server, account and log-in)") from error

    def _configuration(self) -> str:
        file = self._settings.config or os.environ.get("RUCIO_CONFIG")
        return str(file) if file else "Rucio's own rucio.cfg, as neither [rucio] config nor RUCIO_CONFIG is set,"

    def _sending(self) -> None:
        with self._count_lock:
            self._requests += 1

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._clients:
            self._clients.pop().session.close()
        self._here = threading.local()


@contextmanager
def _configured(file: Path | None) -> Iterator[None]:
    """Let Rucio's client read ``file``, also while it is imported: it looks nowhere but in the environment."""
    former = os.environ.get("RUCIO_CONFIG")
    if file is not None:
        os.environ["RUCIO_CONFIG"] = str(file)
    try:
        yield
    finally:
        if file is not None and former is None:
            del os.environ["RUCIO_CONFIG"]
        elif file is not None:
            os.environ["RUCIO_CONFIG"] = str(former)


def _translating(call: Callable[[], Answer]) -> Answer:
    try:
        return call()
    except SyncError:
        raise
    except Exception as error:
        from stac_rucio_sync.stores.rucio.client import translated  # noqa: PLC0415 - Rucio is imported when used

        ours = translated(error)
        if ours is None:
            raise
        raise ours from error


def in_calls(
    entries: Iterable[Entry],
    weight: Callable[[Entry], int] = lambda _: 1,
    size: Callable[[Entry], int] = lambda _: 0,
    most: int = DIDS_PER_CALL,
) -> Iterator[list[Entry]]:
    """Cut entries into calls of at most ``most`` DIDs and about `BYTES_PER_CALL`, in order.

    Parameters
    ----------
    entries
        What the calls carry; one entry is never cut.
    weight
        DIDs in an entry.
    size
        Bytes of an entry.
    most
        DIDs in a call.
    """
    call: list[Entry] = []
    dids = octets = 0
    for entry in entries:
        more_dids, more_octets = weight(entry), size(entry)
        if call and (dids + more_dids > most or octets + more_octets > BYTES_PER_CALL):
            yield call
            call, dids, octets = [], 0, 0
        call.append(entry)
        dids += more_dids
        octets += more_octets
    if call:
        yield call


def did_json(did: Any) -> dict[str, str]:  # noqa: ANN401 - anything with a scope and a name
    """Return a DID as Rucio's REST interface writes it."""
    return {"scope": did.scope, "name": did.name}
