"""Why a request was not answered, with the HTTP status that says whose fault it is."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of the program
    """The request is wrong; the text says what and where."""

    status = 400


class Forbidden(Refusal):
    """The request is well formed, and what it asks for may not be done now."""

    status = 403


class NotFound(Refusal):
    """What the request names does not exist."""

    status = 404


class TooLarge(Refusal):
    """The request brings more than the service takes."""

    status = 413


class TooMany(Refusal):
    """The one who asks has as much as one client may have now."""

    status = 429


class Failed(Refusal):
    """The service could not do its work."""

    status = 500


class Unavailable(Refusal):
    """The service cannot answer now; the same request may succeed later."""

    status = 503
