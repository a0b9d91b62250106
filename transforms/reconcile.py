"""The reconciliation of one billing period: normalised exports in; priced lines, findings and tie-out out.

Pure: the same rows give the same result whatever their order and however they were split into files. Only which of two
charges for the same days, ordered at the same time, is called the second one is told by their place in the files.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from transforms.azure_prices import azure_lists_of
from transforms.categories import Categories, categorise
from transforms.charge_checks import check_overlaps, check_terms
from transforms.conservation import Sums, added, check_conservation, sums_of_quarantine
from transforms.continuity import check_continuity
from transforms.currency_checks import check_currencies, check_exchange_rates
from transforms.customer_checks import check_mapping
from transforms.customer_rules import LineRules
from transforms.digests import combined_digest, digest_table
from transforms.documents import voided_invoices, without_voided
from transforms.findings import Finding, findings_table
from transforms.line_checks import check_margin, check_price_found, check_sums, check_unit_price
from transforms.line_numbers import LineNumbers
from transforms.line_reader import LineReader
from transforms.money import Fixed
from transforms.policy import Policy
from transforms.pricing import Pricing, price_lines, price_usage
from transforms.rounding import RoundingResult, explain_subtotals, explain_usage
from transforms.tables import LINES
from transforms.tieout import tie_out
from transforms.usage_checks import check_partner_earned_credit, check_usage


@dataclass(frozen=True)
class PeriodRows:
    """What is known of a period: rows of the source tables, lines with their `line_id`.

    Attributes:
        price_lists: every list ever loaded, not only the period's.
        delivered_lists: SHA-256 of the lists that came with the period's exports.
        rejected: the rows in quarantine.
        previous: the reconciliation lines of the period before that stand, no rows where it was never reconciled.
        mapped_customers: tenants (customer ids in lower case) that a HaloPSA client is known for.
        delivered: sums of the period's lines as they were delivered, those in quarantine included.
        left_out: sums of those of them that do not count: older versions, and unbilled lines that are billed by now.
    """

    period: str
    recon: pa.Table
    usage: pa.Table
    invoices: pa.Table
    price_lists: pa.Table
    rejected: pa.Table
    previous: pa.Table
    delivered: Sums
    left_out: Sums
    delivered_lists: frozenset[str] = frozenset()
    mapped_customers: frozenset[str] = frozenset()


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
    recon, usage = rows.recon, rows.usage
    categories = categorise(recon)
    lists = azure_lists_of(rows.period, rows.price_lists, rows.delivered_lists)
    pricing = price_lines(recon, categories, rows.price_lists, lists, policy)
    usage_pricing = price_usage(usage, rows.price_lists, lists)
    numbers, usage_numbers = LineNumbers.of_recon(recon), LineNumbers.of_usage(usage)
    rules = LineRules(policy, recon.column("customer_id"))
    rounding, usage_rounding = _explain(categories, numbers, rules), explain_usage(usage_numbers)
    reader, usage_reader = LineReader(recon), LineReader(usage, "billing_currency")
    tieout, findings = tie_out(recon, usage, rows.invoices, policy)
    findings += check_sums(reader, rounding, numbers)
    findings += check_price_found(reader, pricing) + check_price_found(usage_reader, usage_pricing)
    findings += check_unit_price(reader, pricing, numbers, recon.column("promotion_id"))
    findings += check_unit_price(usage_reader, usage_pricing, usage_numbers, None)
    findings += check_margin(reader, pricing, numbers, rules)
    findings += check_terms(reader, recon, categories)
    findings += check_exchange_rates(recon, usage)
    findings += check_currencies(recon, "currency", rows.invoices)
    findings += check_currencies(usage, "billing_currency", rows.invoices)
    findings += check_partner_earned_credit(usage)
    findings += _check_standing(rows, categories)
    findings += check_mapping(recon, usage, rows.mapped_customers)
    findings += _rejected(rows.rejected)
    own_lines = _recon_lines(recon, pricing, rounding, numbers)
    lines = pa.concat_tables([own_lines, _usage_lines(usage, usage_pricing, usage_rounding, usage_numbers)])
    check_conservation(rows.delivered, added(rows.left_out, sums_of_quarantine(rows.rejected)), lines)
    return Reconciliation(lines, findings_table(findings, policy), tieout)


def _check_standing(rows: PeriodRows, categories: Categories) -> list[Finding]:
    """The checks of what is charged in all: against other lines, the previous period and the daily usage.

    Lines of a voided invoice are left out; its rebill charges them again.
    """
    voided = voided_invoices(rows.invoices)
    recon, usage = without_voided(rows.recon, voided), without_voided(rows.usage, voided)
    categories = categories if recon is rows.recon else categorise(recon)
    previous_categories = categorise(rows.previous)
    unread = rows.rejected.column("raw_text").to_pylist()
    return [
        *check_overlaps(LineReader(recon), recon, categories, rows.previous, previous_categories),
        *check_continuity(recon, categories, rows.previous, previous_categories, rows.period, unread),
        *check_usage(recon, categories, usage),
    ]


def _explain(categories: Categories, numbers: LineNumbers, rules: LineRules) -> RoundingResult:
    """Rounding rules of the subtotals; a customer credit is explained by its magnitude.

    A credit carries the quantity of the charge it credits and may print its unit price without the sign.
    """
    price, quantity = numbers.effective, numbers.quantity
    negative = numbers.subtotal.sign() < 0
    magnitude = price.abs().where(~negative, -price.abs())
    price = magnitude.where(categories.credit, price)
    quantity = quantity.abs().where(categories.credit, quantity)
    return explain_subtotals(price, quantity, numbers.rate, numbers.subtotal, numbers.coins, rules)


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


def _recon_lines(recon: pa.Table, pricing: Pricing, rounding: RoundingResult, numbers: LineNumbers) -> pa.Table:
    """Reconciliation lines as rows of the lines table.

    The ERP amount is the ERP price per charge cycle × quantity × the billed share of the cycle × exchange rate,
    rounded half up to the billing currency's smallest coin, with the sign of the charge.
    """
    quantity = numbers.quantity.abs().times(pricing.billed)
    gross = (pricing.erp_term_price * quantity) * numbers.rate
    signed = gross.where(numbers.subtotal.sign() >= 0, -gross)
    erp = signed.divide(pricing.per_term * pricing.full, numbers.coins.billing, half_up=True)
    amount = LINES["erp_amount"].kind
    erp = erp.fitting(amount)
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
        "margin_amount": (erp - numbers.subtotal).fitting(amount).to_arrow(amount),
        **pricing.price_rows(),
        **_recomputed(rounding, numbers.subtotal),
    }
    return _as_lines(columns)


def _recomputed(rounding: RoundingResult, charge: Fixed) -> dict[str, pa.Array]:
    """What a line should cost and the difference; the whole charge is the difference where nothing was recomputed."""
    kind = LINES["difference_amount"].kind
    expected = rounding.nearest.fitting(kind)
    difference = (charge - expected).where(expected.valid, charge)
    return {
        "expected_subtotal_amount": expected.to_arrow(kind),
        "difference_amount": difference.to_arrow(kind),
        "rounding_rule": pa.array([rule or None for rule in rounding.rule], pa.string()),
    }


def _usage_lines(usage: pa.Table, pricing: Pricing, rounding: RoundingResult, numbers: LineNumbers) -> pa.Table:
    """Usage lines as rows of the lines table: charged on the usage date, before tax."""
    charge = usage.column("billing_pre_tax_total")
    columns = {
        **_common(usage, "daily_usage"),
        "charge_start_on": usage.column("usage_date"),
        "charge_end_on": usage.column("usage_date"),
        "quantity": usage.column("quantity"),
        "list_unit_price": pricing.list_price.to_arrow(LINES["list_unit_price"].kind),
        "subtotal_amount": charge,
        "total_amount": charge,
        "currency": usage.column("billing_currency"),
        **pricing.price_rows(),
        **_recomputed(rounding, numbers.subtotal),
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
