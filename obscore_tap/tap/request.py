"""What a TAP request asks for, from its parameters (TAP 1.1 section 2.7), for sync and async alike."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from obscore_tap.parameters import Parameters, max_rows, response_format
from obscore_tap.refusals import Refusal
from obscore_tap.results import Info
from obscore_tap.uploads import labels
from stac_rucio_sync.settings import Settings

LANGUAGES = ("ADQL", "ADQL-2.1", "ADQL-2.0")
_LONGEST_RUN_ID = 64


@dataclass(frozen=True, slots=True)
class TapQuery:
    """A query and how its result is wanted."""

    adql: str
    form: str | None
    max_rows: int
    infos: tuple[Info, ...]
    uploads: list[str]
    """Values of UPLOAD."""


def tap_query(parameters: Parameters, settings: Settings) -> TapQuery:
    """Return what the parameters say.

    Raises
    ------
    Refusal
        A parameter is missing, repeated, or has a value that the service does not know.
    """
    request = parameters.one("REQUEST")
    if request is not None and request.lower() != "doquery":
        raise Refusal(f"REQUEST is {request[:40]!r}: only doQuery is known, and it may be left out")
    language = parameters.one("LANG")
    if language is None:
        raise Refusal("LANG is missing: LANG=ADQL is needed")
    if language.strip().upper() not in LANGUAGES:
        raise Refusal(f"unknown query language {language[:40]!r}: LANG is one of {', '.join(LANGUAGES)}")
    adql = parameters.one("QUERY")
    if adql is None:
        raise Refusal("QUERY is missing: it holds the query in ADQL")
    run_id = parameters.one("RUNID")
    if run_id is not None and len(run_id) > _LONGEST_RUN_ID:
        raise Refusal(
            f"RUNID has {len(run_id)} characters: at most {_LONGEST_RUN_ID} are taken (DALI 1.1 section 3.4.6)"
        )
    rows = max_rows(parameters, settings.tap)
    infos = [Info("QUERY", adql), Info("MAXREC", str(rows))]
    if run_id is not None:
        infos.append(Info("RUNID", run_id))
    return TapQuery(adql, response_format(parameters), rows, tuple(infos), parameters.many("UPLOAD"))


def inline_parts(asked: TapQuery, files: Mapping[str, IO[bytes]], parameters: Parameters) -> Mapping[str, IO[bytes]]:
    """Return the parts of a request that may hold uploaded tables, by their labels.

    Parameters
    ----------
    asked
        Its uploads refer to the parts.
    files
        Parts that have a file name.
    parameters
        Of the request: a part without a file name, which clients may leave out (RFC 7578 section 4.2), is one of them.
    """
    told = {label: parameters.one(label.upper()) for label in labels(asked.uploads) if label not in files}
    return {**files, **{label: io.BytesIO(text.encode()) for label, text in told.items() if text is not None}}
