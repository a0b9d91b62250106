"""The reconciliation lines in Polars, for `benchmarks.polars_only`: roundings, list prices and margins."""

from __future__ import annotations

from typing import Any

import polars as pl

Frame = Any
_MONTHS = {"P1M": 1, "P1Y": 12, "P3Y": 36, "Monthly": 1, "Annual": 12, "Triennial": 36}
_SEGMENTS = ("Commercial", "Charity", "Education", "Government")
_PLACE = ["product", "sku", "term", "plan", "market", "pricing"]
_NO_COINS, _MILLS = ("JPY", "KRW", "CLP", "VND", "ISK", "XAF", "XOF", "XPF"), ("BHD", "IQD", "JOD", "KWD", "OMR", "TND")
#: Scales of prices, quantities and rates, and of subtotals.
_PRICE, _RATE, _SUM = 10, 9, 6


def licence_findings(recon: Frame, licences: Frame) -> tuple[Frame, dict[str, int]]:
    """The lines with what the other rules need of them, and the findings of single lines.

    Args:
        recon: the reconciliation as `benchmarks.polars_only.scan` gives it.
        licences: rows of licence price lists.
    """
    lines = _termed(_read(recon)).collect(engine="streaming").with_row_index("line")
    lines = _cycled(lines)
    explained, priced = _rounding(lines), _priced(lines, licences)
    listed = pl.col("licence") & ~pl.col("unpriced")
    unlisted = priced.filter(listed & pl.col("list_price").is_null())
    effective = unlisted.join(licences, on=_PLACE, how="semi").height
    off = priced.filter(pl.col("list_price") != _units("price") * pl.col("per_term"))
    # Printed to the coin, a share of a list price is rounded or cut.
    apart = (_units("price") * pl.col("per_term") - pl.col("list_price")).abs()
    off = off.filter(~((apart * 200 <= pl.col("per_term") * 10**_PRICE) & (_decimals(_units("price")) <= 2)))
    charged = priced.filter((pl.col("subtotal") >= 0) & pl.col("erp").is_not_null())
    partly = pl.col("billed") < pl.col("full")
    half = 5 * pl.lit(10, pl.Int128).pow(pl.lit(_PRICE) - _decimals(_units("effective")).clip(2))
    # One more decimal than prices have, for the half of the last one, that a prorated price is printed to.
    lowest = [charged.filter(~partly).with_columns(lowest=_units("effective") * 10),
              charged.filter(partly).with_columns(lowest=_units("effective") * 10 - half)]  # fmt: skip
    full, billed = pl.col("full").cast(pl.Int128), pl.col("billed").cast(pl.Int128)
    margins = pl.concat(lowest).select(
        cost=pl.col("lowest") * full * pl.col("per_term"), retail=pl.col("erp") * billed * 10
    ).select(
        above=pl.col("cost") > pl.col("retail"), below=pl.col("cost") * 20 > pl.col("retail") * 19
    )  # fmt: skip
    above, thin = margins["above"], margins["below"] & ~margins["above"]
    return lines, {
        "SUBTOTAL_MISMATCH": lines.height - explained,
        "TOTAL_MISMATCH": int((lines["total"] != lines["subtotal"] + lines["tax"]).sum()),
        "PRICE_NOT_EFFECTIVE": effective, "PRICE_NOT_FOUND": unlisted.height - effective,
        "UNIT_PRICE_MISMATCH": off.height, "ABOVE_ERP": int(above.sum()), "MARGIN_BELOW_FLOOR": int(thin.sum()),
    }  # fmt: skip


def _units(name: str) -> Any:
    return pl.col(name).to_physical().cast(pl.Int128)


def _lower(name: str) -> Any:
    return pl.col(name).fill_null("").str.strip_chars().str.to_lowercase()


def _day(name: str) -> Any:
    return pl.col(name).str.to_date("%m/%d/%Y")


