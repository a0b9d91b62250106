"""What a good engineer would write with Polars alone: `python -m benchmarks.polars_only FOLDER` prints the answer.

Polars is needed for this alone: `pip install '.[benchmarks]'`. Covered are the rules of `benchmarks.duckdb_rules`.
Products of decimals would be rounded to the wider scale, so they are computed with the 128-bit integers behind them.
"""

from __future__ import annotations

import csv
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.answers import answer
from benchmarks.polars_licences import licence_findings

Frame = Any
_KEY = ["inv", "sub", "product", "sku"]
#: Decimals that figures are read with.
SCALES = {"UnitPrice": 10, "EffectiveUnitPrice": 10, "Quantity": 10, "BillableQuantity": 10, "PCToBCExchangeRate": 9,
          "BillingPreTaxTotal": 10, "PartnerEarnedCreditPercentage": 6, "Subtotal": 6, "TaxTotal": 6, "Total": 6,
          "ERP Price": 10}  # fmt: skip
_TOLERANCE = 10**23


def scan(path: Path) -> Frame:
    """An export with exact decimals; everything else is text."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next(csv.reader(file))
    types = {name: pl.Decimal(18, SCALES[name]) if name in SCALES else pl.String for name in names}
    return pl.scan_csv(path, schema=types, encoding="utf8")


def units(name: str) -> Any:
    """A decimal column as a whole number of its last decimal."""
    return pl.col(name).to_physical().cast(pl.Int128)


def canonical(name: str) -> Any:
    """A SKU's canonical form."""
    return pl.col(name).str.strip_chars().str.to_uppercase().str.zfill(4)


def days(name: str) -> Any:
    """A date as the exports write it."""
    return pl.col(name).str.to_date("%m/%d/%Y")


def first_party() -> Any:
    """Whether Microsoft itself sells it."""
    return pl.col("PublisherName").str.strip_chars().str.to_lowercase().is_in(["microsoft", "microsoft corporation"])


def read_usage(path: Path) -> Frame:
    """The usage with what the rules need of it."""
    price, effective, percentage = pl.col("UnitPrice"), pl.col("EffectiveUnitPrice"), "PartnerEarnedCreditPercentage"
    metered = (
        first_party() & (pl.col("BenefitId").fill_null("") == "") & (pl.col("BenefitOrderId").fill_null("") == "")
        & ~pl.col("CreditType").fill_null("").str.to_lowercase().str.contains("azure credit", literal=True)
        & ((price != 0) | (effective != 0))
    )  # fmt: skip
    named = pl.concat_str(["MeterName", "SkuName", "MeterSubCategory"], separator=" ", ignore_nulls=True)
    charge, rate = units("BillingPreTaxTotal"), units("PCToBCExchangeRate").fill_null(10**9)
    apart = (units("EffectiveUnitPrice") * units("Quantity") * rate - charge * 10**19).abs()
    frame = scan(path).select(
        inv="InvoiceNumber", sub=pl.col("SubscriptionId").str.to_lowercase(), product="ProductId",
        sku=canonical("SkuId"), meter=pl.col("MeterId").str.to_lowercase(),
        market=pl.col("CustomerCountry").str.to_uppercase(), pricing=pl.col("PricingCurrency").str.to_uppercase(),
        currency="BillingCurrency", day=days("UsageDate"), price=price, charge="BillingPreTaxTotal",
        rate="PCToBCExchangeRate", rated="PCToBCExchangeRateDate", metered=metered, unexplained=apart > _TOLERANCE,
        uncredited=metered & (pl.col(percentage).fill_null(0) == 0) & (effective > 0) & (pl.col("Quantity") > 0),
        named=pl.when(pl.col(percentage).fill_null(0) == 0).then(named),
    )  # fmt: skip
    collected = frame.collect(engine="streaming")
    spot = pl.col("named").str.to_lowercase().str.contains(r"\bspot\b").fill_null(False)
    return collected.with_columns(uncredited=pl.col("uncredited") & ~spot).drop("named").with_row_index("line")


