"""A year reconciled month after month: a right one raises no alarm, a planted one exactly the planted ones."""

from __future__ import annotations

import csv
import gzip
import zipfile
from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from examples.year import generate_year, main
from pipelines.billing import reconcile_month
from tests.reconciled_months import Reconciled, reconcile_months
from tests.written_month import Row, day_of, read_table
from transforms.errors import InputError

CODES = {
    "SUBTOTAL_MISMATCH", "TOTAL_MISMATCH", "PRICE_NOT_FOUND", "PRICE_NOT_EFFECTIVE", "UNIT_PRICE_MISMATCH", "ABOVE_ERP",
    "MARGIN_BELOW_FLOOR", "PEC_MISSING", "INVOICE_TOTAL_MISMATCH", "INVOICE_NOT_FOUND", "INVOICE_WITHOUT_LINES",
    "USAGE_MISMATCH", "EXCHANGE_RATE_MISMATCH", "CURRENCY_MISMATCH", "CHARGE_OUTSIDE_TERM", "OVERLAPPING_CHARGE",
    "SUBSCRIPTION_DROPPED", "QUANTITY_CHANGED", "ROW_REJECTED", "CUSTOMER_UNMAPPED",
}  # fmt: skip
AZURE_HEADER = (
    "ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,Market,Currency,UnitPrice,"
    "PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,MeterIds,MeterType,Tags"
)
TOP_TIER = "9223372036854780000"
RAISED = "Microsoft Teams Phone Standard"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Reconciled:
    folder = tmp_path_factory.mktemp("clean")
    return reconcile_months(generate_year(folder / "exports"), folder / "home")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Reconciled:
    folder = tmp_path_factory.mktemp("planted")
    return reconcile_months(generate_year(folder / "exports", plant=True), folder / "home")


def recon_rows(year: Reconciled, period: str) -> dict[int, Row]:
    """The reconciliation rows of a month by their number in the file."""
    content = next(year.truth.folders[period].glob("*Reconciliation*.csv")).read_bytes()
    header, rows = read_table(content, "\r\n")
    return {number: dict(zip(header, row, strict=False)) for number, row in rows.items()}


def usage_rows(year: Reconciled, period: str) -> list[Row]:
    content = gzip.decompress(next(year.truth.folders[period].glob("*Usage*.csv.gz")).read_bytes())
    header, rows = read_table(content, "\r\n")
    return [dict(zip(header, row, strict=True)) for row in rows.values()]


def price_rows(path: Path) -> list[Row]:
    content = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            content = archive.read(archive.namelist()[0])
    header, rows = read_table(content, "\n")
    return [dict(zip(header, row, strict=True)) for row in rows.values()]


def test_a_right_year_raises_no_alarm(clean: Reconciled) -> None:
    assert [(one["period"], one["code"], one["message"]) for one in clean.alarms] == []
    assert list(clean.runs) == [f"2025-{number:02d}" for number in range(1, 13)]
    assert all(run.lines > 1_500 and run.invoices == 4 for run in clean.runs.values())
    assert clean.truth.path.read_text("utf-8").count("\n") == 1


def test_what_is_planted_in_a_year_is_what_is_found(planted: Reconciled) -> None:
    expected, found = planted.planted(), planted.found()
    assert (expected - found, found - expected) == (Counter(), Counter())


def test_every_code_is_planted_twenty_times_and_more(planted: Reconciled) -> None:
    counts = planted.truth.counts
    assert set(counts) == CODES
    assert {code: count for code, count in counts.items() if count < 20} == {}
    with planted.truth.path.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert Counter(row["code"] for row in written) == counts
    assert written == [{name: str(value) for name, value in vars(row).items()} for row in planted.truth.rows]


def test_truth_rows_name_the_line_they_are_at(planted: Reconciled) -> None:
    named = 0
    for period in planted.truth.folders:
        lines = recon_rows(planted, period)
        for truth in planted.truth.rows:
            if truth.period != period or "Reconciliation" not in truth.source_file:
                continue
            row = lines[int(truth.source_row)]
            named += 1
            assert (row["InvoiceNumber"], row["SubscriptionId"], row["ProductId"], row["SkuId"]) == (
                truth.invoice_number, truth.subscription_id, truth.product_id, truth.sku_id,
            )  # fmt: skip
    assert named > 400


def test_a_month_reconciled_again_after_the_year_is_judged_alike(planted: Reconciled) -> None:
    """Later price lists and months change nothing of an earlier one."""
    before = planted.runs["2025-03"]
    again = reconcile_month(planted.settings("2025-03"), "2025-03")
    assert (again.findings, again.lines, again.changes) == (before.findings, before.lines, {})


