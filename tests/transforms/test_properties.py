"""What holds for every month: money is conserved, order and files do not matter, additions change nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.rows import (
    LINE,
    PRICE,
    Reconciliation,
    identified,
    invoice_rows,
    month,
    price_rows,
    recon_rows,
    usage_rows,
)
from transforms.conservation import ConservationError, added, check_conservation, sums_of_source

Row = dict[str, Any]
CENT = Decimal("0.01")
#: A list price a month and its ERP price, by SKU.
SKUS = {"0001": ("17.60", "22.00"), "0002": ("8.00", "10.00"), "000N": ("1450.00", "1600.00")}
CURRENCIES = {"G1": "USD", "G2": "EUR", "G3": "JPY", "G4": "USD"}

#: Each example reconciles a month or two.
quickly = settings(max_examples=30)

cents = st.integers(-10_000_000, 10_000_000).map(lambda units: Decimal(units).scaleb(-2))
rates = st.sampled_from(["1", "0.846202666", "1.25", "151.25"])


def prices(scale: int = 1) -> pa.Table:
    """The price list of the SKUs, each price times `scale`."""
    return price_rows(*(
        {"sku_id": sku, "unit_price": Decimal(unit) * 12 * scale, "erp_price": Decimal(erp) * 12 * scale}
        for sku, (unit, erp) in SKUS.items()
    ))  # fmt: skip


@st.composite
def wild_lines(draw: st.DrawFn) -> list[Row]:
    """Lines whose figures need not fit each other; some subscriptions are charged twice."""
    count = draw(st.integers(1, 12))
    return [
        {
            "subscription_id": f"s{number}",
            "invoice_number": (invoice := draw(st.sampled_from(["G1", "G2", "G3"]))),
            "currency": CURRENCIES[invoice],
            "customer_id": draw(st.sampled_from(["c1", "c2", "c3"])),
            "sku_id": draw(st.sampled_from([*SKUS, "0009"])),
            "charge_type": draw(st.sampled_from(["new", "cycleCharge", "Renew", "addQuantity", "customerCredit"])),
            "quantity": (seats := draw(st.integers(1, 300))),
            "billable_quantity": seats,
            "unit_price": draw(st.sampled_from(["17.60", "8", "1450", "17.61", "9"])),
            "effective_unit_price": draw(cents),
            "pc_to_bc_exchange_rate": draw(rates),
            "subtotal": draw(cents),
            "tax_total": draw(st.sampled_from([None, "0", "12.34"])),
            "total": draw(cents),
            "promotion_id": draw(st.sampled_from([None, "P1"])),
        }
        for number in range(count)
    ]


@st.composite
def clean_lines(draw: st.DrawFn, scale: int = 1) -> list[Row]:
    """Full cycles at the list price."""
    lines = []
    for number in range(draw(st.integers(1, 12))):
        sku, seats = draw(st.sampled_from(list(SKUS))), draw(st.integers(1, 300))
        lines.append(clean_line(f"s{number}", sku, seats, scale))
    return lines


def clean_line(subscription: str, sku: str, seats: int, scale: int = 1) -> Row:
    price = Decimal(SKUS[sku][0]) * scale
    return {
        "subscription_id": subscription, "sku_id": sku, "quantity": seats, "billable_quantity": seats,
        "unit_price": price, "effective_unit_price": price, "subtotal": price * seats, "total": price * seats,
    }  # fmt: skip


def documents(lines: list[Row]) -> pa.Table:
    """An invoice document for each invoice that the lines name, with their sum."""
    sums: Counter[str] = Counter()
    for line in lines:
        sums[line.get("invoice_number", "G1")] += Decimal(line["total"])  # type: ignore[assignment]
    return invoice_rows(*(
        {"invoice_number": number, "total_charges": total, "currency_code": CURRENCIES[number]}
        for number, total in sums.items()
    ))  # fmt: skip


def judged(table: pa.Table, lines: list[Row], price_list: pa.Table | None = None, **more: Any) -> Reconciliation:
    return month(table, prices=prices() if price_list is None else price_list, invoices=documents(lines), **more)


def found(result: Reconciliation) -> list[tuple[Any, ...]]:
    """The findings without where their rows stand."""
    rows = result.findings.drop_columns(["source_file", "source_row", "message"]).to_pylist()
    return sorted(tuple(map(str, row.values())) for row in rows)


@quickly
@given(lines=wild_lines())
def test_every_billed_cent_is_concluded_and_explained(lines: list[Row]) -> None:
    result = judged(recon_rows(*lines), lines).lines.to_pylist()
    for number, currency in CURRENCIES.items():
        own = [line for line in lines if line["invoice_number"] == number]
        concluded = [line for line in result if line["invoice_number"] == number]
        assert {line["currency"] for line in concluded} <= {currency}
        for column in ("subtotal", "total"):
            assert sum(line[f"{column}_amount"] for line in concluded) == sum(line[column] for line in own)
        explained = sum(line["expected_subtotal_amount"] + line["difference_amount"] for line in concluded)
        assert explained == sum(line["subtotal"] for line in own)


@quickly
@given(lines=wild_lines(), data=st.data())
def test_a_run_that_loses_or_makes_money_is_refused(lines: list[Row], data: st.DataObject) -> None:
    table = recon_rows(*lines)
    delivered = added(sums_of_source(table, "invoice_recon"))
    concluded = judged(table, lines).lines
    check_conservation(delivered, concluded)
    row = data.draw(st.integers(0, len(lines) - 1))
    with pytest.raises(ConservationError, match=lines[row]["invoice_number"]):
        check_conservation(delivered, pa.concat_tables([concluded.slice(0, row), concluded.slice(row + 1)]))
    columns = ["subtotal_amount", "total_amount", "difference_amount", "expected_subtotal_amount"]
    changed = data.draw(st.sampled_from(columns))
    values = concluded.column(changed).to_pylist()
    values[row] += data.draw(st.sampled_from([CENT, -CENT, Decimal("1e-18")]))
    place, kind = concluded.column_names.index(changed), concluded.schema.field(changed)
    with pytest.raises(ConservationError):
        check_conservation(delivered, concluded.set_column(place, kind, pa.array(values, kind.type)))


@quickly
@given(lines=wild_lines(), order=st.randoms(use_true_random=False), files=st.integers(1, 10), part=st.integers(1, 9))
def test_order_files_and_parts_change_nothing(lines: list[Row], order: Any, files: int, part: int) -> None:
    lines = [*lines, lines[0]]
    shuffled = list(lines)
    order.shuffle(shuffled)
    parts = [recon_rows(*shuffled[start::files], file=f"part{start}.csv") for start in range(files)]
    whole, split = judged(recon_rows(*lines), lines), judged(
        identified(pa.concat_tables(parts), "invoice_recon"), lines, rows_a_part=part
    )
    assert whole.content_digest == split.content_digest
    assert found(whole) == found(split)
    assert found(judged(recon_rows(*lines), lines)) == found(whole)


@quickly
@given(lines=wild_lines(), seats=st.integers(1, 300), sku=st.sampled_from(list(SKUS)))
def test_a_clean_customer_more_changes_no_finding(lines: list[Row], seats: int, sku: str) -> None:
    customer = {**clean_line("new", sku, seats), "customer_id": "new", "invoice_number": "G4",
                "pc_to_bc_exchange_rate_date": date(2025, 11, 1)}  # fmt: skip
    before, after = judged(recon_rows(*lines), lines), judged(recon_rows(*lines, customer), [*lines, customer])
    assert found(before) == found(after)


@quickly
@given(data=st.data(), scale=st.sampled_from([2, 3, 10, 1000]))
def test_scaling_all_prices_raises_nothing_new(data: st.DataObject, scale: int) -> None:
    lines = data.draw(clean_lines())
    scaled = [
        {**line, **{name: line[name] * scale for name in ("unit_price", "effective_unit_price", "subtotal", "total")}}
        for line in lines
    ]
    assert found(judged(recon_rows(*lines), lines)) == []
    assert found(judged(recon_rows(*scaled), scaled, prices(scale))) == []


@quickly
@given(seats=st.integers(1, 500), sku=st.sampled_from(list(SKUS)), first=st.integers(2, 30), wide=st.booleans(),
       cut=st.booleans())  # fmt: skip
def test_no_proration_of_the_list_price_is_a_finding(seats: int, sku: str, first: int, wide: bool, cut: bool) -> None:
    """Seats bought on any day, billed by either documented rounding, the price printed in two or ten decimals."""
    list_price, days = Decimal(SKUS[sku][0]), 31 - first
    exact = list_price * days / 30
    subtotal = (exact.quantize(CENT, ROUND_DOWN) * seats) if cut else (exact * seats).quantize(CENT, ROUND_DOWN)
    printed = exact.quantize(Decimal("1e-10") if wide else CENT, ROUND_DOWN if cut else ROUND_HALF_UP)
    line = {
        **clean_line("s", sku, seats), "charge_type": "addQuantity", "charge_start_date": date(2025, 11, first),
        "effective_unit_price": printed, "subtotal": subtotal, "total": subtotal,
    }  # fmt: skip
    assert found(judged(recon_rows(line), [line])) == []


@quickly
@given(quantities=st.lists(st.integers(1, 10**9), min_size=1, max_size=20), effective=st.integers(0, 10**10))
def test_usage_is_explained_to_the_last_digit(quantities: list[int], effective: int) -> None:
    price = Decimal(effective).scaleb(-10)
    rows: list[Row] = [
        {"meter_id": f"m{n}", "quantity": (used := Decimal(q).scaleb(-6)), "effective_unit_price": price,
         "unit_price": price, "billing_pre_tax_total": price * used} for n, q in enumerate(quantities)
    ]  # fmt: skip
    lines = month(usage=usage_rows(*rows)).lines.to_pylist()[1:]
    assert {line["rounding_rule"] for line in lines} == {"U"}
    assert all(line["expected_subtotal_amount"] == line["subtotal_amount"] for line in lines)
    off = month(usage=usage_rows({**rows[0], "billing_pre_tax_total": price * rows[0]["quantity"] + Decimal("2e-6")}))
    assert off.lines.to_pylist()[1]["rounding_rule"] is None


def test_the_lines_of_these_tests_are_of_the_listed_product() -> None:
    assert LINE["product_id"] == PRICE["product_id"]
