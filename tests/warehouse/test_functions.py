"""The SQL functions give the same exact digits on both engines."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from random import Random

import pyarrow as pa
import sqlalchemy as sa

from connectors.warehouse.bulk import insert_arrow, read_arrow
from connectors.warehouse.engine import Warehouse
from tests.warehouse.rows import rows
from transforms.tables.results import LINES

EXACT = Context(prec=120)
AMOUNT = pa.decimal128(38, 18)


def _rounded(value: Decimal, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, context=EXACT)


def _product(price: Decimal, factor: Decimal) -> Decimal | None:
    exact = _rounded(EXACT.multiply(price, factor), 18)
    return exact if abs(exact) < Decimal("1e20") else None


def _quotient(amount: Decimal, divisor: Decimal) -> Decimal | None:
    above, below = _rounded(amount, 12), _rounded(divisor, 12)
    if not below or max(abs(amount), abs(divisor)) >= Decimal("1e13"):
        return None
    exact = _rounded(EXACT.divide(above, below), 12)
    return exact if abs(exact) < Decimal("1e20") else None


def _number(random: Random, scale: int, digits: int) -> Decimal:
    """A number of any size up to these; every other one has few decimals."""
    places = random.randint(0, scale if random.random() < 0.5 else 6)
    size = random.randint(1, digits) + places
    return Decimal(random.randrange(-(10**size) + 1, 10**size)).scaleb(-places)


def test_products_and_quotients_are_exact(warehouse: Warehouse) -> None:
    random = Random(7)
    pairs = [(_number(random, 22, 16), _number(random, 15, 21)) for _ in range(3000)]
    edges = ("0", "1", "-1", "0.5", "99999999.9999999999", "100000000", "9999999999999.9999", "10000000000000",
             "0.0000000000005", "0.00000000000049", "-0.000000000001", "3", "7")  # fmt: skip
    pairs += [(Decimal(one), Decimal(other)) for one in edges for other in edges]
    given = rows(LINES, *({"line_id": str(number), "unit_price": one, "quantity": other}
                          for number, (one, other) in enumerate(pairs)))  # fmt: skip
    statement = sa.text(
        "select line_id, cast(product(unit_price, quantity) as decimal(38, 18)) as product, "
        "cast(quotient(unit_price, quantity) as decimal(38, 18)) as quotient from lines"
    )
    with warehouse.begin() as connection:
        insert_arrow(connection, LINES, given)
        schema = pa.schema([("line_id", pa.string()), ("product", AMOUNT), ("quotient", AMOUNT)])
        found = {row["line_id"]: row for row in read_arrow(connection, statement, schema).to_pylist()}
    for number, (one, other) in enumerate(pairs):
        row = found[str(number)]
        assert row["product"] == _product(one, other), (one, other)
        assert row["quotient"] == _quotient(one, other), (one, other)
    assert {row["product"] is None for row in found.values()} == {True, False}
    assert {row["quotient"] is None for row in found.values()} == {True, False}
