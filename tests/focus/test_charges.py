"""Single charges in the view, on both engines: signs, prices, corrections, commitments, and usage in place of lines."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.engine import Warehouse
from tests.focus.conftest import read_view
from tests.focus.rules import violations
from tests.focus.test_month import billed, invoiced
from tests.warehouse.rows import rows
from transforms.tables.daily_usage import DAILY_USAGE
from transforms.tables.focus import OUT_FOCUS
from transforms.tables.invoice_recon import INVOICE_RECON
from transforms.tables.results import FINDINGS, INVOICE_TIEOUT, LINES, RUNS
from transforms.tables.views import OUT_LINES

Row = dict[str, Any]
MONTH = {"period": "2026-03"}
WHO = {
    "partner_id": "p", "customer_id": "c", "customer_name": "Müller & Söhne", "invoice_number": "G1",
    "subscription_id": "S", "publisher_name": "Microsoft Corporation", "pricing_currency": "EUR",
}  # fmt: skip
LICENCE = {
    **WHO, "product_id": "CFQ7TTC0AAAA", "sku_id": "0001", "availability_id": "CFQ7TTC0BBBB", "sku_name": "E3",
    "product_name": "Microsoft 365 E3", "charge_type": "cycleCharge", "currency": "EUR", "billing_frequency": "Monthly",
    "charge_start_date": dt.date(2026, 3, 1), "charge_end_date": dt.date(2026, 3, 31),
}  # fmt: skip
AZURE = {
    **LICENCE, "product_id": "DZH318Z0AAAA", "sku_name": "D2s", "product_name": "VM", "charge_type": "new",
    "subscription_description": "Azure plan", "meter_description": "Virtual Machines - D2s v5", "unit_type": "1 Hour",
    "billing_frequency": None,
}  # fmt: skip
USAGE = {
    **WHO, "product_id": "DZH318Z0AAAA", "sku_id": "0001", "sku_name": "D2s", "charge_type": "Usage", "meter_id": "m",
    "usage_date": dt.date(2026, 3, 9), "meter_category": "Virtual Machines", "meter_name": "D2s v5",
    "unit_type": "1 Hour", "billing_currency": "EUR", "pricing_currency": "EUR",
}  # fmt: skip


class Bill:
    """Source rows with the lines of the period's run."""

    def __init__(self) -> None:
        self.recon: list[Row] = []
        self.usage: list[Row] = []
        self.lines: list[Row] = []

    def line(
        self, line_id: str, like: Row, subtotal: str, price: str | None, quantity: str | None, **more: Any
    ) -> None:
        """A reconciliation line; what the price list says of it is not in the source."""
        listed = {name: Decimal(more.pop(name)) for name in ("erp_amount", "erp_unit_price", "list_unit_price")
                  if name in more}  # fmt: skip
        tax = more.pop("tax", "0")
        amounts = {"subtotal": Decimal(subtotal), "tax_total": Decimal(tax),
                   "total": Decimal(more.pop("total", str(Decimal(subtotal) + Decimal(tax))))}  # fmt: skip
        prices = {name: None if value is None else Decimal(value) for name, value in (
            ("unit_price", more.pop("unit_price", price)), ("effective_unit_price", price),
            ("billable_quantity", quantity),
        )}  # fmt: skip
        row = {**MONTH, **like, "line_id": line_id, **amounts, **prices, **more}
        self.recon.append(row)
        self._judged(row, "invoice_recon", row["currency"], amounts["subtotal"], amounts["tax_total"], amounts["total"],
                     **listed)  # fmt: skip

    def use(self, line_id: str, cost: str, price: str, quantity: str, **more: Any) -> None:
        """A usage line."""
        row = {**MONTH, **USAGE, "line_id": line_id, "billing_pre_tax_total": Decimal(cost),
               "pricing_pre_tax_total": Decimal(cost), "unit_price": Decimal(more.pop("unit_price", price)),
               "effective_unit_price": Decimal(price), "quantity": Decimal(quantity), **more}  # fmt: skip
        self.usage.append(row)
        self._judged(row, "daily_usage", row["billing_currency"], Decimal(cost), None, Decimal(cost))

    def _judged(
        self, row: Row, source: str, currency: str, subtotal: Decimal, tax: Decimal | None, total: Decimal, **more: Any
    ) -> None:
        own = {name: row[name] for name in ("line_id", "period", "invoice_number")}
        self.lines.append({**own, **more, "run_id": "r", "source": source, "currency": currency,
                           "subtotal_amount": subtotal, "tax_amount": tax, "total_amount": total})  # fmt: skip

    def charges(self, warehouse: Warehouse, *others: tuple[Any, Row]) -> pa.Table:
        """The view of these rows; what the rules say of it must be nothing."""
        tables = {
            RUNS: [{**MONTH, "run_id": "r", "status": "reconciled"}], INVOICE_RECON: self.recon,
            DAILY_USAGE: self.usage, LINES: self.lines,
        }  # fmt: skip
        with warehouse.begin() as connection:
            for table, given in [*tables.items(), *((table, [row]) for table, row in others)]:
                insert_arrow(connection, table, rows(table, *given))
        focus = read_view(warehouse, OUT_FOCUS)
        assert violations(focus) == {}
        return focus


