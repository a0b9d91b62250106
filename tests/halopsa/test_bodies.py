"""From table rows to HaloPSA's bodies: names, exact numbers, limits, and the digests that recognise them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connectors.halopsa import registry, wire
from connectors.halopsa.bodies import Draft, invoice_drafts, line_drafts, price_drafts
from connectors.halopsa.fingerprint import content_hash, stable_part
from connectors.halopsa.models.base import properties_of
from connectors.halopsa.properties import CONSUMPTION, INVOICE, PRICING, Entity
from connectors.halopsa.registry import Resource
from tests.halopsa import month
from transforms.tables import DAILY_USAGE, EXPORT_TABLES, INVOICE_RECON, INVOICES, PRICE_LIST


def line(**changes: Any) -> Draft:
    return line_drafts(month.table(INVOICE_RECON, [month.recon_line(1, **changes)]), INVOICE_RECON, 7)[0]


def usage(**changes: Any) -> Draft:
    return line_drafts(month.table(DAILY_USAGE, [month.usage_line(1, **changes)]), DAILY_USAGE, 1)[0]


def price(unit_price: str, **changes: Any) -> Draft:
    return price_drafts(month.table(PRICE_LIST, [month.price("P", unit_price, **changes)]), None)[0]


def test_a_reconciliation_line() -> None:
    draft = line(billable_quantity=Decimal(3), pc_to_bc_exchange_rate=Decimal("0.913100000000001"))
    assert (draft.key, draft.parent_key, draft.source) == ("line-1", "G1", "export.csv row 2")
    assert draft.body | {"type": 7, "quantity": Decimal(3), "billablequantity": Decimal(3)} == draft.body
    assert draft.body["chargestartdate"] == "2025-11-01T00:00:00Z"
    assert draft.body["orderdate"] == "2025-10-03T09:30:00Z"
    assert draft.body["unitprice"] == draft.body["effectiveunitprice"] == Decimal("1.25")
    assert draft.body["billingcurrency"] == draft.body["currency"] == "USD"
    assert draft.body["pctobcexchangerate"] == Decimal("0.9131")
    assert draft.rounded == ("pctobcexchangerate",)
    assert wire.encode(draft.body["total"]) == "1.25"
    assert None not in draft.body.values()
    assert "isbilled" not in draft.body


def test_quantity_falls_back_to_what_was_bought() -> None:
    body = line(billable_quantity=None, quantity=Decimal("2.50")).body
    assert body["quantity"] == Decimal("2.5")
    assert "billablequantity" not in body


def test_a_usage_line() -> None:
    draft = usage(credit_percentage=Decimal("15.000"), additional_info="𝄞" * 300, tags="short")
    assert draft.body["subtotal"] == draft.body["total"] == draft.body["billingpretaxtotal"] == Decimal("0.0861")
    assert "taxtotal" not in draft.body
    assert draft.body["creditpercentage"] == "15"
    assert draft.body["usagedate"] == "2025-11-01T00:00:00Z"
    # A letter outside the basic plane counts twice, as HaloPSA counts it.
    assert draft.body["additionalinfo"] == "𝄞" * 250
    assert (draft.cut, draft.body["tags"]) == (("additionalinfo",), "short")


@pytest.mark.parametrize(("changes", "problem"), [
    ({"product_name": "é" * 501}, "productname has 501 characters, and HaloPSA takes 500"),
    ({"billable_quantity": Decimal("12345678901234567.5")},
     "quantity is 12345678901234567.5, and HaloPSA keeps 16 digits before the point"),
])  # fmt: skip
def test_what_does_not_fit_is_an_error_that_names_the_row(changes: dict[str, Any], problem: str) -> None:
    draft = line(**changes)
    assert draft.problem == f"export.csv row 2: {problem}"


def test_an_invoice() -> None:
    row = month.invoice("G9", "12.30", pdf_download_link="x" * 300, links='{"self": {"uri": "/G9", "n": 1.10}}')
    draft = invoice_drafts(month.table(INVOICES, [row]), 4, {})[0]
    assert draft.body["tenantid"] == 4
    assert wire.encode(draft.body["totalcharges"]) == "12.3"
    assert draft.body["taxreceipts"] == [{"id": "r1", "taxreceiptpdfdownloadlink": "/r1.pdf"}]
    assert draft.body["links"] == {"self": {"uri": "/G9", "n": Decimal("1.10")}}
    # The link lives half an hour: too long, it is left out; changed, it makes no other document.
    assert (draft.cut, "pdfdownloadlink" in draft.body) == (("pdfdownloadlink",), False)
    assert draft.content_hash == content_hash(INVOICE, {**draft.body, "pdfdownloadlink": "/other", "haloid": 5})
    bad = invoice_drafts(month.table(INVOICES, [{**row, "invoice_details": "[}"}]), 4, {})[0]
    assert bad.problem == "export.csv row 1: invoicedetails is no JSON"


def test_a_price() -> None:
    tier = {"pricing_tier_range_min": Decimal("0.000"), "pricing_tier_range_max": Decimal("9223372036854780000")}
    draft = price("0.123455", **tier)
    assert draft.key == "P|0001|P1Y|Monthly|US|USD|Commercial|0|2025-04-01T00:00:00Z|1"
    assert draft.body["unitprice"] == Decimal("0.12346")
    assert draft.rounded == ("unitprice",)
    assert draft.body["effectiveenddate"] == "9999-11-30T23:59:59Z"
    # The last tier has no end: HaloPSA's column could not hold the number that stands for it.
    assert "pricingtierrangemax" not in draft.body


def test_prices_of_several_lists() -> None:
    """A repeat within a file is another row; the same row in a later list replaces the earlier."""
    newer = {"file_sha256": "e" * 64, "source_file": "newer.csv"}
    rows = [
        month.price("P", "1.00"),
        month.price("P", "2.00"),
        month.price("P", "3.00", **newer),
        month.price("Q", "9.00"),
    ]
    drafts = price_drafts(month.table(PRICE_LIST, rows), {"P"})
    assert [(draft.key[-2:], draft.body["unitprice"]) for draft in drafts] == [("|1", 3), ("|2", 2)]


def test_a_listed_record_is_recognised_however_it_is_written() -> None:
    draft = usage()
    listed = {
        **draft.body,
        "id": 17, "parentid": 3, "isbilled": False, "_warning": "", "taxtotal": Decimal("0.00000000"),
        "chargestartdate": "2025-11-01T00:00:00", "total": Decimal("0.086100004999"), "meterid": None,
        "subscriptionenddate": "0001-01-01T00:00:00", "currency": " USD ",
    }  # fmt: skip
    assert content_hash(CONSUMPTION, listed) == draft.content_hash
    renamed = content_hash(CONSUMPTION, {**listed, "customername": "Fabrikam"})
    assert stable_part(renamed) == stable_part(draft.content_hash)
    assert renamed != draft.content_hash
    for change in ({"total": Decimal("0.0862")}, {"usagedate": "2025-11-02T00:00:00"}, {"subscriptionid": "other"}):
        assert stable_part(content_hash(CONSUMPTION, {**listed, **change})) != stable_part(draft.content_hash)


def test_every_mapped_property_is_declared() -> None:
    entities = {INVOICE_RECON.name: CONSUMPTION, DAILY_USAGE.name: CONSUMPTION, INVOICES.name: INVOICE}
    entities[PRICE_LIST.name] = PRICING
    for table in EXPORT_TABLES.values():
        for column in table.columns:
            for name in column.halo:
                assert name in entities[table.name].properties


@pytest.mark.parametrize(("entity", "resource"), [
    (CONSUMPTION, registry.CONSUMPTION), (INVOICE, registry.INVOICES), (PRICING, registry.PRICES),
])  # fmt: skip
def test_what_is_posted_sorts_every_property_once(entity: Entity, resource: Resource) -> None:
    assert set(entity.properties) == set(properties_of(resource.model))


def test_an_invoice_of_one_client_names_it() -> None:
    rows = month.table(INVOICES, [month.invoice("G9", "12.30"), month.invoice("G8", "1")])
    assert [draft.body.get("client_id") for draft in invoice_drafts(rows, 4, {"G9": 77})] == [77, None]


def test_digests_stay_what_ledgers_hold() -> None:
    """Another order of the properties would make every record of every ledger another one."""
    invoice = invoice_drafts(month.table(INVOICES, [month.invoice("G9", "12.30")]), 4, {})[0]
    assert [draft.content_hash for draft in (line(), invoice, price("0.123455"))] == [
        "d620d7df2fe08d0c7c3ffc2211de460b0516a755abcc2489a9089f1e460bce30",
        "9bf03952470bb3f82fba1c626c24da0d4359f62b79b2fdca69bff9eceb9c12a8",
        "0406c576dcda2cee37299d7bf76d8a7e51bf6b985971994c8530caca1bad32fa",
    ]
