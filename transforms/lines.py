"""Judged rows as rows of the lines table."""

from __future__ import annotations

import pyarrow as pa

from transforms.line_numbers import LineNumbers
from transforms.money import Fixed
from transforms.pricing import Pricing
from transforms.rounding import RoundingResult, UsageResult
from transforms.tables import LINES
from transforms.texts import ENCODED, encoded, repeated

_COMMON = (
    "line_id", "invoice_number", "customer_id", "customer_name", "subscription_id", "product_id", "sku_id",
    "sku_name", "charge_type", "unit_price", "effective_unit_price", "source_file", "source_row",
)  # fmt: skip
#: Numbers of the lines table that are given for these only.
Columns = dict[str, pa.Array | pa.ChunkedArray]


def recon_lines(recon: pa.Table, pricing: Pricing, rounding: RoundingResult, numbers: LineNumbers) -> pa.Table:
    """Reconciliation lines as rows of the lines table.

    The ERP amount is the ERP price per charge cycle × quantity × the billed share of the cycle × exchange rate,
    rounded half up to the billing currency's smallest coin, with the sign of the charge.
    """
    amount = LINES["erp_amount"].kind
    charged = pricing.erp_term_price * numbers.quantity.abs().times(pricing.billed)
    share = charged.rounded_product(
        numbers.rate, numbers.coins.billing, half_up=True, divisors=pricing.per_term * pricing.full
    )
    erp = share.where(numbers.subtotal.sign() >= 0, -share).fitting(amount)
    kind = LINES["difference_amount"].kind
    expected = rounding.nearest.fitting(kind)
    difference = (numbers.subtotal - expected).where(expected.valid, numbers.subtotal)
    columns = {
        **_common(recon, "invoice_recon"),
        "charge_start_on": recon.column("charge_start_date"),
        "charge_end_on": recon.column("charge_end_date"),
        "quantity": numbers.quantity.to_arrow(LINES["quantity"].kind),
        **_prices(pricing),
        "subtotal_amount": recon.column("subtotal"),
        "tax_amount": recon.column("tax_total"),
        "total_amount": recon.column("total"),
        "currency": recon.column("currency"),
        "erp_amount": erp.to_arrow(amount),
        "margin_amount": (erp - numbers.subtotal).fitting(amount).to_arrow(amount),
        "expected_subtotal_amount": expected.to_arrow(kind),
        "difference_amount": difference.to_arrow(kind),
        "rounding_rule": rounding.rules(),
    }
    return _as_lines(columns)


def usage_lines(usage: pa.Table, pricing: Pricing, result: UsageResult) -> pa.Table:
    """Usage lines as rows of the lines table: charged on the usage date, before tax."""
    charge = usage.column("billing_pre_tax_total")
    columns = {
        **_common(usage, "daily_usage"),
        "charge_start_on": usage.column("usage_date"),
        "charge_end_on": usage.column("usage_date"),
        "quantity": usage.column("quantity"),
        **_prices(pricing),
        "subtotal_amount": charge,
        "total_amount": charge,
        "currency": usage.column("billing_currency"),
        "expected_subtotal_amount": result.expected,
        "difference_amount": result.difference,
        "rounding_rule": result.rules(),
    }
    del columns["erp_unit_price"]
    return _as_lines(columns)


def _common(table: pa.Table, source: str) -> Columns:
    columns: Columns = {name: table.column(name) for name in _COMMON}
    return {**columns, "source": repeated(source, table.num_rows)}


def _prices(pricing: Pricing) -> Columns:
    return {
        "list_unit_price": _price(pricing.list_price, "list_unit_price"),
        "erp_unit_price": _price(pricing.erp_price, "erp_unit_price"),
        **pricing.price_rows(),
    }


def _price(column: Fixed, name: str) -> pa.Array:
    return column.to_arrow(LINES[name].kind)


def _as_lines(columns: Columns) -> pa.Table:
    """In the order of the lines table, less run_id and period; what is not given is null.

    Texts are dictionary-encoded but the identity, which repeats in no line, and decimals keep the scale they have.
    """
    rows = len(columns["line_id"])
    arrays = {}
    for column in LINES.columns:
        if column.name in ("run_id", "period"):
            continue
        array = columns.get(column.name)
        is_text = column.kind.arrow_type == pa.string() and column.name != "line_id"
        if array is None:
            array = pa.nulls(rows, ENCODED if is_text else column.kind.arrow_type)
        arrays[column.name] = encoded(array) if is_text else array
    return pa.table(arrays)