def test_unmapped_tenants_are_left_out_of_the_clients(clean: Reconciled, planted: Reconciled) -> None:
    for year, missing in ((clean, 0), (planted, 2)):
        with year.truth.customers.open(encoding="utf-8", newline="") as file:
            clients = list(csv.DictReader(file))
        assert list(clients[0]) == ["customer_id", "client_id", "client_name"]
        tenants = {row["CustomerId"] for row in recon_rows(year, "2025-06").values() if row["CustomerId"]}
        without = tenants - {client["customer_id"] for client in clients}
        assert without == {row.customer_id for row in year.truth.rows if row.code == "CUSTOMER_UNMAPPED"}
        assert len(without) == missing


def test_the_year_has_every_kind_of_charge(clean: Reconciled) -> None:
    rows = [row for period in clean.truth.folders for row in recon_rows(clean, period).values()]
    assert {row["ChargeType"] for row in rows} == {
        "new", "renew", "cycleCharge", "addQuantity", "removeQuantity", "moveQuantity", "cancelImmediate", "convert",
        "changeBillingPlan", "customerCredit", "extendTerm",
    }  # fmt: skip
    assert {row["Currency"] for row in rows} == {"USD", "GBP", "EUR"}
    assert {row["CreditReasonCode"] for row in rows} == {"", "Azure Credit Offer", "Service Level Agreement Credit"}
    promoted = {row["SubscriptionId"] for row in rows if row["PromotionId"]}
    assert any(
        row["SubscriptionId"] in promoted and row["ChargeType"] == "renew" and not row["PromotionId"] for row in rows
    )
    rates = defaultdict(set)
    for row in rows:
        if row["PricingCurrency"] == "USD" and row["Currency"] == "EUR":
            rates[row["PCToBCExchangeRateDate"]].add(row["PCToBCExchangeRate"])
    assert len(rates) == 12
    assert all(len(several) == 1 for several in rates.values())


def test_a_price_holds_for_its_term_whatever_later_lists_say(clean: Reconciled) -> None:
    raised = {
        period: {
            row["UnitPrice"] for row in price_rows(next(folder.glob("*LicenseBasedPL_GA_US.csv")))
            if (row["SkuTitle"], row["TermDuration"], row["BillingPlan"]) == (RAISED, "P1Y", "Monthly")
        }
        for period, folder in clean.truth.folders.items()
    }  # fmt: skip
    (old,), (new,) = raised["2025-01"], raised["2025-12"]
    assert {period for period, prices in raised.items() if prices == {new}} == {f"2025-{n:02d}" for n in range(5, 13)}
    held = renewed = 0
    for period in clean.truth.folders:
        for row in recon_rows(clean, period).values():
            if row["SkuName"] != RAISED or row["CustomerCountry"] != "US":
                continue
            is_old = day_of(row["SubscriptionStartDate"]) < date(2025, 5, 1)
            assert Decimal(row["UnitPrice"]) == Decimal(old if is_old else new) / 12
            held += is_old and period >= "2025-05"
            renewed += not is_old
    assert held >= 5
    assert renewed >= 5


def test_usage_has_the_azure_list_price_of_its_day(clean: Reconciled) -> None:
    changed_in_mid_month = 0
    for period, folder in clean.truth.folders.items():
        prices: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for path in folder.glob("*_AzurePlanPL_*"):
            for row in price_rows(path):
                assert ",".join(row) == AZURE_HEADER
                assert row["EffectiveStartDate"][:10] in (f"{period}-01", f"{period}-16")
                changed_in_mid_month += row["EffectiveStartDate"][8:10] == "16"
                prices[row["MeterIds"], row["Market"]].append(row)
        assert {market for _, market in prices} == {"US", "GB", "DE"}
        for tiers in prices.values():
            assert tiers[-1]["PricingTierRangeMax"] == TOP_TIER
            assert tiers[0]["PricingTierRangeMin"] == "0"
        for row in usage_rows(clean, period):
            if row["PublisherName"] != "Microsoft":
                assert (row["MeterId"], row["CustomerCountry"]) not in prices
                continue
            noon = f"{day_of(row['UsageDate']).isoformat()}T12"
            valid = [
                Decimal(one["UnitPrice"]) for one in prices[row["MeterId"], row["CustomerCountry"]]
                if one["EffectiveStartDate"] <= noon <= one["EffectiveEndDate"]
            ]  # fmt: skip
            assert Decimal(row["UnitPrice"]) == max(valid)
    assert changed_in_mid_month > 20


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--first", "2026-02", "--months", "2", "--customers", "6", "--seed", "3"]
    assert main([str(tmp_path / "a"), *arguments]) == 0
    assert "(planted discrepancies)" in capsys.readouterr().out
    assert main([str(tmp_path / "b"), *arguments]) == 0
    contents = [
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
        for folder in (tmp_path / "a", tmp_path / "b")
    ]
    assert contents[0] == contents[1]
    assert {path.parts[0] for path in contents[0]} == {"2026-02", "2026-03", "customers.csv", "truth.csv"}
    assert main([str(tmp_path / "c"), "--first", "2026-2"]) == 2
    assert "YYYY-MM" in capsys.readouterr().err
    with pytest.raises(InputError, match="12 or more months"):
        generate_year(tmp_path / "c", months=3, plant=True)