def _read(recon: Frame) -> Frame:
    whole = pl.concat_str(["ProductCategory", "ProductName", "SkuName"], separator=" ", ignore_nulls=True)
    cycle, credit = _lower("TermAndBillingCycle"), _lower("ChargeType") == "customercredit"
    product = pl.col("ProductId").str.to_uppercase()
    trial = _lower("ProductQualifiers").str.contains("trial", literal=True) | cycle.str.contains("trial", literal=True)
    free = (pl.col("UnitPrice") == 0) & (pl.col("EffectiveUnitPrice") == 0)
    by_use = product.str.starts_with("DZH318Z0") & (cycle == "") & _lower("ProductCategory").str.contains("azure")
    coins = [pl.when(name.is_in(_NO_COINS)).then(0).when(name.is_in(_MILLS)).then(3).otherwise(2)
             for name in (pl.col("Currency"), pl.coalesce("PricingCurrency", "Currency"))]  # fmt: skip
    return recon.select(
        inv="InvoiceNumber", sub=pl.col("SubscriptionId").str.to_lowercase(), product=product,
        sku=pl.col("SkuId").str.strip_chars().str.to_uppercase().str.zfill(4),
        market=pl.col("CustomerCountry").str.to_uppercase(), pricing=pl.col("PricingCurrency").str.to_uppercase(),
        currency="Currency", price="UnitPrice", effective="EffectiveUnitPrice", rate="PCToBCExchangeRate",
        quantity=pl.coalesce("BillableQuantity", pl.col("Quantity")), rated="PCToBCExchangeRateDate",
        subtotal="Subtotal", Subtotal="Subtotal", tax=pl.col("TaxTotal").fill_null(0), total="Total",
        charged_from=_day("ChargeStartDate"), charged_to=pl.coalesce(_day("ChargeEndDate"), _day("ChargeStartDate")),
        starts=_day("SubscriptionStartDate"), ends=_day("SubscriptionEndDate"), cycle=cycle, credit=credit,
        frequency=_lower("BillingFrequency"), unpriced=credit | trial | free,
        own=_lower("PublisherName").is_in(["microsoft", "microsoft corporation"]),
        discounted=whole.str.to_lowercase().str.contains_any(["reservation", "savings plan"]),
        metered=(_lower("SubscriptionDescription") == "azure plan") | (pl.col("MeterDescription").fill_null("") != "")
        | by_use, reason=_lower("CreditReasonCode"), coin=coins[0], pricing_coin=coins[1],
    )  # fmt: skip