def by_line(focus: pa.Table) -> dict[tuple[str, str], Row]:
    return {(row["x_LineId"], row["ChargeCategory"]): row for row in focus.to_pylist()}


def shown(row: Row, *names: str) -> list[Any]:
    """Some values; decimals as plain numbers without zeros at their end."""
    values = [row[name] for name in names]
    return [f"{value.normalize():f}" if isinstance(value, Decimal) else value for value in values]


PRICES = ("ListUnitPrice", "ListCost", "ContractedUnitPrice", "ContractedCost", "BilledCost", "PricingQuantity")


def test_licences_and_other_purchases(warehouse: Warehouse) -> None:
    bill = Bill()
    erp = {"erp_unit_price": "12", "list_unit_price": "10"}
    bill.line("full", LICENCE, "50", "10", "5", tax="9.5", erp_amount="60", **erp)
    bill.line("refund", LICENCE, "-25", "-5", "5", charge_type="removeQuantity", erp_amount="-30", **erp,
              charge_start_date=dt.date(2026, 3, 16))  # fmt: skip
    bill.line("late", LICENCE, "-7", "-7", "1", tax="-1.33", charge_type="cancelImmediate",
              charge_start_date=dt.date(2026, 2, 20))  # fmt: skip
    bill.line("promoted", LICENCE, "21.25", "4.25", "5", promotion_id="39NFJQT1X", erp_amount="30", **erp)
    bill.line("dollars", LICENCE, "18", "10", "2", pricing_currency="USD", pc_to_bc_exchange_rate=Decimal("0.9"))
    bill.line("wrong", LICENCE, "10", "10", "1", tax="2", total="13")
    bill.line("credit", LICENCE, "-3", "3", "1", charge_type="customerCredit", credit_reason_code="SLA")
    bill.line("perpetual", LICENCE, "100", "100", "1", charge_end_date=None, billing_frequency=None,
              product_id="DG7GMGF0D5RK", charge_type="new", product_name="SQL Server 2022")  # fmt: skip
    bill.line("nothing", LICENCE, "4", None, None, sku_name=None, charge_start_date=None, charge_end_date=None)
    bill.line("large", LICENCE, "1", "9e15", "9e22", unit_price="9e15", erp_amount="9e19", erp_unit_price="9e15",
              list_unit_price="9e15", promotion_id="x", charge_start_date=dt.date(2026, 2, 1))  # fmt: skip
    # Only money within reason can be told as products; this one refunds another month.
    bill.recon[-1]["subtotal"] = bill.recon[-1]["total"] = Decimal(-1)
    bill.lines[-1] |= {"subtotal_amount": Decimal(-1), "total_amount": Decimal(-1)}
    focus = bill.charges(warehouse)
    found = by_line(focus)
    assert billed(focus) == invoiced(read_view(warehouse, OUT_LINES))

    assert shown(found["full", "Purchase"], *PRICES) == ["12", "60", "10", "50", "50", "5"]
    assert shown(found["full", "Tax"], *PRICES, "SkuId") == [None, "11.4", None, "9.5", "9.5", None, None]
    assert shown(found["refund", "Purchase"], *PRICES) == ["6", "-30", "5", "-25", "-25", "-5"]
    assert shown(found["promoted", "Purchase"], *PRICES) == ["6", "30", "5", "25", "21.25", "5"]
    assert shown(found["dollars", "Purchase"], *PRICES) == ["9", "18", "9", "18", "18", "2"]
    pricing = ("PricingCurrency", "PricingCurrencyListUnitPrice", "PricingCurrencyEffectiveCost", "BillingCurrency")
    assert shown(found["dollars", "Purchase"], *pricing) == ["USD", "10", "20", "EUR"]
    assert (found["wrong", "Purchase"]["BilledCost"], found["wrong", "Tax"]["BilledCost"]) == (11, 2)
    assert shown(found["credit", "Credit"], *PRICES) == [None, "-3", None, "-3", "-3", None]
    assert shown(found["nothing", "Purchase"], *PRICES) == ["4", "4", "4", "4", "4", "1"]
    corrections = {key for key, row in found.items() if row["ChargeClass"]}
    assert corrections == {("late", "Purchase"), ("late", "Tax"), ("large", "Purchase")}
    frequencies = {line: found[line, "Purchase"]["ChargeFrequency"] for line in ("full", "perpetual")}
    assert frequencies == {"full": "Recurring", "perpetual": "One-Time"}
    period = [found["perpetual", "Purchase"][f"ChargePeriod{end}"] for end in ("Start", "End")]
    assert period == [dt.datetime(2026, 3, day, tzinfo=dt.UTC) for day in (1, 2)]
    assert found["nothing", "Purchase"]["ChargePeriodStart"] == dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    names = ("SkuId", "SkuPriceId", "SkuMeter", "SubAccountName", "BillingAccountId", "ServiceCategory", "PricingUnit")
    assert [found["full", "Purchase"][name] for name in names] == [
        "CFQ7TTC0AAAA:0001", "CFQ7TTC0AAAA:0001:CFQ7TTC0BBBB", "Licenses", "Müller & Söhne", "p",
        "Business Applications", "Licenses",
    ]  # fmt: skip
    assert found["perpetual", "Purchase"]["ServiceSubcategory"] == "Relational Databases"


