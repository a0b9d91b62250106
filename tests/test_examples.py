"""The example month: reproducible, in the real files' shapes, and as right and as wrong as its truth table says."""

from __future__ import annotations

import csv
import gzip
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from pathlib import Path

import pytest

from examples.month import generate_month, main
from tests.written_month import CENT, Month, Row, day_of, findings_in, read_month
from transforms.errors import InputError

SAMPLES = Path(os.environ.get("CSP_BILLING_SAMPLES", Path(__file__).parents[2] / "shared" / "samples"))
DOCUMENTED_46 = """
PartnerId,CustomerId,CustomerName,CustomerDomainName,CustomerCountry,InvoiceNumber,MpnId,ResellerMpnId,OrderId,OrderDate,
ProductId,SkuId,AvailabilityId,SkuName,ProductName,ChargeType,UnitPrice,Quantity,Subtotal,TaxTotal,Total,Currency,
PriceAdjustmentDescription,PublisherName,PublisherId,SubscriptionDescription,SubscriptionId,ChargeStartDate,ChargeEndDate,
TermAndBillingCycle,EffectiveUnitPrice,UnitType,AlternateId,BillableQuantity,BillingFrequency,PricingCurrency,
PCToBCExchangeRate,PCToBCExchangeRateDate,MeterDescription,ReservationOrderId,CreditReasonCode,SubscriptionStartDate,
SubscriptionEndDate,ReferenceId,ProductQualifiers,PromotionId
"""
TODAYS_47 = [*DOCUMENTED_46.replace("\n", "").replace("ResellerMpnId", "Tier2MpnId").split(","), "ProductCategory"]
LINE_CODES = (
    "SUBTOTAL_MISMATCH", "TOTAL_MISMATCH", "PRICE_NOT_FOUND", "PRICE_NOT_EFFECTIVE", "UNIT_PRICE_MISMATCH", "ABOVE_ERP",
    "MARGIN_BELOW_FLOOR", "ROW_REJECTED",
)  # fmt: skip
INVOICE_CODES = ("INVOICE_TOTAL_MISMATCH", "INVOICE_NOT_FOUND", "INVOICE_WITHOUT_LINES")


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """Products of prices, quantities and rates without rounding."""
    with localcontext(Context(prec=60)):
        yield


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Month]:
    made: dict[tuple[object, ...], Month] = {}

    def build(period: str = "2025-11", seed: int = 1, customers: int = 12, plant: bool = True) -> Month:
        key = (period, seed, customers, plant)
        if key not in made:
            folder = tmp_path_factory.mktemp("month") / "exports"
            truth = generate_month(folder, period=period, seed=seed, customers=customers, plant=plant)
            made[key] = read_month(folder, truth)
        return made[key]

    return build


@pytest.mark.parametrize(
    ("period", "seed", "customers"), [("2025-11", 1, 12), ("2026-02", 4, 12), ("2025-12", 9, 6), ("2026-03", 2, 40)]
)
def test_a_clean_month_has_nothing_to_find(
    make: Callable[..., Month], period: str, seed: int, customers: int
) -> None:
    month = make(period, seed, customers, plant=False)
    assert month.truth.rows == ()
    assert month.truth.path.read_text("utf-8").count("\n") == 1
    assert findings_in(month) == Counter()


@pytest.mark.parametrize(("period", "seed", "customers"), [("2025-11", 1, 12), ("2026-02", 4, 12), ("2025-12", 9, 6)])
def test_what_is_planted_is_what_is_wrong(
    make: Callable[..., Month], period: str, seed: int, customers: int
) -> None:
    month = make(period, seed, customers)
    with month.truth.path.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    planted = Counter(
        (row["code"], "" if row["code"] == "ROW_REJECTED" else row["invoice_number"], row["source_row"])
        for row in written
    )
    assert findings_in(month) == planted
    counts = Counter(row["code"] for row in written)
    assert all(counts[code] >= 3 for code in LINE_CODES)
    assert all(counts[code] == 1 for code in INVOICE_CODES)
    assert set(counts) == {*LINE_CODES, *INVOICE_CODES}
    assert month.truth.counts == dict(counts)


