"""Why there is no cut-out, in the words of SODA 1.0 section 5.2: each error has one of its labels."""

from __future__ import annotations

from typing import ClassVar


class CutError(Exception):
    """There is no cut-out; the text, after its label, is what a service answers as text/plain."""

    label: ClassVar[str] = "Error"
    status: ClassVar[int] = 500
    """Of HTTP, in a synchronous answer."""

    def __str__(self) -> str:
        return f"{self.label}: {super().__str__()}"


class FileError(CutError):
    """The file is no file of its kind, is broken, or ends too early."""


class RequestError(CutError):
    """What was asked for cannot be done, now or later."""

    label = "UsageError"
    status = 400


class ManyValuesError(RequestError):
    """A parameter has more values than are taken."""

    label = "MultiValuedParamNotSupported"


class LimitError(RequestError):
    """The cut-out, or what must be read for it, is larger than the service's limits."""


class NoOverlapError(RequestError):
    """Nothing of the file is in what was asked for: no content in a synchronous answer, a text in a job."""

    status = 204


class LoginError(CutError):
    """The file's place wants to know who asks."""

    label = "AuthenticationError"
    status = 401


class ForbiddenError(CutError):
    """The file's place does not let the asker read it, or the service does not ask that place."""

    label = "AuthorizationError"
    status = 403


class UnavailableError(CutError):
    """The file's place does not give it now; another copy, or another time, may."""

    label = "ServiceUnavailable"
    status = 503