def read_prices(path: Path) -> Frame:
    """A price list with days."""
    frame = scan(path)
    names = frame.collect_schema().names()
    return frame.select(
        product=pl.col("ProductId").str.to_uppercase(), sku=canonical("SkuId"), market="Market", pricing="Currency",
        meter=pl.col("MeterId").str.to_lowercase() if "MeterId" in names else pl.lit(None, pl.String),
        term="TermDuration", plan="BillingPlan" if "BillingPlan" in names else pl.lit(None, pl.String),
        segment="Segment" if "Segment" in names else pl.lit(None, pl.String), price="UnitPrice",
        erp="ERP Price" if "ERP Price" in names else pl.lit(None, pl.Decimal(18, 10)),
        first=pl.col("EffectiveStartDate").str.slice(0, 10).str.to_date(),
        last=pl.col("EffectiveEndDate").str.slice(0, 10).str.to_date(), ends="EffectiveEndDate",
        starts="EffectiveStartDate",
    ).collect()  # fmt: skip


def azure_findings(lines: Frame, prices: Frame, by_meter: bool) -> dict[str, int]:
    """PRICE_NOT_FOUND, PRICE_NOT_EFFECTIVE and UNIT_PRICE_MISMATCH of metered lines (line, key, price, begin, end)."""
    place = ["product", "sku", "market", "pricing"]
    key = [*place, "meter"] if by_meter else place
    covers = (pl.col("first") <= pl.col("end")) & (pl.col("last") >= pl.col("begin"))
    own = prices.select([*key, "price", "first", "last"]).unique()
    joined = lines.join(own, on=[*key, "price"], how="left").with_columns(fits=covers.fill_null(False))
    failing = joined.filter(~pl.col("fits"))
    fine = joined.filter(pl.col("fits") & pl.col("line").is_in(failing["line"].implode()))
    failing = failing.join(fine, on="line", how="anti").unique("line").drop(["first", "last", "fits"])
    failing = failing.join(prices.select(["market", "pricing"]).unique(), on=["market", "pricing"], how="semi")
    candidates = failing.join(
        prices.select(*place, "first", "last", listed="price", listed_meter="meter"), on=place, how="left"
    )
    if by_meter:
        own_meter = pl.col("listed_meter") == pl.col("meter")
        candidates = candidates.filter(own_meter | ~own_meter.fill_null(False).any().over("line"))
    judged = candidates.with_columns(fits=covers.fill_null(False)).group_by("line").agg(
        found=pl.col("listed").is_not_null().any(), covered=pl.col("fits").any(),
        # Printed to the coin, a finer list price is rounded or cut.
        matches=(pl.col("fits") & ((pl.col("price") == pl.col("listed")) | (
            (pl.col("price") == pl.col("price").truncate(2)) & ((pl.col("price") == pl.col("listed").truncate(2)) |
            (pl.col("price") == pl.col("listed").round(2, mode="half_away_from_zero")))))).any(),
    ).filter(~pl.col("matches"))  # fmt: skip
    not_found, not_covered = ~judged["found"], judged["found"] & ~judged["covered"]
    return {
        "PRICE_NOT_FOUND": int(not_found.sum()), "PRICE_NOT_EFFECTIVE": int(not_covered.sum()),
        "UNIT_PRICE_MISMATCH": judged.height - int(not_found.sum()) - int(not_covered.sum()),
    }  # fmt: skip


def rate_findings(groups: Frame) -> int:
    """EXCHANGE_RATE_MISMATCH, from counts by invoice, pricing currency, day and rate."""
    counted = groups.filter(pl.col("rate").is_not_null() & pl.col("rated").is_not_null()).group_by(
        "inv", "pricing", "rated", "rate").agg(pl.col("lines").sum())  # fmt: skip
    counted = counted.with_columns(everywhere=pl.col("lines").sum().over("pricing", "rated", "rate"))
    ranked = counted.sort(["lines", "everywhere", "rate"], descending=[True, True, False])
    usual = ranked.group_by("inv", "pricing", "rated", maintain_order=True).agg(pl.col("lines").first())
    return int(counted["lines"].sum() - usual["lines"].sum())