def test_usage_stands_for_the_lines_it_is_the_detail_of(warehouse: Warehouse) -> None:
    bill = Bill()
    for number in range(1, 6):
        own = {"invoice_number": f"G{number}"}
        bill.line(f"line {number}", AZURE, "8.49", "0.85", "10", tax="1.6", unit_price="1", **own)
        bill.line(f"outage {number}", AZURE, "-1", "1", "1", charge_type="customerCredit", **own,
                  credit_reason_code="Service Level Agreement Credit")  # fmt: skip
        # A subscription's id varies in case.
        for day in (1, 2):
            bill.use(f"use {number}.{day}", "4.25", "0.85", "5", unit_price="1", **own, subscription_id="s",
                     usage_date=dt.date(2026, 3, day))  # fmt: skip
    bill.lines = [line for line in bill.lines if line["invoice_number"] != "G4" or line["source"] == "daily_usage"]
    bill.recon = [row for row in bill.recon if row["invoice_number"] != "G4"]
    wrong_total = next(row for row in bill.recon if row["line_id"] == "line 5")
    wrong_total["total"] += 1
    next(line for line in bill.lines if line["line_id"] == "line 5")["total_amount"] += 1
    apart = {**MONTH, "run_id": "r", "code": "USAGE_MISMATCH", "severity": "warn", "invoice_number": "G2",
             "subscription_id": "S", "product_id": "DZH318Z0AAAA", "sku_id": "0001"}  # fmt: skip
    void = {**MONTH, "run_id": "r", "invoice_number": "G3", "status": "voided"}
    focus = bill.charges(warehouse, (FINDINGS, apart), (INVOICE_TIEOUT, void))
    expected = invoiced(read_view(warehouse, OUT_LINES))
    del expected["G3"]
    assert billed(focus) == expected

    lines: dict[str, dict[str, list[str]]] = {}
    for row in sorted(focus.to_pylist(), key=lambda row: row["x_LineId"]):
        lines.setdefault(row["InvoiceId"], {}).setdefault(row["ChargeCategory"], []).append(row["x_LineId"])
    taxed = {"Tax": ["line 1"], "Credit": ["outage 1"]}
    assert lines["G1"] == {"Usage": ["use 1.1", "use 1.2"], "Adjustment": ["line 1"], **taxed}
    assert lines["G2"] == {"Usage": ["line 2"], "Tax": ["line 2"], "Credit": ["outage 2"]}
    assert "G3" not in lines, "the rebill charges a voided invoice's lines again"
    assert lines["G4"] == {"Usage": ["use 4.1", "use 4.2"]}
    assert lines["G5"] == {"Usage": ["line 5"], "Tax": ["line 5"], "Credit": ["outage 5"]}
    found = by_line(focus)
    assert shown(found["line 1", "Adjustment"], *PRICES) == [None, "-0.01", None, "-0.01", "-0.01", None]
    assert shown(found["use 1.1", "Usage"], *PRICES) == ["1", "5", "1", "5", "4.25", "5"]
    assert shown(found["line 2", "Usage"], *PRICES, "ConsumedQuantity", "ConsumedUnit") == [
        "1", "10", "1", "10", "8.49", "10", "10", "Hours"]  # fmt: skip


