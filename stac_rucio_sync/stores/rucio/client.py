"""Rucio's own client, made safe for a library: the only module that imports ``rucio``.

It is imported when the first request is due and not before (half a second, and Rucio reads its configuration then).
Rucio's client finds its configuration through the environment, keeps tokens per operating-system user, rewrites
``sys.argv`` and prints; all of that is confined here. What it prints in our calls goes to the log, and nothing that is
everybody's (``sys.stdout``) is changed for that: other threads may be printing a report meanwhile.
"""

from __future__ import annotations

import builtins
import json
import logging
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from rucio.client import baseclient
from rucio.client.client import Client
from rucio.common import exception as rucio_errors
from rucio.common.config import clean_cached_config, config_get

from stac_rucio_sync.errors import FatalError, RefusedError, SyncError, TransientError
from stac_rucio_sync.settings import Rucio
from stac_rucio_sync.stores.rucio.refusals import DeniedError, ExistsError, FaultError, MissingError

LOG = logging.getLogger(__name__)

_TRANSIENT_STATUS = frozenset({408, 429, 502, 503, 504})
_SERVERS = 500
"""From here on a failure is the server's: a log-in that fails so (its database is away) says nothing of credentials."""

_TOKEN = re.compile(r"[!-~]([ -~]*[!-~])?")
"""What a header can carry; the subjects of certificates that some tokens hold have spaces."""

_LOCKED = re.compile(
    r"LockNotAvailable|could not obtain lock|could not serialize|ORA-000(?:54|60)|Lock wait timeout|deadlock",
    re.IGNORECASE,
)
"""Databases' words where a daemon is at the same rows (Rucio waits for few locks): nothing was done."""

_TRANSIENT = (
    requests.RequestException,
    rucio_errors.ServerConnectionException,
    # A line of a streamed answer that was cut off is not JSON, and perhaps no text.
    json.JSONDecodeError,
    UnicodeDecodeError,
)
_FATAL = (
    rucio_errors.AccountNotFound,
    rucio_errors.CannotAuthenticate,
    rucio_errors.ClientProtocolNotFound,
    rucio_errors.ClientProtocolNotSupported,
    rucio_errors.ConfigLoadingError,
    rucio_errors.ConfigNotFound,
    rucio_errors.MissingClientParameter,
    rucio_errors.MissingModuleException,
    rucio_errors.NoAuthInformation,
    # An RSE that is blocked for writing (HTTP 503, but no repetition opens it).
    rucio_errors.ResourceTemporaryUnavailable,
    # What is wrong with a connection is one of requests' own errors; what is left is a file (a disk that is full).
    OSError,
)
_MISSING = (
    rucio_errors.DataIdentifierNotFound,
    rucio_errors.KeyNotFound,
    rucio_errors.ReplicaNotFound,
    rucio_errors.RequestNotFound,
    rucio_errors.RSENotFound,
    rucio_errors.RuleNotFound,
    rucio_errors.ScopeNotFound,
)
_EXISTS = (
    rucio_errors.DataIdentifierAlreadyExists,
    rucio_errors.Duplicate,
    rucio_errors.DuplicateContent,
    rucio_errors.DuplicateRule,
    rucio_errors.FileAlreadyExists,
)


class _TellingAdapter(HTTPAdapter):
    """Tells the client of each request as it goes out, whoever sends it, and whether it was answered."""

    def __init__(self, client: LakeClient) -> None:
        self._client = client
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401
        self._client.sending()
        self._client.unanswered = True
        try:
            answer = super().send(request, *args, **options)
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise
            # Rucio's client would try again and then say that it cannot connect.
            raise FatalError(
                "the certificate of the Rucio server is not to be trusted: name its authority as ca_cert in the "
                f"Rucio configuration ({error})"
            ) from error
        self._client.unanswered = False
        if answer.status_code in _TRANSIENT_STATUS or "/auth/" in (request.url or ""):
            # Rucio's client drops such answers unread, and their connections with them.
            _ = answer.content
        return answer