def usage_findings(lines: Frame, used: Frame) -> int:
    """USAGE_MISMATCH of the Azure-plan lines (key and Subtotal) and the usage."""
    scale = 10**4
    charged = lines.group_by(_KEY).agg(billed=(pl.col("Subtotal").to_physical().cast(pl.Int128) * scale).sum())
    metered = used.group_by(_KEY).agg(
        used=pl.col("charge").to_physical().cast(pl.Int128).sum(), currency=pl.col("currency").min(),
        rate=pl.col("rate").fill_null(Decimal(1)).max(),
    )  # fmt: skip
    both = charged.join(metered, on=_KEY, how="full", coalesce=True)
    both = both.join(lines.select("inv").unique(), on="inv", how="semi").join(
        used.select("inv").unique(), on="inv", how="semi")  # fmt: skip
    coin = pl.when(pl.col("currency").is_in(["JPY", "KRW", "CLP", "VND", "ISK"])).then(10**10).otherwise(10**8)
    rated = (pl.col("rate").to_physical().cast(pl.Int128) // 10).fill_null(0)
    each = pl.max_horizontal(coin.cast(pl.Int128), rated)
    apart = (pl.col("billed").fill_null(0) - pl.col("used").fill_null(0)).abs()
    wide = both.with_columns(each=each, apart=apart).filter(pl.col("apart") > pl.col("each"))
    times = used.join(wide, on=_KEY, how="semi").select([*_KEY, "day", "meter"]).unique().group_by(_KEY).len("times")
    wide = wide.join(times, on=_KEY, how="left")
    return int(wide.filter(pl.col("apart") > pl.col("each") * pl.col("times").fill_null(0)).height)


def main(folder: Path) -> None:
    """Reconcile the folder and print the answer."""
    lists = [read_prices(path) for path in sorted(folder.glob("*.csv"))
             if path.name not in ("daily_usage.csv", "invoice_recon.csv")]  # fmt: skip
    prices = pl.concat(lists)
    azure, licences = (prices.filter(test) for test in (pl.col("plan").is_null(), pl.col("plan").is_not_null()))
    documents = json.loads((folder / "invoices.json").read_text(encoding="utf-8"), parse_float=Decimal)["items"]
    billed, findings = licence_findings(scan(folder / "invoice_recon.csv"), licences)
    tables, unexplained = [billed], 0
    metered = billed.filter(pl.col("azure"))
    asked = metered.filter(pl.col("azure_priced")).rename({"charged_from": "begin", "charged_to": "end"})
    found = [findings, azure_findings(asked, azure, by_meter=False)]
    if (folder / "daily_usage.csv").exists():
        used = read_usage(folder / "daily_usage.csv")
        asked = used.filter(pl.col("metered")).select(
            "line", "product", "sku", "market", "pricing", "meter", "price", begin="day", end="day")  # fmt: skip
        found += [azure_findings(asked, azure, by_meter=True), {"PEC_MISSING": int(used["uncredited"].sum())},
                  {"USAGE_MISMATCH": usage_findings(metered.filter(pl.col("of_usage")), used)}]  # fmt: skip
        unexplained = int(used["unexplained"].sum())
        tables.append(used.with_columns(total="charge"))
    groups = pl.concat([
        table.group_by("inv", "currency", "pricing", "rated", "rate").agg(
            lines=pl.len().cast(pl.Int64), total=pl.col("total").cast(pl.Decimal(38, 10)).sum()
        ).with_columns(usage=pl.lit(place == 1)) for place, table in enumerate(tables)
    ])  # fmt: skip
    found.append({"EXCHANGE_RATE_MISMATCH": rate_findings(groups)})
    sums: dict[str, list[Decimal]] = {}
    for row in groups.to_dicts():
        sums.setdefault(row["inv"], [Decimal(0), Decimal(0)])[row["usage"]] += row["total"]
    found.append(_documents(documents, sums, groups))
    codes = {code: sum(one.get(code, 0) for one in found) for code in {code for one in found for code in one}}
    lines = sum(table.height for table in tables)
    print(answer(lines, codes, unexplained, {inv: (own[0], own[1]) for inv, own in sums.items()}))


def _documents(documents: list[dict[str, Any]], sums: dict[str, list[Decimal]], groups: Frame) -> dict[str, int]:
    """INVOICE_TOTAL_MISMATCH and its kin, and CURRENCY_MISMATCH."""
    billed = {one["id"]: Decimal(0) for one in documents if one["documentType"] == "invoice"}
    for one in documents:
        if one["documentType"] != "void_note":
            note = one["documentType"] == "adjustment_note"
            billed[one.get("amendsOf") or one["id"]] += Decimal(one["totalCharges"]) * (-1 if note else 1)
    currencies = {one["id"]: one["currencyCode"] for one in documents}
    foreign = sum(row["lines"] for row in groups.to_dicts()
                  if row["currency"] != currencies.get(row["inv"], row["currency"]))  # fmt: skip
    return {
        "INVOICE_NOT_FOUND": len(sums.keys() - billed.keys()),
        "INVOICE_WITHOUT_LINES": len(billed.keys() - sums.keys()),
        "INVOICE_TOTAL_MISMATCH": sum(billed[inv] != sums[inv][0] for inv in billed.keys() & sums.keys()),
        "CURRENCY_MISMATCH": foreign,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
