"""Items of a GeoParquet file in the stac-geoparquet layout, one record batch at a time.

The layout (stac-geoparquet specification 1.0): the fields of an item are columns, its properties stand beside them,
``geometry`` is well-known binary, ``bbox`` a struct. Columns are the union over all items, so that a null may stand
for "not there": nulls are left out, but ``geometry`` and ``properties.datetime`` are kept, which STAC requires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from stac_rucio_sync.errors import FatalError
from stac_rucio_sync.model import Change, ItemBroken, ItemRead, JsonObject
from stac_rucio_sync.sources.wkb import geometry_from_wkb

BATCH_ROWS = 500
_ITEM_FIELDS = frozenset(
    {"type", "stac_version", "stac_extensions", "id", "geometry", "bbox", "links", "assets", "collection"}
)
_REQUIRED = ("id", "geometry", "assets")
_CORNERS = ("xmin", "ymin", "zmin", "xmax", "ymax", "zmax")

Plain = Callable[[Any], Any]
"""From a value as Arrow gives it to one that JSON can hold."""


def read_geoparquet(opened: IO[bytes], shown: str, on_rows: Callable[[int, int], None]) -> Iterator[Change]:
    """Yield the items of a file; ``on_rows`` is told the rows read so far and all rows.

    Raises
    ------
    FatalError
        It is no Parquet file, or none of this layout.
    """
    try:
        with pq.ParquetFile(opened) as file:
            plain = _columns(file, shown)
            row = 0
            for batch in file.iter_batches(BATCH_ROWS):
                yield from _items(batch, plain, shown, row)
                row += batch.num_rows
                on_rows(row, file.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise FatalError(f"{shown} is damaged or no Parquet file: {error}") from error


def _columns(file: pq.ParquetFile, shown: str) -> dict[str, Plain | None]:
    """Choose for each column how its values become JSON; None: they are JSON already."""
    schema = file.schema_arrow
    missing = [name for name in _REQUIRED if name not in schema.names]
    if missing:
        raise FatalError(f"{shown} is not in the stac-geoparquet layout: it has no column {', '.join(missing)}")
    geo = orjson.loads((schema.metadata or {}).get(b"geo", b"{}"))
    for name, column in geo.get("columns", {}).items():
        if str(column.get("encoding")).upper() != "WKB":
            raise FatalError(f"{shown}: column {name} is encoded as {column.get('encoding')}; only WKB is read")
    return {field.name: _plain(field.type) for field in schema}


def _items(batch: pa.RecordBatch, columns: dict[str, Plain | None], shown: str, first: int) -> Iterator[Change]:
    values = {name: _values(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    for row in range(batch.num_rows):
        position = f"{shown}#row/{first + row}"
        try:
            fields = {
                name: plain(column[row]) if plain and column[row] is not None else column[row]
                for (name, column), plain in zip(values.items(), columns.values(), strict=True)
            }
        except (ValueError, TypeError, OverflowError) as error:
            yield ItemBroken(position, f"a value of the row cannot be read: {error}")
            continue
        yield ItemRead(_item(fields), None, position)


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _item(fields: JsonObject) -> JsonObject:
    bbox = fields.get("bbox")
    if isinstance(bbox, dict):
        fields["bbox"] = [bbox[corner] for corner in _CORNERS if corner in bbox]
    properties = {name: value for name, value in fields.items() if name not in _ITEM_FIELDS and value is not None}
    properties.setdefault("datetime", None)
    item = {name: fields[name] for name in fields if name in _ITEM_FIELDS and fields[name] is not None}
    return {"type": "Feature", "geometry": None, "links": [], "assets": {}} | item | {"properties": properties}


def _plain(kind: pa.DataType) -> Plain | None:
    """Return the function for a type; it is made once a column, so that most values are not looked at."""
    for is_kind, make in _MAKERS:
        if is_kind(kind):
            return make(kind)
    return None


def _plain_struct(kind: pa.DataType) -> Plain:
    fields = {field.name: _plain(field.type) for field in kind}
    return lambda value: {
        name: plain(value[name]) if plain else value[name]
        for name, plain in fields.items()
        if value.get(name) is not None
    }


def _plain_map(kind: pa.DataType) -> Plain:
    inner = _plain(kind.item_type) or (lambda value: value)
    return lambda pairs: {str(key): inner(value) for key, value in pairs if value is not None}


def _plain_list(kind: pa.DataType) -> Plain | None:
    inner = _plain(kind.value_type)
    return None if inner is None else lambda values: [None if value is None else inner(value) for value in values]


def _instant(value: Any) -> str:  # noqa: ANN401 - any temporal value of Arrow's
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value
        return utc.replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat() if isinstance(value, date) else str(value)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


_MAKERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.DataType], Plain | None]], ...] = (
    (pa.types.is_struct, _plain_struct),
    (pa.types.is_map, _plain_map),
    (_is_list, _plain_list),
    (pa.types.is_temporal, lambda _: _instant),
    (_is_binary, lambda _: geometry_from_wkb),
    (pa.types.is_decimal, lambda _: float),
    (lambda kind: isinstance(kind, pa.BaseExtensionType), lambda kind: _plain(kind.storage_type)),
)
