"""SELECTs that are put together before they are written: enclosing ones may still ask for hidden columns.

Every output column is called ``c1``, ``c2`` … in SQL, so that no name of the user's reaches the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from obscore_tap.adql.atoms import Identifier, SetOperator
from obscore_tap.adql.types import Typed, cast
from obscore_tap.schema import Datatype


class Output(NamedTuple):
    """A column of a SELECT."""

    name: str
    """Empty where the query gives none."""
    value: Typed


@dataclass(slots=True)
class SelectBlock:
    """``SELECT … FROM … WHERE … GROUP BY … HAVING … ORDER BY … LIMIT … OFFSET …``."""

    outputs: list[Output]
    source: Sequence[object]
    distinct: bool = False
    where: str = ""
    group_by: Sequence[str] = ()
    having: str = ""
    is_grouped: bool = False
    order_by: Sequence[str] = ()
    limit: int | None = None
    offset: int | None = None
    hidden: dict[str, str] = field(default_factory=dict)

    def hide(self, sql: str) -> str | None:
        """Return the name of a hidden output column; None where one would change the rows."""
        if self.distinct or self.is_grouped:
            return None
        return self.hidden.setdefault(sql, f"h{len(self.hidden) + 1}")

    def written(self, number: int) -> str:
        """Return the SQL of an output column; the first one is 1."""
        return self.outputs[number - 1].value.sql

    def __str__(self) -> str:
        items = [
            f"{cast(one.value, one.value.datatype or Datatype.TEXT)} AS c{n}" for n, one in enumerate(self.outputs, 1)
        ]
        items += [f"{sql} AS {name}" for sql, name in self.hidden.items()]
        parts = ["SELECT DISTINCT " if self.distinct else "SELECT ", ", ".join(items), " FROM ", *map(str, self.source)]
        if self.where:
            parts += " WHERE ", self.where
        if self.group_by:
            parts += " GROUP BY ", ", ".join(self.group_by)
        if self.having:
            parts += " HAVING ", self.having
        return "".join(parts) + _tail(self.order_by, self.limit, self.offset)


@dataclass(slots=True)
class SetBlock:
    """``(…) UNION (…) EXCEPT (…)``, or ``INTERSECT``."""

    outputs: list[Output]
    operands: Sequence[Block]
    operators: Sequence[SetOperator]

    def hide(self, sql: str) -> str | None:
        """Return None: what one operand hides the others have not."""
        del sql
        return None

    def written(self, number: int) -> str:
        """Return the SQL of an output column in all operands."""
        return " ".join(operand.written(number) for operand in self.operands)

    def __str__(self) -> str:
        parts = [self._operand(self.operands[0])]
        for operator, operand in zip(self.operators, self.operands[1:], strict=True):
            parts += f" {operator.name}{' ALL' if operator.all else ''} ", self._operand(operand)
        return "".join(parts)

    def _operand(self, block: Block) -> str:
        wanted = [one.value.datatype or Datatype.TEXT for one in self.outputs]
        given = [one.value.datatype or Datatype.TEXT for one in block.outputs]
        if wanted == given:
            return f"({block})"
        items = ", ".join(
            f"c{number}" if one is other else f"c{number}::{one.value} AS c{number}"
            for number, (one, other) in enumerate(zip(wanted, given, strict=True), 1)
        )
        return f"(SELECT {items} FROM ({block}) AS q)"  # noqa: S608 - blocks are made of names and literals of ours


@dataclass(slots=True)
class OrderedBlock:
    """``SELECT … FROM (…) ORDER BY … OFFSET …``: of what has its own order or limit, or is no single SELECT."""

    outputs: list[Output]
    block: Block
    alias: str
    order_by: Sequence[str]
    offset: int | None
    hidden: list[str] = field(default_factory=list)

    def hide(self, sql: str) -> str | None:
        """Return the name of a hidden output column of the inner block."""
        name = self.block.hide(sql)
        if name and name not in self.hidden:
            self.hidden.append(name)
        return name

    def written(self, number: int) -> str:
        """Return the SQL of an output column."""
        return self.outputs[number - 1].value.sql

    def __str__(self) -> str:
        items = [f"{self.alias}.c{number} AS c{number}" for number in range(1, len(self.outputs) + 1)]
        items += [f"{self.alias}.{name} AS {name}" for name in self.hidden]
        tail = _tail(self.order_by, None, self.offset)
        return f"SELECT {', '.join(items)} FROM ({self.block}) AS {self.alias}{tail}"  # noqa: S608 - as above


Block: TypeAlias = SelectBlock | SetBlock | OrderedBlock


class CommonBlock(NamedTuple):
    """``name AS (…)`` of a WITH clause."""

    name: Identifier
    alias: str
    block: Block


def _tail(order_by: Sequence[str], limit: int | None, offset: int | None) -> str:
    parts = []
    if order_by:
        parts.append(" ORDER BY " + ", ".join(order_by))
    if limit is not None:
        parts.append(f" LIMIT {limit}")
    if offset is not None:
        parts.append(f" OFFSET {offset}")
    return "".join(parts)