def test_commitments(warehouse: Warehouse) -> None:
    bill = Bill()
    bought = {**AZURE, "product_name": "Reserved VM Instance", "product_category": "Azure reservation",
              "meter_description": None, "reservation_order_id": "order", "subscription_description": "VM"}  # fmt: skip
    bill.line("reservation", bought, "100", "50", "2")
    bill.line("plan", bought, "62", "0.5", "124", product_name="Compute savings plan", reservation_order_id="plan")
    bill.line("unnamed", bought, "100", "50", "2", reservation_order_id=None)
    info = '{"ReservationOrderId": "order", "ServiceType": "Standard_D2s_v5"}'
    bill.use("reserved", "0", "0", "24", unit_price="1", additional_info=info)
    bill.use("planned", "0", "0", "24", unit_price="1", benefit_order_id="plan", benefit_type="Reservation")
    bill.use("free", "0", "0", "24", unit_price="1", benefit_type="Charge")
    found = by_line(bill.charges(warehouse))
    names = tuple(f"CommitmentDiscount{name}" for name in ("Id", "Type", "Category", "Status", "Quantity", "Unit"))
    assert {line: shown(row, *names, "PricingCategory", "ResourceId") for (line, _), row in found.items()} == {
        "reservation": ["order", "Reservation", "Usage", None, "1488", "Hours", "Standard", "order"],
        "plan": ["plan", "Savings Plan", "Spend", None, "62", "EUR", "Standard", "plan"],
        "unnamed": [None, None, None, None, None, None, "Standard", None],
        "reserved": ["order", "Reservation", "Usage", "Used", "24", "Hours", "Committed", None],
        "planned": ["plan", "Reservation", "Usage", "Used", "24", "Hours", "Committed", None],
        "free": [None, None, None, None, None, None, "Standard", None],
    }


#: What is delivered, and what the view makes of it.
CASES: list[tuple[Row, Row]] = [
    ({"tags": '{"env":"prod"}'}, {"Tags": '{"env":"prod"}'}),
    ({"tags": '"env": "prod", "n": 1'}, {"Tags": '{"env": "prod", "n": 1}'}),
    ({"tags": '{"a": {"b": 1}}'}, {"Tags": None}),
    ({"tags": "[1]"}, {"Tags": None}),
    ({"tags": '{"a": '}, {"Tags": None}),
    ({"resource_location": "West Europe"}, {"RegionId": "westeurope", "RegionName": "West Europe"}),
    ({"resource_location": "EastUS2"}, {"RegionId": "eastus2", "RegionName": "East US 2"}),
    ({"resource_location": "Atlantis 1"}, {"RegionId": "atlantis1", "RegionName": "Atlantis 1"}),
    ({"resource_location": "Global"}, {"RegionId": None, "RegionName": None}),
    (
        {"resource_uri": "/subscriptions/1/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm7"},
        {"ResourceName": "vm7", "ResourceType": "Microsoft.Compute/virtualMachines"},
    ),
    (
        {"resource_uri": "vm7", "consumed_service": "Microsoft.Compute"},
        {"ResourceId": "vm7", "ResourceName": None, "ResourceType": "Microsoft.Compute"},
    ),
    ({"meter_name": "D2s v5 Spot"}, {"PricingCategory": "Dynamic"}),
    ({"unit_type": "10K"}, {"PricingUnit": "10000 Units", "ConsumedUnit": "10000 Units"}),
    ({"unit_type": "1 GB/Month"}, {"PricingUnit": "GB-Months"}),
    ({"unit_type": "1 GiB Second"}, {"PricingUnit": "GiB-Seconds"}),
    ({"unit_type": "1/Day"}, {"PricingUnit": "Unit-Days"}),
    ({"unit_type": "1"}, {"PricingUnit": "Units"}),
    ({"unit_type": "100"}, {"PricingUnit": "100 Units"}),
    ({"unit_type": "gb hours"}, {"PricingUnit": "gb hours"}),
    ({"unit_type": None, "unit": "1M"}, {"PricingUnit": "1000000 Units"}),
    ({"meter_category": "Azure Cosmos DB"}, {"ServiceCategory": "Databases", "ServiceName": "Azure Cosmos DB"}),
    ({"meter_category": None, "product_name": None, "sku_name": None}, {"ServiceName": "DZH318Z0AAAA"}),
    ({"customer_name": None, "customer_domain_name": "c.example"}, {"SubAccountName": "c.example"}),
    ({"partner_id": None}, {"BillingAccountId": "p"}),
    ({"invoice_number": None}, {"InvoiceId": None}),
    ({"usage_date": None}, {"ChargePeriodStart": dt.datetime(2026, 3, 1, tzinfo=dt.UTC)}),
]


def test_what_usage_is_told_by(warehouse: Warehouse) -> None:
    bill = Bill()
    for number, (given, _) in enumerate(CASES):
        bill.use(str(number), "1", "1", "1", **given)
    found = by_line(bill.charges(warehouse))
    for number, (given, expected) in enumerate(CASES):
        row = found[str(number), "Usage"]
        assert {name: row[name] for name in expected} == expected, given
