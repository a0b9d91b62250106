"""What the texts of an export mean, and which of them are refused."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from connectors.exports.identify import identify
from tests.exports.written import (
    INVOICE,
    PRICE_ROW,
    RECON_HEADER,
    RECON_LINE,
    USAGE_LINE,
    Delivery,
    csv_text,
    json_lines,
    line,
    read,
    read_delivery,
    recon_rows,
)
from transforms.errors import InputError
from transforms.tables import EXPORT_TABLES

DATES = {
    "10/3/2020": (date(2020, 10, 3), datetime(2020, 10, 3, tzinfo=UTC)),
    "2/1/2019 0:00": (date(2019, 2, 1), datetime(2019, 2, 1, tzinfo=UTC)),
    "2/1/2019 12:00:00 AM": (date(2019, 2, 1), datetime(2019, 2, 1, tzinfo=UTC)),
    "02/01/2019 1:05:10 PM": (date(2019, 2, 1), datetime(2019, 2, 1, 13, 5, 10, tzinfo=UTC)),
    "11/30/9999 23:59": (date(9999, 11, 30), datetime(9999, 11, 30, 23, 59, tzinfo=UTC)),
    "2025-11-01": (date(2025, 11, 1), datetime(2025, 11, 1, tzinfo=UTC)),
    "9999-11-30T23:59:59.9999999Z": (date(9999, 11, 30), datetime(9999, 11, 30, 23, 59, 59, 999999, tzinfo=UTC)),
    "2019-02-04T22:22:40.1767993-08:00": (date(2019, 2, 4), datetime(2019, 2, 5, 6, 22, 40, 176799, tzinfo=UTC)),
    "2021-05-01T00:00:00": (date(2021, 5, 1), datetime(2021, 5, 1, tzinfo=UTC)),
    "2024-02-29 10:00:00.5 +0530": (date(2024, 2, 29), datetime(2024, 2, 29, 4, 30, 0, 500000, tzinfo=UTC)),
    "0001-01-01T00:00:00": (None, None),
    "1/1/0001 12:00:00 AM": (None, None),
    "\\N": (None, None),
    "": (None, None),
}


def test_dates(tmp_path: Path) -> None:
    rows = recon_rows(read(tmp_path, csv_text([line(ChargeEndDate=text, OrderDate=text) for text in DATES])))
    assert {text: (row["charge_end_date"], row["order_date"]) for text, row in zip(DATES, rows, strict=True)} == DATES


@pytest.mark.parametrize(
    "text", ["2/30/2025", "2025-02-29", "2025-11-1T25:00:00Z", "11/30/25", "45962", "Nov 1, 2025", "1/1/2025 13:00 PM",
             "9999-12-31T23:59:59-08:00", "2025-11-01T10:00:00+99:00"],
)  # fmt: skip
def test_what_is_no_date_is_refused(tmp_path: Path, text: str) -> None:
    delivery = read(tmp_path, csv_text([line(OrderDate=text), RECON_LINE]))
    assert delivery.tables["invoice_recon"].num_rows == 1
    assert delivery.rejected.column("reason")[0].as_py().startswith(f"OrderDate: '{text}' is not a date; write it as")


def test_dates_day_first_are_not_guessed(tmp_path: Path) -> None:
    """1/11/2025 would be read as a day of January, so that the whole file is refused where 30/11 gives it away."""
    lines = [line(ChargeStartDate="1/11/2025", ChargeEndDate="30/11/2025")]
    with pytest.raises(InputError, match="30/11/2025 are written day first"):
        read(tmp_path, csv_text(lines))
    delivery = read(tmp_path, csv_text([*lines, RECON_LINE]))
    assert delivery.rejected.column("source_row").to_pylist() == [2]


NUMBERS = {
    "0E-20": "0", "3.2e-05": "0.000032", "0.00E+00": "0", "'22.0000": "22", " 7.50 ": "7.5", "-0.5": "-0.5",
    ".5": "0.5", "0.1835431430074643112595": "0.1835431430074643112595", "1000000000000000": "1000000000000000",
    "10.5000000000000000000000000001": "10.5", "0.33333333333333333333337": "0.3333333333333333333334",
    "-2.12345678901234567890125": "-2.1234567890123456789012",
}  # fmt: skip


#: How a program prints its own numbers: longer than the columns are.
LONG_NUMBERS = {
    "Quantity": ("0.016666666666666666", "0.016666666666667"),
    "UnitPrice": ("0.00012345678901234567890123", "0.0001234567890123456789"),
    "PCToBCExchangeRate": ("0.86123456789012345", "0.861234567890123"),
    "BillingPreTaxTotal": ("-3.6666666666666667e-04", "-0.000366666666666667"),
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_decimals_that_no_charge_needs_are_rounded(tmp_path: Path, suffix: str) -> None:
    """But not those of an amount that is charged, see below."""
    own = {**USAGE_LINE, **{name: text for name, (text, _) in LONG_NUMBERS.items()}}
    text = csv_text([own], tuple(own))
    if suffix == "jsonl":
        text = json_lines([own])
        for number, _ in LONG_NUMBERS.values():
            text = text.replace(f'"{number}"', number)
    (row,) = read(tmp_path, text, f"usage.{suffix}").tables["daily_usage"].to_pylist()
    expected = [Decimal(value) for _, value in LONG_NUMBERS.values()]
    names = ("quantity", "unit_price", "pc_to_bc_exchange_rate", "billing_pre_tax_total")
    assert [row[name] for name in names] == expected


def test_numbers_are_exact(tmp_path: Path) -> None:
    rows = recon_rows(read(tmp_path, csv_text([line(EffectiveUnitPrice=text) for text in NUMBERS])))
    assert [row["effective_unit_price"] for row in rows] == [Decimal(text) for text in NUMBERS.values()]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1,234.50", "Subtotal: '1,234.50' is not a number; write it without thousands separators and with '.'"),
        ("1,5", "Subtotal: '1,5' is not a number; write it without thousands separators and with '.'"),
        ("12 USD", "Subtotal: '12 USD' is not a number; correct the value in the file"),
        ("NaN", "Subtotal: 'NaN' is not a number; correct the value in the file"),
        ("0.1234567", "Subtotal: '0.1234567' does not fit: at most 13 digits before and 6 after the decimal point"),
        ("1e400", "Subtotal: '1e400' does not fit"),
        ("", "Subtotal is empty; a row cannot be used without it"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    delivery = read(tmp_path, csv_text([line(Subtotal=text), line(Subtotal="-1.5")]))
    assert [str(row["subtotal"]) for row in recon_rows(delivery)] == ["-1.500000"]
    (rejected,) = delivery.rejected.to_pylist()
    assert rejected["reason"].startswith(reason)
    assert rejected["source_row"] == 2
    assert rejected["raw_text"] == csv_text([line(Subtotal=text)]).splitlines()[1]
    assert (rejected["invoice_number"], rejected["currency"]) == ("G000000001", "USD")
    assert (rejected["subtotal"], rejected["total"]) == (None, Decimal("176"))


def test_decimal_comma_of_the_whole_file(tmp_path: Path) -> None:
    comma = line(
        UnitPrice="17,60", EffectiveUnitPrice="17,60", Subtotal="176,00", Total="176,00", PCToBCExchangeRate="8,5E-1"
    )
    for delimiter in (";", "\t"):
        (row,) = recon_rows(read(tmp_path, csv_text([comma], delimiter=delimiter)))
        assert (row["unit_price"], row["subtotal"]) == (Decimal("17.6"), 176)
        assert row["pc_to_bc_exchange_rate"] == Decimal("0.85")
    mixed = read(tmp_path, csv_text([comma, RECON_LINE], delimiter=";"))
    assert mixed.rejected.column("source_row").to_pylist() == [2], "a file of both has a dot before its decimals"
    assert read(tmp_path, csv_text([comma])).rejected.num_rows == 1


def test_texts_stay_and_ids_are_cleaned(tmp_path: Path) -> None:
    (row,) = recon_rows(
        read(tmp_path, csv_text([line(CustomerName=" 't Hooft ", CustomerId="'0042", ProductId=" cfq7 ", SkuId="'00b ",
                                      MpnId="\\N", ReferenceId='{"osId":1}', PublisherId="NA")]))
    )  # fmt: skip
    assert (row["customer_name"], row["customer_id"], row["product_id"]) == (" 't Hooft ", "0042", "cfq7")
    assert (row["sku_id"], row["mpn_id"], row["reference_id"]) == ("000B", None, '{"osId":1}')
    spelt = line(CustomerId="'org:AB-1", CustomerName="org:Contoso", Currency="usd", PricingCurrency=" Eur")
    nobody = line(CustomerId="org:", Currency="USD")
    row, other = recon_rows(read(tmp_path, csv_text([spelt, nobody]), "spelt.csv"))
    assert (row["customer_id"], row["customer_name"], other["customer_id"]) == ("AB-1", "org:Contoso", "org:")
    assert (row["currency"], row["pricing_currency"]) == ("USD", "EUR")
    assert [found.currency for found in identify(tmp_path / "spelt.csv")] == ["USD"]


def test_old_new_and_camel_case_names(tmp_path: Path) -> None:
    def camel(name: str) -> str:
        return name[0].lower() + name[1:]

    today = recon_rows(read(tmp_path, csv_text([line(Tier2MpnId="7")])))
    old = {"MpnId": "MPNID", "Tier2MpnId": "ResellerMPNID", "ReferenceId": "ReferenceID", "PromotionId": "PromotionID"}
    old_header = [old.get(name, name) for name in RECON_HEADER if name != "ProductCategory"]
    renamed = {"Total": "totalForCustomer", "Tier2MpnId": "resellerMpnId", "PublisherName": "providerName"}
    new_header = [renamed.get(name, camel(name)) for name in reversed(RECON_HEADER)]
    row = line(Tier2MpnId="7", ResellerMPNID="7")
    values = {**row, **{renamed.get(name, camel(name)): value for name, value in row.items()}}
    for header in (old_header, new_header, [f" {name} " for name in RECON_HEADER]):
        spelled = {**values, **{name: values[name.strip()] for name in header if name.strip() in values}}
        read_again = recon_rows(read(tmp_path, csv_text([spelled], header)))
        assert [_content(row) for row in read_again] == [_content(row) for row in today]


def _content(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "file_sha256"}


def test_rates_become_percent_and_percentages_stay(tmp_path: Path) -> None:
    usage: list[dict[str, Any]] = [
        {**USAGE_LINE, "RateOfPartnerEarnedCredit": 0.15, "RateOfCredit": 1},
        {**USAGE_LINE, "PartnerEarnedCreditPercentage": "15", "CreditPercentage": "100"},
        {**USAGE_LINE, "rateOfPartnerEarnedCredit": "1.5e-1", "rateOfCredit": "\\N"},
        {**USAGE_LINE, "PartnerEarnedCreditPercentage": 7, "RateOfPartnerEarnedCredit": 0.15},
        {**USAGE_LINE, "RateOfCredit": "much"},
    ]
    delivery = read(tmp_path, json_lines(usage))
    rows = delivery.tables["daily_usage"].to_pylist()
    assert [row["partner_earned_credit_percentage"] for row in rows] == [15, 15, 15, 7]
    assert [row["credit_percentage"] for row in rows] == [100, 100, None, None]
    assert rows[3]["extra_columns"] == '{"RateOfPartnerEarnedCredit":"0.15"}'
    assert delivery.rejected.column("reason").to_pylist() == [
        "RateOfCredit: 'much' is not a number; correct the value in the file"
    ]


def test_extra_columns_are_kept(tmp_path: Path) -> None:
    header = [*RECON_HEADER, "Publisher Discount", "", "Ümlaut"]
    lines = [line(**{"Publisher Discount": '"7", 5', "Ümlaut": "é"}), line(**{"": "x"}), RECON_LINE]
    rows = recon_rows(read(tmp_path, csv_text(lines, header)))
    found = [row["extra_columns"] for row in rows]
    assert found == ['{"Publisher Discount":"\\"7\\", 5","Ümlaut":"é"}', '{"column 49":"x"}', None]
    assert json.loads(found[0]) == {"Publisher Discount": '"7", 5', "Ümlaut": "é"}


def test_missing_required_columns_are_named(tmp_path: Path) -> None:
    header = [name for name in RECON_HEADER if name not in ("Subtotal", "EffectiveUnitPrice", "PartnerId")]
    for data in (csv_text([RECON_LINE], header), json_lines([{n: RECON_LINE.get(n, "") for n in header}] * 2)):
        with pytest.raises(InputError, match="lacks the required columns Subtotal, EffectiveUnitPrice: export it"):
            read(tmp_path, data)
        (found,) = identify(tmp_path / "export")
        assert found.kind == "unknown"
        assert "Subtotal, EffectiveUnitPrice" in (found.problem or "")
    with pytest.raises(InputError, match="Total stands twice"):
        read(tmp_path, csv_text([RECON_LINE], [*RECON_HEADER, "total"]))


def test_json_lines_leave_out_what_no_row_has(tmp_path: Path) -> None:
    """Spark writes no key for a null (reference §1a): an invoice of Azure alone has no terms and no tax."""
    absent = ("TermAndBillingCycle", "TaxTotal", "SubscriptionEndDate", "PromotionId")
    there = {name: value for name, value in RECON_LINE.items() if name not in absent}
    for count, text in ((2, json_lines([there] * 2)), (1, json_lines([there])), (1, json.dumps({"value": [there]}))):
        rows = recon_rows(read(tmp_path, text))
        assert [(row["term_and_billing_cycle"], row["tax_total"]) for row in rows] == [(None, None)] * count
        assert identify(tmp_path / "export")[0].kind == "invoice_recon"
    header = [name for name in RECON_HEADER if name not in absent]
    with pytest.raises(InputError, match="lacks the required columns TaxTotal, TermAndBillingCycle"):
        read(tmp_path, csv_text([RECON_LINE], header))


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("PartnerId,CustomerId,CustomerName,MPNID,ResellerMPNID,OrderId,SubscriptionId,SyndicationPartnerSubscription"
         "Number,OfferId,DurableOfferId,OfferName,SubscriptionStartDate,SubscriptionEndDate,ChargeStartDate,"
         "ChargeEndDate,ChargeType,UnitPrice,Quantity,Amount,TotalOtherDiscount,Subtotal,Tax,TotalForCustomer,"
         "Currency,DomainName,SubscriptionName,SubscriptionDescription,BillingCycleType", "legacy licence-based"),
        ("PartnerId,PartnerName,PartnerBillableAccountId,CustomerCompanyName,MPNID,ResellerMPNID,InvoiceNumber,"
         "ChargeStartDate,ChargeEndDate,SubscriptionId,ResourceGuid,ConsumedQuantity,OverageQuantity,PretaxCharges,"
         "TaxAmount,PostTaxTotal,Currency,ChargeType,CustomerId,UsageDate", "legacy usage-based"),
    ],
)  # fmt: skip
def test_legacy_reconciliation_is_refused_by_name(tmp_path: Path, header: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, header + "\n")
    assert words in (identify(tmp_path / "export")[0].problem or "")


def test_price_lists(tmp_path: Path) -> None:
    """A licence list, and an Azure plan list whose last tier ends beyond 64 bits."""
    azure = {**PRICE_ROW, "PricingTierRangeMax": "9223372036854780000", "MeterIds": "m1", "Tags": "a;b"}
    azure.pop("ERP Price")
    (tmp_path / "licence").write_text(csv_text([PRICE_ROW], list(PRICE_ROW)))
    (tmp_path / "azure").write_text(csv_text([azure], list(azure)))
    second, first = read_delivery(tmp_path).tables["price_list"].to_pylist()
    assert (first["sku_id"], first["erp_price"], first["unit_price"]) == ("0001", 264, Decimal("211.2"))
    assert first["effective_end_date"] == datetime(9999, 11, 30, 23, 59, 59, tzinfo=UTC)
    assert (second["pricing_tier_range_max"], second["erp_price"]) == (Decimal("9223372036854780000"), None)
    found = identify(tmp_path / "licence")[0]
    assert (found.kind, found.period, found.currency, found.invoices) == ("price_list", None, "USD", [])


def test_invoices_with_their_corrections(tmp_path: Path) -> None:
    text = json.dumps(
        {"items": [{**INVOICE, "amendments": [{**INVOICE, "id": "G2", "totalCharges": 0.10, "x": [1.50, "a"]}],
                    "links": {"self": {"uri": "/x", "size": 1.50}}, "paidAmount": -1e-2},
                   {**INVOICE, "id": "D1", "invoiceDate": "2025-12-08T00:00:00Z"}]}
    ).replace("1.5,", "1.50,").replace("1.5}", "1.50}")  # fmt: skip
    first, correction, legacy = read(tmp_path, text).tables["invoices"].to_pylist()
    assert [row["source_row"] for row in (first, correction, legacy)] == [1, 2, 3]
    assert (first["links"], first["paid_amount"]) == ('{"self":{"uri":"/x","size":1.50}}', Decimal("-0.01"))
    assert (first["extra_columns"], correction["extra_columns"]) == (None, '{"x":"[1.50,\\"a\\"]"}')
    assert (correction["invoice_number"], correction["amends_of"]) == ("G2", "G000000001")
    assert correction["total_charges"] == Decimal("0.1")
    found = identify(tmp_path / "export")[0]
    assert (found.kind, found.rows, found.period, found.currency) == ("invoices", 3, "2025-11", "USD")
    assert found.invoices == ["D1", "G000000001", "G2"]
    assert _only(read(tmp_path, json.dumps(INVOICE)), "invoices")["state"] is None
    texts = {name: str(value) for name, value in INVOICE.items()}
    assert _only(read(tmp_path, csv_text([texts], list(texts))), "invoices")["total_charges"] == 176


def _only(delivery: Delivery, kind: str) -> dict[str, Any]:
    row: dict[str, Any]
    (row,) = delivery.tables[kind].to_pylist()
    return row


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"items": [\n  {"id": 1,}\n]}', "line 2, column 12: a property name in double quotes is expected, found '}'"),
        ('[{"id": 1} {"id": 2}]', "line 1, column 12: a comma or the closing bracket is expected, found '{'"),
        ('HTTP/1.1 200 OK\nA: b\n\n{"a" 1}', "line 4, column 6: a colon is expected after the property name"),
        ('{"a": [1, 2', "line 1, column 12: a comma or the closing bracket is expected, found the end of the file"),
        ('{"a": "x', "line 1, column 7: the text that begins here is never closed"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": 1} trailing', "the end of the file is expected, found 't'"),
    ],
)
def test_malformed_json_is_told_by_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, text)
    assert words in str(raised.value)
    assert words in (identify(tmp_path / "export")[0].problem or "")


def test_rows_that_are_not_utf8_are_put_aside(tmp_path: Path) -> None:
    lines = [line(CustomerName="Müller"), line(CustomerName="Straße"), line(CustomerName="Plain")]
    header, *rows = csv_text(lines).splitlines(keepends=True)
    data = header.encode() + rows[0].encode() + rows[1].encode("cp1252") + rows[2].encode()
    delivery = read(tmp_path, data)
    assert [row["customer_name"] for row in recon_rows(delivery)] == ["Müller", "Plain"]
    (rejected,) = delivery.rejected.to_pylist()
    assert rejected["source_row"] == 3
    assert "byte 0xDF at position" in rejected["reason"]
    assert "Stra\\xdfe" in rejected["raw_text"]
    assert rejected["invoice_number"] == "G000000001"

    broken = json_lines(lines).replace("Straße", "\\ud800").encode().replace(b"Plain", b"\xff")
    delivery = read(tmp_path, broken)
    assert delivery.rejected.column("source_row").to_pylist() == [2, 3]
    assert "surrogate" in delivery.rejected.column("reason")[0].as_py()


def test_rows_without_what_a_charge_needs(tmp_path: Path) -> None:
    needed = ["CustomerId", "Currency", "Subtotal", "Total", "BillableQuantity", "UnitPrice", "ChargeStartDate"]
    free = ["ProductId", "SkuId", "SubscriptionId", "TermAndBillingCycle", "InvoiceNumber", "Quantity", "ChargeEndDate",
            "TaxTotal"]  # fmt: skip
    delivery = read(tmp_path, csv_text([line(**{name: ""}) for name in [*needed, *free]]))
    assert len(recon_rows(delivery)) == len(free)
    assert [reason.split(" is empty")[0] for reason in delivery.rejected.column("reason").to_pylist()] == needed
    assert delivery.rejected.column("kind").to_pylist() == ["invoice_recon"] * len(needed)


def test_typed_parquet(tmp_path: Path) -> None:
    """Exact types stay exact; of a binary float the shortest text counts, and NaN is no value."""
    line_one: dict[str, pa.Array] = {name: pa.array([value, value]) for name, value in RECON_LINE.items()}
    columns = {
        **line_one,
        "UnitPrice": pa.array([Decimal("17.60"), Decimal("0.01")]),
        "Subtotal": pa.array([0.1, 176.15]),
        "Quantity": pa.array([float("nan"), 3.0]),
        "BillableQuantity": pa.array([10, 2]),
        "ChargeStartDate": pa.array([date(2025, 11, 1)] * 2),
        "ChargeEndDate": pa.array([datetime(9999, 11, 30), None], pa.timestamp("us")),
        "OrderDate": pa.array([datetime(2025, 11, 1, 23)] * 2, pa.timestamp("us", tz="America/New_York")),
        "CustomerName": pa.array(["Contoso", "Fabrikam"]).dictionary_encode(),
        "ProductQualifiers": pa.array([["AddOn", "Trial"], []]),
        "TaxTotal": pa.array(["0", "x"]),
    }
    out = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), out)
    delivery = read(tmp_path, out.getvalue())
    row = _only(delivery, "invoice_recon")
    assert (row["unit_price"], row["subtotal"], row["quantity"]) == (Decimal("17.6"), Decimal("0.1"), None)
    assert (row["billable_quantity"], row["charge_start_date"]) == (10, date(2025, 11, 1))
    assert (row["charge_end_date"], row["order_date"]) == (date(9999, 11, 30), datetime(2025, 11, 1, 23, tzinfo=UTC))
    assert (row["customer_name"], row["product_qualifiers"]) == ("Contoso", '["AddOn","Trial"]')
    (rejected,) = delivery.rejected.to_pylist()
    assert (rejected["source_row"], rejected["subtotal"]) == (2, Decimal("176.15"))
    assert json.loads(rejected["raw_text"])["Subtotal"] == "176.15"


def test_every_table_is_given_with_its_exact_schema(tmp_path: Path) -> None:
    delivery = read(tmp_path, "nothing,of,ours\n")
    for kind, table in EXPORT_TABLES.items():
        expected = pa.schema([field for field in table.schema if field.name not in ("line_id", "period")])
        assert delivery.tables[kind].schema == expected
        assert delivery.tables[kind].num_rows == 0
