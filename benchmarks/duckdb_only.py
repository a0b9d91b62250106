"""What a good engineer would write with DuckDB alone: `python -m benchmarks.duckdb_only MODE FOLDER [FILE]`.

`reconcile` reads the columns that the rules need and prints findings by code and sums by invoice. `check` prints the
same after checking whole rows: every column is typed, each line gets an id, and all count in a digest. `load` puts the
whole exports and the priced lines into the tables that csp-billing has, in a new DuckDB file, and prints the same.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import duckdb

from benchmarks import duckdb_load
from benchmarks.answers import answer
from benchmarks.duckdb_rules import FINDINGS, MACROS, PRICES, RECON, ROUNDING, USAGE

_PRICE, _QUANTITY, _RATE, _CHARGE = "DECIMAL(18,10)", "DECIMAL(18,10)", "DECIMAL(12,9)", "DECIMAL(18,10)"
#: What the exports' columns are read as; the others are texts.
TYPES = {
    "UnitPrice": "DECIMAL(18,8)", "EffectiveUnitPrice": _PRICE, "Quantity": _QUANTITY,
    "BillableQuantity": _QUANTITY,     "PCToBCExchangeRate": _RATE,
    "BillingPreTaxTotal": _CHARGE, "PricingPreTaxTotal": _CHARGE,
    "PartnerEarnedCreditPercentage": "DECIMAL(9,6)", "CreditPercentage": "DECIMAL(9,6)", "Subtotal": "DECIMAL(18,6)",
    "TaxTotal": "DECIMAL(18,6)", "Total": "DECIMAL(18,6)", "ERP Price": "DECIMAL(18,8)",
    **dict.fromkeys(("UsageDate", "ChargeStartDate", "ChargeEndDate", "PCToBCExchangeRateDate", "SubscriptionStartDate",
                     "SubscriptionEndDate"), "DATE"),
}  # fmt: skip


def reader(path: Path) -> str:
    """The `read_csv` call for an export."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file))
    columns = ", ".join(f"'{name}': '{TYPES.get(name, 'VARCHAR')}'" for name in names)
    return (
        f"read_csv('{path}', auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', "
        f"dateformat = '%m/%d/%Y', columns = {{{columns}}})"
    )


def price_lists(folder: Path) -> list[Path]:
    """The price lists of the folder."""
    return sorted(path for path in folder.glob("*.csv") if path.name not in ("daily_usage.csv", "invoice_recon.csv"))


def prepare(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Make the views that the rules read, on the files themselves."""
    for name, view in (("daily_usage", "usage_in"), ("invoice_recon", "recon_in")):
        path = folder / f"{name}.csv"
        if path.exists():
            connection.execute(f"create temp view {view} as select 0 as ref, * from {reader(path)}")
    if not (folder / "daily_usage.csv").exists():
        columns = ", ".join(f"null::{kind} as {name}" for name, kind in _USAGE_COLUMNS.items())
        connection.execute(f"create temp view usage_in as select 0 as ref, {columns} where false")
    parts = []
    for path in price_lists(folder):
        is_licence = "BillingPlan" in path.open(encoding="utf-8-sig").readline()
        erp, segment, plan = ('"ERP Price"', "Segment", "BillingPlan") if is_licence else ("null", "null", "null")
        meter = "null" if is_licence else "MeterId"
        parts.append(
            f"select 0 as ref, ProductId, SkuId, TermDuration, {plan}::varchar as BillingPlan, Market, Currency, "
            f"UnitPrice, {erp}::decimal(18, 8) as ERPPrice, {segment}::varchar as Segment, "
            f"{meter}::varchar as MeterId, left(EffectiveStartDate, 26)::timestamp as starts, "
            f"left(EffectiveEndDate, 26)::timestamp as ends from {reader(path)}"
        )
    connection.execute("create temp view price_in as " + " union all ".join(parts))
    connection.execute(
        "create temp view invoice_in as select item.id as number, item.totalCharges::decimal(18, 6) as total, "
        "item.currencyCode as currency, lower(item.documentType) as kind, item.amendsOf as amends from "
        f"(select unnest(items) as item from read_json('{folder / 'invoices.json'}', columns = {{items: "
        "'STRUCT(id VARCHAR, totalCharges VARCHAR, currencyCode VARCHAR, documentType VARCHAR, amendsOf VARCHAR)[]'}))"
    )


_USAGE_COLUMNS = {
    **dict.fromkeys(("InvoiceNumber", "SubscriptionId", "ProductId", "SkuId", "MeterId", "CustomerCountry",
                     "PricingCurrency", "BillingCurrency", "PublisherName", "BenefitId", "BenefitOrderId", "CreditType",
                     "MeterName", "SkuName", "MeterSubCategory"), "VARCHAR"),
    **{name: TYPES[name] for name in ("UsageDate", "UnitPrice", "BillingPreTaxTotal", "PCToBCExchangeRate", "Quantity",
                                      "PCToBCExchangeRateDate", "EffectiveUnitPrice", "PartnerEarnedCreditPercentage")},
}  # fmt: skip


def apply_rules(connection: duckdb.DuckDBPyConnection, usage_detail: str = "", recon_detail: str = "") -> None:
    """Run the rules; the details name what more of every line is to be kept."""
    usage, recon = USAGE.replace("{detail}", usage_detail), RECON.format(detail=recon_detail)
    for script in (MACROS, PRICES, usage, recon, ROUNDING, FINDINGS):
        connection.execute(script)


def summary(connection: duckdb.DuckDBPyConnection) -> str:
    """The answer, from what the rules left."""

    def rows(query: str) -> list[Any]:
        return connection.execute(query).fetchall()

    lines, unexplained = rows("select sum(lines), sum(unexplained) from grouped")[0]
    codes = dict(rows("select code, count(*) from found group by code"))
    sums = {inv: (lines, usage) for inv, lines, usage in rows("select inv, lines, usage from sums")}
    return answer(int(lines), codes, int(unexplained), sums)


def main(mode: str, folder: Path, file: Path | None = None) -> None:
    """Reconcile a folder, or load it into a new file."""
    connection = duckdb.connect(str(file) if file else ":memory:")
    connection.execute("set preserve_insertion_order = false")
    if mode == "load":
        duckdb_load.load(connection, folder, apply_rules)
    elif mode == "check":
        duckdb_load.check(connection, folder, apply_rules)
    else:
        prepare(connection, folder)
        apply_rules(connection)
    print(summary(connection))
    connection.close()


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