def test_truth_rows_name_the_line_they_are_at(make: Callable[..., Month]) -> None:
    month = make()
    customers = defaultdict(set)
    for truth in month.truth.rows:
        if truth.source_file.endswith(".csv"):
            row = dict(zip(month.recon_header, month.recon[int(truth.source_row)], strict=False))
            assert (row["InvoiceNumber"], row["SubscriptionId"], row["ProductId"], row["SkuId"]) == (
                truth.invoice_number, truth.subscription_id, truth.product_id, truth.sku_id,
            )  # fmt: skip
            assert day_of(row["ChargeStartDate"]).isoformat() == truth.charge_start_date
            customers[truth.code].add(row["CustomerId"])
    assert all(len(customers[code]) >= 2 for code in LINE_CODES)
    mismatching = {t.invoice_number for t in month.truth.rows if t.code in ("INVOICE_TOTAL_MISMATCH", "ROW_REJECTED")}
    assert len(mismatching) == 1


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        truth = generate_month(tmp_path / name, seed=seed, truth_path=tmp_path / f"{name}.csv")
        contents.append({p.name: p.read_bytes() for p in sorted((tmp_path / name).iterdir())})
        contents[-1]["truth"] = truth.path.read_bytes()
        assert set(truth.files) == contents[-1].keys() - {"truth"}
    assert contents[0] == contents[1]
    # Only the price lists are not the partner's own.
    shared = set(contents[0].values()) & set(contents[2].values())
    assert shared == {content for name, content in contents[0].items() if "PL_" in name}


def test_headers_are_the_real_files(make: Callable[..., Month]) -> None:
    month = make()
    assert month.recon_header == TODAYS_47
    usage, prices = SAMPLES / "daily_rated_usage_2025-11.csv.gz", SAMPLES / "price_list_nce_license_us_2025-11.csv.gz"
    if not usage.exists():
        pytest.skip("the samples are not here")
    assert month.usage_header == gzip.decompress(usage.read_bytes()).decode("utf-8-sig").splitlines()[0].split(",")
    assert list(month.prices[0]) == gzip.decompress(prices.read_bytes()).decode("utf-8-sig").splitlines()[0].split(",")


def test_usage_prices_and_totals_follow_the_measured_rules(make: Callable[..., Month]) -> None:
    month = make(plant=False)
    rows = list(month.usage_rows().values())
    assert 1_500 < len(rows) < 2_600
    for row in rows:
        unit_price, paid, quantity = (Decimal(row[name]) for name in ("UnitPrice", "EffectiveUnitPrice", "Quantity"))
        earned = row["CreditType"] == "Partner Earned Credit Applied"
        assert (row["PartnerEarnedCreditPercentage"], earned) in (("15", True), ("", False))
        assert paid in (unit_price * Decimal("0.85") if earned else unit_price, 0)
        assert Decimal(row["PricingPreTaxTotal"]) == paid * quantity
        billed = paid * quantity * Decimal(row["PCToBCExchangeRate"])
        assert abs(Decimal(row["BillingPreTaxTotal"]) - billed) <= Decimal("1e-15")
        assert not (earned and row["PublisherName"] != "Microsoft")
        assert row["SkuId"] == (row["SkuId"].lstrip("0") if row["SkuId"].isdigit() else row["SkuId"])
    totals = {row["BillingPreTaxTotal"] for row in rows}
    assert "0.00E+00" in totals
    assert any("E-0" in text and not text.startswith("0") for text in totals)
    assert len(set(map(tuple, month.usage.values()))) < len(rows)
    assert {"Azure Credit Applied", "Credit Not Applied"} <= {row["CreditType"] for row in rows}


def _usage_key(row: Row) -> tuple[str, ...]:
    return row["InvoiceNumber"], row["SubscriptionId"], row["ProductId"], row["SkuId"].zfill(4)


@pytest.mark.parametrize("plant", [False, True])
def test_azure_plan_lines_are_the_usage_cut_to_cents(make: Callable[..., Month], plant: bool) -> None:
    month = make(plant=plant)
    used: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    meters: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for row in month.usage_rows().values():
        key = _usage_key(row)
        used[key] += Decimal(row["BillingPreTaxTotal"])
        meters[key].add(row["MeterId"] + row["CreditType"])
    billed: dict[tuple[str, ...], Decimal] = defaultdict(Decimal)
    for row in month.recon_rows().values():
        if row["SubscriptionDescription"] == "Azure plan":
            assert row["TermAndBillingCycle"] == ""
            billed[_usage_key(row)] += Decimal(row["Subtotal"])
    assert billed
    assert all(used[key] == 0 for key in used.keys() - billed.keys())
    for key, amount in billed.items():
        assert 0 <= used[key] - amount < 2 * CENT * len(meters[key])


