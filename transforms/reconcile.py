"""The reconciliation of one billing period: normalised exports in; priced lines, findings and tie-out out.

Pure: the same rows give the same result whatever their order and however they were split into files.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories, categorise
from transforms.charge_checks import check_currencies, check_exchange_rates, check_overlaps, check_terms
from transforms.conservation import check_conservation
from transforms.continuity import check_continuity
from transforms.digests import combined_digest, digest_table
from transforms.findings import Finding, findings_table
from transforms.line_checks import Floors, check_margin, check_price_found, check_sums, check_unit_price
from transforms.line_reader import LineReader
from transforms.money import Fixed, Integers, currency_exponent
from transforms.policy import Policy
from transforms.pricing import Pricing, price_lines
from transforms.rounding import RoundingResult, explain_subtotals, explain_usage
from transforms.tables import LINES
from transforms.tieout import tie_out
from transforms.usage_checks import check_partner_earned_credit, check_usage


@dataclass(frozen=True)
class PeriodRows:
    """What is known of a period: rows of the source tables, lines with their `line_id`.

    `price_lists` holds every list ever loaded, not only the period's; `rejected` the rows in quarantine; `previous`
    the reconciliation lines of the period before, no rows where it was never reconciled.
    """

    period: str

    recon: pa.Table
    usage: pa.Table
    invoices: pa.Table
    price_lists: pa.Table
    rejected: pa.Table
    previous: pa.Table


@dataclass(frozen=True)
class Reconciliation:
    """Rows of the lines, findings and invoice tie-out tables, without run_id and period."""

    lines: pa.Table
    findings: pa.Table
    tieout: pa.Table

    @property
    def blocking(self) -> int:
        """Findings of severity block."""
        return int(pc.sum(pc.equal(self.findings.column("severity"), "block")).as_py() or 0)

    @property
    def content_digest(self) -> str:
        """Digest of what was concluded; where the rows were delivered does not count."""
        provenance = ("source_file", "source_row", "price_file_sha256", "price_source_file", "price_source_row")
        lines = self.lines.drop_columns(list(provenance))
        findings = self.findings.drop_columns(["source_file", "source_row", "message"])
        return combined_digest(digest_table(lines), digest_table(findings))


def reconcile(rows: PeriodRows, policy: Policy) -> Reconciliation:
    """Match, recompute, classify and tie out the lines of a period."""
    recon = rows.recon
    categories = categorise(recon)
    pricing = price_lines(recon, categories, rows.price_lists, policy)
    numbers = _Numbers.of(recon)
    rounding = _explain(recon, categories, numbers, policy)
    reader = LineReader(recon)
    floors = Floors(policy, recon.column("customer_id").combine_chunks())
    tieout, findings = tie_out(recon, rows.usage, rows.invoices, policy)
    findings += check_sums(reader, rounding, numbers.subtotal, numbers.tax, numbers.total)
    findings += check_price_found(reader, pricing)
    findings += check_unit_price(reader, pricing, numbers.unit_price, recon.column("promotion_id"))
    findings += check_margin(reader, pricing, numbers.effective, categories, numbers.subtotal, floors)
    findings += _check_charges(rows, categories, reader)
    findings += check_usage(recon, categories, rows.usage) + check_partner_earned_credit(rows.usage)
    findings += _rejected(rows.rejected)
    lines = pa.concat_tables([_recon_lines(recon, pricing, rounding, numbers), _usage_lines(rows.usage)])
    check_conservation(recon, rows.usage, lines)
    return Reconciliation(lines, findings_table(findings, policy), tieout)


def _check_charges(rows: PeriodRows, categories: Categories, reader: LineReader) -> list[Finding]:
    """The checks of lines against each other, their invoice, their term, and the previous period."""
    previous_categories = categorise(rows.previous)
    return [
        *check_exchange_rates(reader, rows.recon),
        *check_currencies(rows.recon, "currency", rows.invoices),
        *check_currencies(rows.usage, "billing_currency", rows.invoices),
        *check_terms(reader, rows.recon, categories),
        *check_overlaps(reader, rows.recon, categories, rows.previous, previous_categories),
        *check_continuity(rows.recon, categories, rows.previous, previous_categories, rows.period),
    ]


@dataclass(frozen=True)
class _Numbers:
    """The numeric columns of the reconciliation lines; an absent tax is none, an absent rate 1."""

    unit_price: Fixed
    effective: Fixed
    quantity: Fixed
    rate: Fixed
    subtotal: Fixed
    tax: Fixed
    total: Fixed
    places: Integers

    @classmethod
    def of(cls, recon: pa.Table) -> _Numbers:
        def column(name: str) -> Fixed:
            return Fixed.from_arrow(recon.column(name))

        def filled(name: str, value: int) -> Fixed:
            there = column(name)
            return there.where(there.valid, Fixed.constant(value, len(there)))

        quantity = column("billable_quantity")
        return cls(
            unit_price=column("unit_price"),
            effective=column("effective_unit_price"),
            quantity=quantity.where(quantity.valid, column("quantity")),
            rate=filled("pc_to_bc_exchange_rate", 1),
            subtotal=column("subtotal"),
            tax=filled("tax_total", 0),
            total=column("total"),
            places=_places(recon.column("currency").combine_chunks()),
        )


def _places(currencies: pa.Array) -> Integers:
    encoded = currencies.dictionary_encode()
    exponents = np.array([*(currency_exponent(name) for name in encoded.dictionary.to_pylist()), 2], dtype=np.int64)
    places: Integers = exponents[np.asarray(encoded.indices.fill_null(len(exponents) - 1))]
    return places


def _explain(recon: pa.Table, categories: Categories, numbers: _Numbers, policy: Policy) -> RoundingResult:
    """Rounding rules of the subtotals; a customer credit is explained by its magnitude.

    A credit carries the quantity of the charge it credits and may print its unit price without the sign.
    """
    price, quantity = numbers.effective, numbers.quantity
    negative = numbers.subtotal.sign() < 0
    magnitude = price.abs().where(~negative, -price.abs())
    price = magnitude.where(categories.credit, price)
    quantity = quantity.abs().where(categories.credit, quantity)
    return explain_subtotals(price, quantity, numbers.rate, numbers.subtotal, numbers.places, policy)


def _rejected(rejected: pa.Table) -> list[Finding]:
    """ROW_REJECTED for each row in quarantine."""
    return [
        Finding(
            "ROW_REJECTED",
            f"{row['source_file']} row {row['source_row']}: {row['reason']}",
            row["invoice_number"],
            currency=row["currency"],
            source_file=row["source_file"],
            source_row=row["source_row"],
        )
        for row in rejected.to_pylist()
    ]


def _recon_lines(recon: pa.Table, pricing: Pricing, rounding: RoundingResult, numbers: _Numbers) -> pa.Table:
    """Reconciliation lines as rows of the lines table.

    The ERP amount is the ERP price per charge cycle × quantity × the billed share of the cycle × exchange rate,
    rounded half up to the billing currency's smallest coin, with the sign of the charge.
    """
    quantity = numbers.quantity.abs().times(pricing.billed_days)
    gross = (pricing.erp_term_price * quantity) * numbers.rate
    signed = gross.where(numbers.subtotal.sign() >= 0, -gross)
    erp = signed.divide(pricing.per_term * pricing.cycle_days, numbers.places, half_up=True)
    amount = LINES["erp_amount"].kind
    columns = {
        **_common(recon, "invoice_recon"),
        "charge_start_on": recon.column("charge_start_date"),
        "charge_end_on": recon.column("charge_end_date"),
        "quantity": numbers.quantity.to_arrow(LINES["quantity"].kind),
        "list_unit_price": pricing.list_price.to_arrow(LINES["list_unit_price"].kind),
        "erp_unit_price": pricing.erp_price.to_arrow(LINES["erp_unit_price"].kind),
        "subtotal_amount": recon.column("subtotal"),
        "tax_amount": recon.column("tax_total"),
        "total_amount": recon.column("total"),
        "currency": recon.column("currency"),
        "erp_amount": erp.to_arrow(amount),
        "margin_amount": (erp - numbers.subtotal).to_arrow(amount),
        **pricing.price_rows(),
        **_recomputed(rounding, numbers.subtotal),
    }
    return _as_lines(columns)


def _recomputed(rounding: RoundingResult, charge: Fixed) -> dict[str, pa.Array]:
    """What a line should cost and the difference; the whole charge is the difference where nothing was recomputed."""
    expected = rounding.nearest
    difference = (charge - expected).where(expected.valid, charge)
    kind = LINES["difference_amount"].kind
    return {
        "expected_subtotal_amount": expected.to_arrow(kind),
        "difference_amount": difference.to_arrow(kind),
        "rounding_rule": pa.array([rule or None for rule in rounding.rule], pa.string()),
    }


def _usage_lines(usage: pa.Table) -> pa.Table:
    """Usage lines as rows of the lines table: charged on the usage date, before tax."""
    rate, charge = Fixed.from_arrow(usage.column("pc_to_bc_exchange_rate")), usage.column("billing_pre_tax_total")
    rounding = explain_usage(
        Fixed.from_arrow(usage.column("effective_unit_price")),
        Fixed.from_arrow(usage.column("quantity")),
        rate.where(rate.valid, Fixed.constant(1, len(rate))),
        Fixed.from_arrow(charge),
    )
    columns = {
        **_common(usage, "daily_usage"),
        "charge_start_on": usage.column("usage_date"),
        "charge_end_on": usage.column("usage_date"),
        "quantity": usage.column("quantity"),
        "subtotal_amount": charge,
        "total_amount": charge,
        "currency": usage.column("billing_currency"),
        **_recomputed(rounding, Fixed.from_arrow(charge)),
    }
    return _as_lines(columns)


def _common(table: pa.Table, source: str) -> dict[str, pa.Array | pa.ChunkedArray]:
    names = (
        "line_id", "invoice_number", "customer_id", "customer_name", "subscription_id", "product_id", "sku_id",
        "sku_name", "charge_type", "unit_price", "effective_unit_price", "source_file", "source_row",
    )  # fmt: skip
    columns = {name: table.column(name) for name in names}
    return {**columns, "source": pa.repeat(pa.scalar(source), table.num_rows)}


def _as_lines(columns: dict[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """In the order and types of the lines table, less run_id and period; what is not given is null."""
    rows = len(columns["line_id"])
    arrays, fields = [], []
    for column in LINES.columns:
        if column.name in ("run_id", "period"):
            continue
        array = columns.get(column.name, pa.nulls(rows, column.kind.arrow_type))
        arrays.append(array.cast(column.kind.arrow_type))
        fields.append(LINES.schema.field(column.name))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
