"""Columns and tables, declared once.

Every table of the project is one `Table` of `Column`s in `transforms.tables`. What else describes the same
data is derived from it: the Arrow schema here, the SQLAlchemy table in `connectors.warehouse.schema`, the
reader's header check in `connectors.exports`, the HaloPSA property mapping in `connectors.halopsa.bodies`, and
the data dictionary in `docs/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc


class Kind(Enum):
    """What a column holds. Each kind has one Arrow type; the decimal ones fix width and scale.

    The scales are those that real exports need, measured: a v1 API usage line carries an EffectiveUnitPrice with
    22 decimals and a BillingPreTaxTotal with 15. A value that does not fit its kind is an error; only decimals beyond
    those of a price, quantity, rate or usage amount are rounded (`transforms.money.parse_decimals`).
    """

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    AMOUNT = "amount"
    USAGE_AMOUNT = "usage amount"
    PRICE = "price"
    QUANTITY = "quantity"
    RATE = "rate"

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type of this kind; timestamps are UTC in microseconds, so that the year 9999 fits."""
        return _ARROW_TYPES[self]

    @property
    def is_decimal(self) -> bool:
        """Whether the kind is an exact decimal number."""
        return self in _DECIMALS


_DECIMALS: dict[Kind, tuple[int, int]] = {
    Kind.AMOUNT: (19, 6),
    Kind.USAGE_AMOUNT: (38, 18),
    Kind.PRICE: (38, 22),
    Kind.QUANTITY: (38, 15),
    Kind.RATE: (38, 15),
}

_ARROW_TYPES: dict[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.INTEGER: pa.int64(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    **{kind: pa.decimal128(*width) for kind, width in _DECIMALS.items()},
}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: the warehouse name, in the field's terms, snake case.
        kind: what it holds.
        meaning: one sentence for the data dictionary.
        nullable: whether it may be empty.
        required: whether an export that lacks the column is refused (sources only).
        sources: the column's names in the exports, newest first; matched without regard to case.
        halo: the HaloPSA properties it is posted as or, for a copy of HaloPSA's records, read from.
        unit: what a number counts: a currency column's name, `percent`, `fraction`, `seats or units` …
        fraction_sources: those of `sources` that deliver a fraction (0.15) where the column is in percent (15).
    """

    name: str
    kind: Kind
    meaning: str
    nullable: bool = True
    required: bool = False
    sources: tuple[str, ...] = ()
    halo: tuple[str, ...] = ()
    unit: str = ""
    fraction_sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table: its columns in order, its primary key, and what one row is.

    A `bulk` table has millions of rows: its key is not enforced by the engine, whose index would cost more than
    the load itself, but checked by `sql/checks`. Where rows of different `partition_by` are kept apart (PostgreSQL),
    each partition has the indexes for itself.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    bulk: bool = False
    partition_by: str = ""

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"table {self.name} declares a column twice")
        for index in (self.key, *self.indexes, (self.partition_by,) if self.partition_by else ()):
            missing = [name for name in index if name not in names]
            if missing:
                raise ValueError(f"table {self.name} has no column {', '.join(missing)}")

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, in column order, with nullability."""
        return pa.schema([pa.field(c.name, c.kind.arrow_type, nullable=c.nullable) for c in self.columns])

    @property
    def names(self) -> list[str]:
        """The column names, in order."""
        return [column.name for column in self.columns]

    def __getitem__(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def conform(self, table: pa.Table | pa.RecordBatch, keep_dictionaries: bool = False) -> pa.Table:
        """Return `table` with exactly this table's columns, order and types.

        A missing nullable column becomes nulls. With `keep_dictionaries`, a text column that is dictionary-encoded
        stays so, which the schema then says.

        Raises ValueError for a missing or null value where the column is not nullable, and `pyarrow.ArrowInvalid`
        for a value that does not fit its type (nothing is rounded).
        """
        arrays: list[pa.ChunkedArray | pa.Array] = []
        for column in self.columns:
            if column.name in table.column_names:
                array = table.column(column.name)
                if array.type != column.kind.arrow_type and not (
                    keep_dictionaries and column.kind is Kind.TEXT and _is_text_dictionary(array.type)
                ):
                    array = array.cast(column.kind.arrow_type)
            elif column.nullable:
                array = pa.nulls(table.num_rows, column.kind.arrow_type)
            else:
                raise ValueError(f"{self.name}: column {column.name} is missing")
            # Counted so and not by `null_count`, which leaves out a null among the values of a dictionary.
            if not column.nullable and (empty := pc.count(array, mode="only_null").as_py()):
                raise ValueError(f"{self.name}: {empty} empty values in {column.name}")
            arrays.append(array)
        fields = (field.with_type(array.type) for field, array in zip(self.schema, arrays, strict=True))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _is_text_dictionary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_dictionary(kind) and kind.value_type == pa.string())