def test_the_month_has_every_kind_of_line(make: Callable[..., Month]) -> None:
    rows = list(make(plant=False).recon_rows().values())
    assert {row["ChargeType"] for row in rows} == {
        "new", "renew", "cycleCharge", "addQuantity", "removeQuantity", "cancelImmediate", "convert",
        "changeBillingPlan", "customerCredit",
    }  # fmt: skip
    pairs = defaultdict(list)
    for row in rows:
        if row["ChargeType"] in ("addQuantity", "removeQuantity"):
            pairs[row["ReferenceId"]].append(row)
    for pair in pairs.values():
        assert sorted(row["EffectiveUnitPrice"].startswith("-") for row in pair) == [False, True]
        assert all(Decimal(row["BillableQuantity"]) > 0 for row in pair)
        assert len({(row["OrderDate"], row["SubscriptionId"], row["ChargeStartDate"]) for row in pair}) == 1
    assert {row["Currency"] for row in rows} == {"USD", "GBP", "EUR"}
    assert {row["BillingFrequency"] for row in rows} == {"", "Monthly", "Annual", "Triennial"}
    assert any(len(row["EffectiveUnitPrice"].partition(".")[2]) == 10 for row in rows)
    assert {row["ProductQualifiers"] for row in rows} == {"", '["Trial"]'}
    assert any(row["PromotionId"] for row in rows)
    assert any(row["ReservationOrderId"] for row in rows)
    assert any(row["PublisherName"].startswith("Skylark") and not row["MeterDescription"] for row in rows)
    for row in rows:
        rate = {"GBP": Decimal("0.2")}.get(row["Currency"])
        if rate is not None:
            assert Decimal(row["TaxTotal"]) == (Decimal(row["Subtotal"]) * rate).quantize(CENT, ROUND_HALF_UP)
    rates = defaultdict(set)
    for row in rows:
        key = (row["InvoiceNumber"], row["PricingCurrency"], row["PCToBCExchangeRateDate"])
        rates[key].add(row["PCToBCExchangeRate"])
        if row["SubscriptionEndDate"]:
            charged, term = (
                (day_of(row[f"{what}StartDate"]), day_of(row[f"{what}EndDate"])) for what in ("Charge", "Subscription")
            )
            assert term[0] <= charged[0] <= charged[1] <= term[1]
    assert all(len(several) == 1 for several in rates.values())
    names = defaultdict(set)
    for row in rows:
        names[row["CustomerName"]].add(row["CustomerId"])
    assert any(len(ids) > 1 for ids in names.values())
    assert all(any(mark in name for name in names) for mark in "',\"ñ")


def test_the_price_lists_follow_the_real_sheet(make: Callable[..., Month]) -> None:
    prices = make(plant=False).prices
    by_offer = {
        (p["ProductId"], p["SkuId"], p["Segment"], p["Market"], p["TermDuration"], p["BillingPlan"]): p for p in prices
    }
    assert len(by_offer) < len(prices), "one SKU has two rows that overlap"
    for (product, sku, segment, market, term, plan), row in by_offer.items():
        unit_price, erp = Decimal(row["UnitPrice"]), Decimal(row["ERP Price"])
        months = {"P1M": 1, "P1Y": 12, "P3Y": 36}[term]
        if plan == "Monthly":
            assert (unit_price / months) % CENT == 0
            assert (erp / months) % CENT == 0
        if plan == "Monthly" and term == "P1Y":
            annual = Decimal(by_offer[product, sku, segment, market, "P1Y", "Annual"]["UnitPrice"])
            assert abs(unit_price - annual * Decimal("1.05")) <= 12 * CENT / 2
        if plan in ("Annual", "Triennial") and term == "P3Y":
            annual = Decimal(by_offer[product, sku, segment, market, "P1Y", "Annual"]["UnitPrice"])
            assert unit_price == 3 * annual
        if plan == "None":
            assert unit_price == erp == 0
            assert row["Tags"] == "License;Trial"
        assert not (row["SkuId"].isdigit() and row["SkuId"].startswith("0"))
    changed = [p["PreviousValues"] for p in prices if p["ChangeIndicator"] == "Change"]
    assert changed
    assert all(text.startswith("{'ERP Price': '") for text in changed)
    segments = defaultdict(set)
    for p in prices:
        segments[p["ProductId"], p["SkuId"]].add(p["Segment"])
    assert {"Commercial", "Charity"} in segments.values()


def test_the_credit_note_is_positive_and_its_lines_negative(make: Callable[..., Month]) -> None:
    month = make()
    (note,) = [item for item in month.invoices if item["documentType"] == "adjustment_note"]
    assert note["amendsOf"] in {item["id"] for item in month.invoices}
    lines = [row for row in month.recon_rows().values() if row["InvoiceNumber"] == note["id"]]
    assert {row["ChargeType"] for row in lines} == {"customerCredit"}
    assert all(Decimal(row["Total"]) < 0 for row in lines)
    assert Decimal(str(note["totalCharges"])) > 0


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, truth = tmp_path / "exports", tmp_path / "truth" / "planted.csv"
    assert main([str(folder), "--period", "2026-01", "--seed", "3", "--customers", "7", "--truth", str(truth)]) == 0
    assert "planted discrepancies" in capsys.readouterr().out
    assert truth.exists()
    assert (folder / "invoices_2026-01.json").exists()
    assert main([str(folder), "--period", "2026-13"]) == 2
    assert "YYYY-MM" in capsys.readouterr().err
    with pytest.raises(InputError, match="6 or more"):
        generate_month(folder, customers=2)
