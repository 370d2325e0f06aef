"""What a TAP request asks for, from its parameters (TAP 1.1 section 2.7), for sync and async alike."""

from __future__ import annotations

from dataclasses import dataclass

from obscore_tap.parameters import Parameters, max_rows, response_format
from obscore_tap.refusals import Refusal
from obscore_tap.results import Info
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