class LakeClient(Client):
    """Rucio's client with a token cache of its own, counted requests and honest answers to 5xx.

    Parameters
    ----------
    sending
        Called once for every HTTP request, log-in and repetitions included.
    options
        As of ``rucio.client.Client``.
    """

    #: One renewal of the token; every other repetition is the caller's.
    AUTH_RETRIES = 1
    #: Answers are read as they are taken, not at once: some of Rucio's verbs would hold all of a long one in memory.
    streaming = False
    #: The server's time when it answered last, if it said so.
    answered: datetime | None = None
    #: Whether the last request was not answered.
    unanswered = False

    def __init__(self, sending: Callable[[], None], **options: Any) -> None:  # noqa: ANN401 - as Rucio declares it
        self.sending = sending
        try:
            with _cut_off_told():
                super().__init__(**options)  # type: ignore[no-untyped-call] # Rucio annotates in part
        except BaseException:
            self._session.close()
            raise

    @property
    def session(self) -> requests.Session:
        """The HTTP session; Rucio's client makes a new one whenever it renews the token."""
        return self._session

    @session.setter
    def session(self, session: requests.Session) -> None:
        former = getattr(self, "_session", None)
        if former is not None:
            former.close()
        for prefix in ("http://", "https://"):
            session.mount(prefix, _TellingAdapter(self))
        self._session = session

    def _send_request(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as Rucio declares it
        if self.streaming:
            options["stream"] = True
        with _prints_logged(), _cut_off_told():  # a token may be renewed
            answer = super()._send_request(*args, **options)  # type: ignore[no-untyped-call] # Rucio annotates in part
        if answer is None:
            return None
        if self.unanswered:  # and this is the answer to an earlier try, such as that the token is out of date
            raise requests.ConnectionError(f"no answer from {answer.url}")
        self.answered = _server_time(answer.headers.get("Date"))
        closed = answer.headers.get("ExceptionClass") == rucio_errors.ResourceTemporaryUnavailable.__name__
        at_login = bool(options.get("get_token"))
        if (answer.status_code in _TRANSIENT_STATUS and not closed) or (at_login and answer.status_code >= _SERVERS):
            # Rucio's client would call this wrong credentials (at log-in) or "an unknown exception".
            raise requests.HTTPError(f"HTTP {answer.status_code} from {answer.url}")
        return answer

    def _get_auth_tokens(self) -> tuple[str | None, str, str, str]:
        """Name the token's files; called after the configuration is read and before anything is sent."""
        if not self.ca_cert and any(host.startswith("https:") for host in (self.host, self.auth_host)):
            raise FatalError(
                "the Rucio configuration has an empty ca_cert, which would switch off the check of the server's "
                "certificate: name a CA file or folder, or leave ca_cert out to trust the usual authorities"
            )
        configured: tuple[str | None, str, str, str] = super()._get_auth_tokens()
        if configured[0]:
            _drop_if_damaged(Path(configured[2]))
            return configured
        identity = sorted((key, value) for key, value in self.creds.items() if key != "password")
        who = (self.host, self.auth_host, self.vo, self.account, self.auth_type, identity)
        folder = _token_folder(sha256(json.dumps(who, default=str).encode()).hexdigest()[:32])
        _drop_if_damaged(folder / "token")
        return None, str(folder / "expires"), str(folder / "token"), str(folder)


@contextmanager
def _cut_off_told() -> Iterator[None]:
    """Tell what is wrong with an answer to a log-in that has no token."""
    try:
        yield
    except KeyError as error:
        raise requests.HTTPError(f"the answer to the log-in was cut off: no {error}") from error


def _server_time(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header) if header else None
    except ValueError:
        return None


def _drop_if_damaged(token: Path) -> None:
    """Remove a token that is none, as full disks and editors make them: the server would blame the call for it."""
    try:
        kept = token.read_text(encoding="ascii", errors="replace")
    except OSError:
        return  # there is none, or Rucio's client says what is wrong
    if _TOKEN.fullmatch(kept) is None:
        LOG.warning("the token in %s is damaged: a new one is asked for", token)
        token.unlink()


def _token_folder(name: str) -> Path:
    """Make a folder that only this user reads; where the cache takes none (a full disk), one for this run alone."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stac-rucio-sync" / "tokens"
    try:
        (cache / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="stac-rucio-sync-"))
    return cache / name


def make_client(settings: Rucio, sending: Callable[[], None]) -> LakeClient:
    """Make a client and log in.

    The caller sees to it that one thread at a time does so, and that ``RUCIO_CONFIG`` names the configuration.

    Raises
    ------
    FatalError
        The configuration or the credentials are wrong, or the cached token is another account's.
    """
    clean_cached_config()
    with _program_name(), _prints_logged():
        client = LakeClient(sending, account=settings.account, timeout=settings.timeout, logger=LOG)
        if config_get("client", "auth_token_file_path", raise_exception=False, default=None):
            actual = (client.whoami() or {}).get("account")
            if client.account is not None and actual != client.account:
                client.session.close()
                raise FatalError(
                    f"the token in auth_token_file_path of the Rucio configuration is account {actual}'s, not "
                    f"{client.account}'s: give each server and account a token file of its own"
                )
    return client


class _Here(threading.local):
    is_ours = False
    """Whether this thread is in a call of ours."""


_HERE = _Here()


@contextmanager
def _prints_logged() -> Iterator[None]:
    """Log what Rucio's client prints in this thread (a token that cannot be written): stdout is the report's."""
    former, _HERE.is_ours = _HERE.is_ours, True
    try:
        yield
    finally:
        _HERE.is_ours = former


def _print(*words: object, **options: Any) -> None:  # noqa: ANN401 - as of the built-in function
    """Print as the built-in function does, but log it in a call of ours."""
    if not _HERE.is_ours:
        builtins.print(*words, **options)  # noqa: T201 - of somebody else's client in this process
        return
    for line in " ".join(map(str, words)).splitlines():
        if line.strip():
            LOG.warning("Rucio's client says: %s", line.strip())


vars(baseclient)["print"] = _print  # for that module alone it hides the built-in function


@contextmanager
def _program_name() -> Iterator[None]:
    """Keep ``sys.argv`` as it is: Rucio's client cuts the folder off."""
    program = sys.argv[0]
    try:
        yield
    finally:
        sys.argv[0] = program


def translated(error: Exception) -> SyncError | None:
    """Return our error for one of Rucio's or of its HTTP library; None for a mistake in this program."""
    text = " ".join(str(error).removeprefix("An unknown exception occurred.").replace("\nDetails:", "").split())
    if isinstance(error, _TRANSIENT):
        return TransientError(f"the Rucio server does not answer properly: {text or type(error).__name__}")
    if isinstance(error, _FATAL):
        return FatalError(f"Rucio: {text or type(error).__name__}")
    for kinds, ours in ((rucio_errors.AccessDenied, DeniedError), (_MISSING, MissingError), (_EXISTS, ExistsError)):
        if isinstance(error, kinds):
            return ours(text)
    if isinstance(error, rucio_errors.DatabaseException):
        kind = TransientError if _LOCKED.search(text) else FaultError
        return kind(f"DatabaseException: {text}")
    if isinstance(error, rucio_errors.RucioException):
        return RefusedError(f"{type(error).__name__}: {text}" if text else type(error).__name__)
    return None
