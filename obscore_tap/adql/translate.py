"""The one function of this package: an ADQL query in, one SELECT of PostgreSQL and what its columns are out."""

from __future__ import annotations

from collections.abc import Sequence

from obscore_tap.adql import casts, conditions, queries, values
from obscore_tap.adql.blocks import Block, Output
from obscore_tap.adql.errors import AdqlError
from obscore_tap.adql.lengths import check
from obscore_tap.adql.names import Session
from obscore_tap.adql.parser import parse
from obscore_tap.adql.tokens import Limits
from obscore_tap.schema import Datatype, OutputColumn, Published, Translation

_DEFAULT_LIMITS = Limits()

READERS = (casts, conditions, queries, values)
"""Modules that register what they understand when they are imported."""

_XTYPES = {
    Datatype.POINT: "point",
    Datatype.CIRCLE: "circle",
    Datatype.POLYGON: "polygon",
    Datatype.TIMESTAMP: "timestamp",
    Datatype.INTERVAL: "interval",
}


def translate(adql: str, published: Published, limits: Limits = _DEFAULT_LIMITS) -> Translation:
    """Translate a query of ADQL 2.0 or 2.1.

    Parameters
    ----------
    adql
        The query.
    published
        The tables that it may name.
    limits
        How large it may be.

    Returns
    -------
    Translation
        Its SQL names its columns ``c1``, ``c2`` …; of the query's text only literals come into it, written anew.

    Raises
    ------
    AdqlError
        It is no ADQL, or asks for what is not there; with the place and what could have stood there.
    """
    try:
        tree = parse(adql, limits)
        session = Session(published)
        block = queries.whole_query(tree, session)
        sql = _written(block, session)
        check(session.lengths.of(sql))
    except RecursionError as error:
        raise AdqlError("the query is nested too deeply") from error
    return Translation(sql, output_columns(block.outputs), frozenset(session.tables))


def _written(block: Block, session: Session) -> str:
    body = str(block)
    common = [f"{one.alias} AS ({one.block})" for one in session.common]
    return f"WITH {', '.join(common)} {body}" if common else body


def output_columns(outputs: Sequence[Output]) -> tuple[OutputColumn, ...]:
    """Return what a result says of its columns, each under a name of its own.

    A name that occurred before, whatever its case, gets ``_2``, ``_3`` …; an expression without alias is called after
    its function, or ``col`` and its number.
    """
    taken = {one.name.lower() for one in outputs if one.name}
    seen: set[str] = set()
    columns = []
    for number, (given, typed) in enumerate(outputs, 1):
        name = given or typed.name or f"col{number}"
        if name.lower() in seen or (not given and name.lower() in taken):
            name = _free(name, seen | taken)
        seen.add(name.lower())
        datatype, meta = typed.datatype or Datatype.TEXT, typed.meta
        columns.append(
            OutputColumn(
                name,
                datatype,
                meta.description,
                meta.ucd,
                meta.unit,
                meta.utype,
                meta.xtype or _XTYPES.get(datatype, ""),
                meta.unicode,
                meta.source,
            )
        )
    return tuple(columns)


def _free(name: str, names: set[str]) -> str:
    number = 2
    while f"{name}_{number}".lower() in names:
        number += 1
    return f"{name}_{number}"
