"""Parameters of a request: names in any case, from the address and the body alike (DALI 1.1 section 3)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from obscore_tap.refusals import Refusal
from stac_rucio_sync.settings import Tap

_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")
_IN_PARTS = "multipart/form-data"
_BARE_BOUNDARY = re.compile(r"; *boundary=([0-9A-Za-z'()+_,./:=?-]{1,70}) *(?:;|$)", re.IGNORECASE)


class Parameters:
    """Names, compared without case, to the values that were given for them, in order.

    Parameters
    ----------
    pairs
        As the request gives them. Empty values count as not given.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            if value.strip():
                self._values.setdefault(name.upper(), []).append(value)

    def many(self, name: str) -> list[str]:
        """Return all values of a parameter that may be repeated."""
        return list(self._values.get(name, ()))

    def one(self, name: str) -> str | None:
        """Return the value of a parameter that may be given once; None where it is not given.

        Raises
        ------
        Refusal
            It was given more than once.
        """
        values = self._values.get(name, [])
        if len(values) > 1:
            raise Refusal(f"{name} is given {len(values)} times: it takes one value")
        return values[0] if values else None

    def whole_number(self, name: str) -> int | None:
        """Return the value of a parameter that is a number of zero or more; None where it is not given.

        Raises
        ------
        Refusal
            It is no such number, or was given more than once.
        """
        text = self.one(name)
        if text is None:
            return None
        if not _WHOLE_NUMBER.fullmatch(text.strip()):
            raise Refusal(f"{name} is {text[:40]!r}: a whole number of zero or more is needed")
        return int(text)

    def names(self) -> list[str]:
        """Return the names that were given, in capitals."""
        return list(self._values)


def limit_chunks(request: Request, limit: int) -> None:
    """See that a body that comes in chunks, and so without a length, is not too long.

    Werkzeug stops reading at the limit without a word; what came so far would pass for the whole. The body is held
    for whoever reads the form.

    Parameters
    ----------
    request
        Before its form was read.
    limit
        Bytes that it may have.

    Raises
    ------
    RequestEntityTooLarge
        There are more.
    """
    if request.content_length is None and "Transfer-Encoding" in request.headers:
        request.max_content_length = limit + 1
        if len(request.get_data()) > limit:
            raise RequestEntityTooLarge


def take_bare_boundary(request: Request) -> None:
    """Have the boundary of a form in parts taken as it stands, where the quotes that it wants were left out.

    RFC 2046 section 5.1.1 wants them around ``=``, but TapPlus of astroquery, with which users of Gaia upload their
    tables, sends ``boundary====1700000000000===``. Werkzeug finds no boundary in that, and takes the form for an
    empty one.

    Parameters
    ----------
    request
        Before its form was read.

    Raises
    ------
    Refusal
        There is no boundary.
    """
    if request.mimetype != _IN_PARTS:
        return
    found = _BARE_BOUNDARY.search(request.content_type or "")
    if found is not None:
        request.mimetype_params["boundary"] = found[1]
    elif not request.mimetype_params.get("boundary"):
        raise Refusal(f"the Content-Type {_IN_PARTS} names no boundary")


def parameters_of(request: Request) -> Parameters:
    """Return what a request says in its address and, where it has one, in its form."""
    pairs = list(request.args.items(multi=True))
    if request.method == "POST":
        pairs += request.form.items(multi=True)
    return Parameters(pairs)


def response_format(parameters: Parameters) -> str | None:
    """Return RESPONSEFORMAT, or FORMAT, which TAP 1.0 had (TAP 1.1 section 2.7.3).

    FORMAT may be given twice if it is the same: TapPlus sends ``FORMAT`` and ``format`` with an uploaded table.
    """
    form = parameters.one("RESPONSEFORMAT")
    if form is None and len(older := set(parameters.many("FORMAT"))) == 1:
        return older.pop()
    return form or parameters.one("FORMAT")


def max_rows(parameters: Parameters, limits: Tap) -> int:
    """Return how many rows a result may have: MAXREC, or the default, within the limit (DALI 1.1 section 3.4.4)."""
    asked = parameters.whole_number("MAXREC")
    return limits.maxrec if asked is None else min(asked, limits.max_maxrec)
