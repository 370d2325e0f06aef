"""What the table definitions are made of: pgSphere's types, and columns that carry their description in the VO."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Computed, MetaData
from sqlalchemy.types import TypeEngine, UserDefinedType

METADATA = MetaData(schema="lake")


class _Sphere(UserDefinedType[str]):
    """A type of pgSphere; its values go in and out as text."""

    cache_ok = True
    name = ""

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in SQL."""
        return self.name


class SPoint(_Sphere):
    """A point on the sphere."""

    name = "spoint"


class SPoly(_Sphere):
    """A simple polygon on the sphere."""

    name = "spoly"


class SCircle(_Sphere):
    """A circle on the sphere."""

    name = "scircle"


def published(  # noqa: PLR0913 - a row of TAP_SCHEMA.columns has this many fields
    name: str,
    type_: TypeEngine[Any],
    description: str,
    *,
    ucd: str | None = None,
    unit: str | None = None,
    utype: str | None = None,
    xtype: str | None = None,
    principal: bool = True,
    std: bool = True,
    **options: Any,  # noqa: ANN401 - whatever Column takes
) -> Column[Any]:
    """Make a column that TAP publishes; ``Column.info`` holds what TAP_SCHEMA says of it (TAP 1.1 section 4.3).

    Parameters
    ----------
    name, type_, description
        Its name, its SQL type, and what it means.
    ucd, unit, utype, xtype
        As the standard of its table gives them.
    principal
        It is of general interest.
    std
        It is defined by the standard, not by this project.
    options
        Given on to `sqlalchemy.Column`.
    """
    return Column(
        name,
        type_,
        info={
            "published": True,
            "description": description,
            "ucd": ucd,
            "unit": unit,
            "utype": utype,
            "xtype": xtype,
            "principal": principal,
            "std": std,
        },
        **options,
    )


def generated(name: str, type_: TypeEngine[Any], expression: str) -> Column[Any]:
    """Make a column that the database computes; it is not published."""
    return Column(name, type_, Computed(expression, persisted=True), info={"published": False})


POLYGON = "lake.polygon(s_polygon)"
BOUND = "scircle(spoint(radians(s_bound[1]), radians(s_bound[2])), radians(s_bound[3]))"