def _termed(lines: Frame) -> Frame:
    cycle, frequency = pl.col("cycle"), pl.col("frequency")
    committed = cycle.str.contains("(one|three|five|1|3|5)[ -]*(3|5)?[ -]*(month|year)s?[ -]*commitment")
    licence = pl.col("own") & ~pl.col("discounted") & (pl.col("product").str.starts_with("CFQ7TTC0") | committed)
    term = (
        pl.when(cycle.str.contains_any(["three", "3 year"])).then(pl.lit("P3Y"))
        .when(cycle.str.contains_any(["one-year", "1 year"])).then(pl.lit("P1Y")).otherwise(pl.lit("P1M"))
    )  # fmt: skip
    plan = (
        pl.when(pl.col("term") == "P1M").then(pl.lit("Monthly"))
        .when(frequency.is_in(["annual", "annually", "yearly"])).then(pl.lit("Annual"))
        .when(frequency.is_in(["triennial", "3 years", "three years"])).then(pl.lit("Triennial"))
        .otherwise(pl.lit("Monthly"))
    )  # fmt: skip
    azure = pl.col("metered") & ~pl.col("discounted") & ~pl.col("licence")
    of_usage = azure & (~pl.col("credit") | pl.col("reason").str.contains("azure credit", literal=True))
    months = [pl.col(name).replace_strict(_MONTHS, return_dtype=pl.Int64) for name in ("term", "plan")]
    return (
        lines.with_columns(licence=licence, term=term).with_columns(plan=plan, azure=azure, of_usage=of_usage)
        .with_columns(azure_priced=pl.col("azure") & pl.col("own") & ~pl.col("unpriced"), months=months[1],
                      per_term=months[0] // months[1], fixed_on=pl.coalesce("starts", "charged_from"))
        .drop("cycle", "frequency", "reason", "metered", "discounted")
    )  # fmt: skip


def _cycled(lines: Frame) -> Frame:
    after, anchor = pl.col("after"), pl.col("ends").dt.offset_by("1d")

    def months_to(later: Any, earlier: Any) -> Any:
        whole = (later.dt.year() - earlier.dt.year()).cast(pl.Int64) * 12
        return whole + later.dt.month().cast(pl.Int64) - earlier.dt.month().cast(pl.Int64)

    def plus(day: Any, months: Any) -> Any:
        return day.dt.offset_by(pl.format("{}mo", months))

    months, passed, left = pl.col("months"), months_to(after, pl.col("starts")), months_to(anchor, after)
    simple = (pl.col("starts").dt.day() == after.dt.day()) & (after.dt.day() <= 28) & (passed % months == 0) & (
        pl.col("starts") <= pl.col("charged_from"))  # fmt: skip
    lines = lines.with_columns(after=pl.col("charged_to").dt.offset_by("1d")).with_columns(
        billed=(pl.col("charged_to") - pl.col("charged_from")).dt.total_days() + 1, simple=simple)  # fmt: skip
    from_start = (passed % months == 0) & (plus(pl.col("starts"), passed) == after)
    from_end = (left % months == 0) & (plus(anchor, -left) == after)
    clipped = (
        pl.when(~pl.col("licence")).then(pl.col("billed"))
        .when(from_start).then((after - plus(pl.col("starts"), passed - months)).dt.total_days())
        .when(from_end).then((after - plus(anchor, -left - months)).dt.total_days())
        .otherwise((after - plus(after, -months)).dt.total_days())
    )  # fmt: skip
    # Adding months by text is slow; on days that every month has it is plain arithmetic.
    month0 = after.dt.year().cast(pl.Int64) * 12 + after.dt.month().cast(pl.Int64) - 1 - months
    before = pl.date(month0 // 12, month0 % 12 + 1, after.dt.day())
    usual = lines.filter(pl.col("simple").fill_null(False)).with_columns(full=(after - before).dt.total_days())
    rest = lines.filter(~pl.col("simple").fill_null(False)).with_columns(full=clipped)
    return pl.concat([usual, rest]).with_columns(full=pl.max_horizontal("full", "billed")).drop("after", "simple")


def _cut(value: Any, by: Any) -> Any:
    return value.truncdiv(by)


def _rules(price: Any, price_scale: int) -> list[Any]:
    """Rules A, B and C of a price with so many decimals, each in units of six decimals."""
    quantity, rate = pl.col("q"), pl.col("r")
    coin, pricing = pl.col("coin_units"), pl.col("pricing_units")
    product = price * quantity
    a = _cut(_cut(product, 10 ** (price_scale + _PRICE - 3) * pricing) * pricing * rate, 10**_RATE * coin) * coin * 1000
    b = _cut(price * rate, 10 ** (price_scale + _RATE - 3) * coin) * coin * quantity
    scale = 10 ** (price_scale + _PRICE + _RATE - 3) * coin
    whole = product * rate
    c = _cut(whole.abs() * 2 + scale, scale * 2) * whole.sign() * coin * 1000
    return [a, _cut(b, 10 ** (_PRICE - 3)), c]


def _rounding(lines: Frame) -> int:
    """How many subtotals a rule explains; what is dear is asked only of what the cheaper rules leave."""
    negative = pl.col("subtotal") < 0
    size = _units("effective").abs()
    paid = pl.when(pl.col("credit")).then(pl.when(negative).then(-size).otherwise(size)).otherwise(_units("effective"))
    quantity = pl.when(pl.col("credit")).then(_units("quantity").abs()).otherwise(_units("quantity"))
    powers = [pl.when(pl.col(name) == 2).then(10).when(pl.col(name) == 3).then(1).otherwise(1000).cast(pl.Int128)
              for name in ("coin", "pricing_coin")]  # fmt: skip
    figures = lines.select(
        p=paid, q=quantity, r=_units("rate").fill_null(10**_RATE), s=_units("subtotal"), coin_units=powers[0],
        pricing_units=powers[1],
    )  # fmt: skip
    rest, exact = figures, 0
    for number in range(3):
        fits = rest.select(fits=_rules(pl.col("p"), _PRICE)[number] == pl.col("s"))["fits"]
        exact += int(fits.sum())
        rest = rest.filter(~fits)
    apart = pl.min_horizontal(*((rule - pl.col("s")).abs() for rule in _rules(pl.col("p"), _PRICE)))
    rest = rest.with_columns(apart=apart, places=_decimals(pl.col("p")))
    half = 5 * pl.lit(10, pl.Int128).pow(pl.lit(_PRICE) - pl.col("places").clip(2))
    low, high = (_rules(pl.col("p") * 10 + turn * half, _PRICE + 1) for turn in (-1, 1))
    straddles = [(one - pl.col("s")).sign() * (other - pl.col("s")).sign() <= 0
                 for one, other in zip(low, high, strict=True)]  # fmt: skip
    share = pl.col("q").abs() * pl.max_horizontal(pl.col("r"), pl.lit(10**_RATE, pl.Int128)) * 5
    allowed = pl.col("coin_units") * 1000 + _cut(share, 10 ** (_PRICE + _RATE + 3 - _SUM))
    within = pl.when(pl.col("places") <= 2).then(pl.col("apart") <= allowed).otherwise(pl.any_horizontal(*straddles))
    return exact + int(rest.select(within=within)["within"].sum())


def _decimals(value: Any) -> Any:
    """How many decimals a price in its units has."""
    places = pl.lit(_PRICE)
    for step in range(_PRICE):
        places = pl.when(value % 10 ** (_PRICE - step) == 0).then(pl.lit(step)).otherwise(places) if step == 0 else (
            pl.when((value % 10 ** (_PRICE - step) == 0) & (places == _PRICE)).then(pl.lit(step)).otherwise(places))
    return places


def _priced(lines: Frame, licences: Frame) -> Frame:
    """The lines with the term's list and ERP price, in units, of the segment they are priced in."""
    if not licences.height:
        none = pl.lit(None, pl.Int128)
        return lines.with_columns(list_price=none, erp=none)
    spans = _spans(licences)
    asked = lines.filter(pl.col("licence") & ~pl.col("unpriced"))
    found = asked.select([*_PLACE, "line", "fixed_on", "price", "per_term"]).join(spans, on=_PLACE, how="inner").filter(
        pl.col("fixed_on").is_between(pl.col("begin"), pl.col("until")))  # fmt: skip
    wanted = _units("price") * pl.col("per_term")
    choice = pl.coalesce(*(pl.when(pl.col(f"price_{name}") == wanted).then(pl.lit(name)) for name in _SEGMENTS),
                         *(pl.when(pl.col(f"price_{name}").is_not_null()).then(pl.lit(name))
                           for name in _SEGMENTS))  # fmt: skip
    chosen = found.with_columns(choice=choice).select(
        "line", *(pl.coalesce(*(pl.when(pl.col("choice") == name).then(pl.col(f"{what}_{name}"))
                                for name in _SEGMENTS)).alias(title)
                  for what, title in (("price", "list_price"), ("erp", "erp"))),
    )  # fmt: skip
    return lines.join(chosen, on="line", how="left")


def _spans(licences: Frame) -> Frame:
    """Days between which the same rows apply, with the prices of each segment: of several rows the one that ends first,
    then the one that starts last."""
    bounds = pl.concat([
        licences.select([*_PLACE, pl.col("first").alias("begin")]),
        licences.select([*_PLACE, pl.col("last").dt.offset_by("1d").alias("begin")]),
    ]).unique().sort([*_PLACE, "begin"])  # fmt: skip
    until = pl.col("begin").shift(-1).over(_PLACE).dt.offset_by("-1d")
    bounds = bounds.with_columns(until=until).filter(pl.col("until").is_not_null())
    rows = bounds.join(licences, on=_PLACE, how="inner").filter(
        (pl.col("first") <= pl.col("begin")) & (pl.col("last") >= pl.col("until"))
    ).sort(["ends", "starts"], descending=[False, True])  # fmt: skip
    segment = pl.col("segment").fill_null("Commercial")
    return rows.group_by([*_PLACE, "begin", "until"]).agg(
        *(pl.col(what).filter(segment == name).first().to_physical().cast(pl.Int128).alias(f"{what}_{name}")
          for what in ("price", "erp") for name in _SEGMENTS)
    )  # fmt: skip
