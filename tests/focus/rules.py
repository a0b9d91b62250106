"""The column rules of FOCUS 1.2 (dataset Cost and Usage), written down from the specification and not from the view.

Each rule is what a row must not be, as SQL over a table `focus`, by the id that the specification's rule model has for
it; a few that the model leaves to prose have names of their own. Numbers are compared as exact decimals.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal

import duckdb
import pyarrow as pa

TEXT, DECIMAL, TIME = "text", "decimal", "time"

#: Every column of the dataset: its type, and whether it may be null.
COLUMNS: dict[str, tuple[str, bool]] = {
    **dict.fromkeys(("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"), (TIME, False)),
    **dict.fromkeys(
        ("BilledCost", "ContractedCost", "EffectiveCost", "ListCost", "PricingCurrencyEffectiveCost"), (DECIMAL, False)
    ),
    **dict.fromkeys(
        ("CommitmentDiscountQuantity", "ConsumedQuantity", "ContractedUnitPrice", "ListUnitPrice", "PricingQuantity",
         "PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice"), (DECIMAL, True)
    ),
    **dict.fromkeys(
        ("BillingAccountId", "BillingCurrency", "ChargeCategory", "ChargeDescription", "ChargeFrequency",
         "InvoiceIssuerName", "PricingCurrency", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName",
         "ServiceSubcategory"), (TEXT, False)
    ),
    **dict.fromkeys(
        ("AvailabilityZone", "BillingAccountName", "BillingAccountType", "CapacityReservationId",
         "CapacityReservationStatus", "ChargeClass", "CommitmentDiscountCategory", "CommitmentDiscountId",
         "CommitmentDiscountName", "CommitmentDiscountStatus", "CommitmentDiscountType", "CommitmentDiscountUnit",
         "ConsumedUnit", "InvoiceId", "PricingCategory", "PricingUnit", "RegionId", "RegionName", "ResourceId",
         "ResourceName", "ResourceType", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId",
         "SubAccountName", "SubAccountType", "Tags"), (TEXT, True)
    ),
}  # fmt: skip

#: The services' subcategories by category.
SUBCATEGORIES: dict[str, str] = {
    "AI and Machine Learning": "AI Platforms, Bots, Generative AI, Machine Learning, Natural Language Processing",
    "Analytics": "Analytics Platforms, Business Intelligence, Data Processing, Search, Streaming Analytics",
    "Business Applications": "Productivity and Collaboration",
    "Compute": "Containers, End User Computing, Quantum Compute, Serverless Compute, Virtual Machines",
    "Databases": "Caching, Data Warehouses, Ledger Databases, NoSQL Databases, Relational Databases, "
                 "Time Series Databases",
    "Developer Tools": "Developer Platforms, Continuous Integration and Deployment, Development Environments, "
                       "Source Code Management, Quality Assurance",
    "Identity": "Identity and Access Management",
    "Integration": "API Management, Messaging, Workflow Orchestration",
    "Internet of Things": "IoT Analytics, IoT Platforms",
    "Management and Governance": "Architecture, Compliance, Cost Management, Data Governance, Disaster Recovery, "
                                 "Endpoint Management, Observability, Support",
    "Media": "Content Creation, Gaming, Media Streaming, Mixed Reality",
    "Migration": "Data Migration, Resource Migration",
    "Mobile": "",
    "Multicloud": "Multicloud Integration",
    "Networking": "Application Networking, Content Delivery, Network Connectivity, Network Infrastructure, "
                  "Network Routing, Network Security",
    "Other": "",
    "Security": "Secret Management, Security Posture Management, Threat Detection and Response",
    "Storage": "Backup Storage, Block Storage, File Storage, Object Storage, Storage Platforms",
    "Web": "Application Platforms",
}  # fmt: skip

_UNIT = r"[A-Za-z][A-Za-z0-9]*( [A-Za-z][A-Za-z0-9]*)*"
_TIMES = "(Seconds|Minutes|Hours|Days|Months|Years)"
#: The specification's unit format: a unit, a unit by time, a number of units.
UNITS = rf"{_UNIT}|{_UNIT}-{_TIMES}|{_UNIT}/(Second|Minute|Hour|Day|Month|Year)|[0-9]+ {_UNIT}|{_UNIT}/[0-9]+ {_TIMES}"

_CHARGED = "ChargeCategory in ('Usage', 'Purchase') and ChargeClass is distinct from 'Correction'"
_PRICED = ("ContractedUnitPrice", "ListUnitPrice", "PricingCategory", "PricingQuantity", "SkuId", "SkuPriceId",
           "PricingCurrencyContractedUnitPrice", "PricingCurrencyListUnitPrice")  # fmt: skip


def _rules() -> Iterator[tuple[str, str]]:
    for column, (kind, nullable) in COLUMNS.items():
        if not nullable:
            yield f"{column} not null", f"{column} is null"
        if kind == TEXT:
            yield f"{column} not blank", f"trim({column}) = ''"
    for column in _PRICED:
        yield f"{column} null for tax", f"ChargeCategory = 'Tax' and {column} is not null"
        yield f"{column} of usage and purchases", f"{_CHARGED} and {column} is null"
    for column in ("ContractedUnitPrice", "ListUnitPrice", "PricingCurrencyContractedUnitPrice",
                   "PricingCurrencyListUnitPrice"):  # fmt: skip
        yield f"{column} not negative", f"{column} < 0"
    for column, others in {
        "CommitmentDiscountId": ("CommitmentDiscountCategory", "CommitmentDiscountType"),
        "CommitmentDiscountQuantity": ("CommitmentDiscountUnit",), "ConsumedQuantity": ("ConsumedUnit",),
        "PricingQuantity": ("PricingUnit",), "RegionId": ("RegionName",), "ResourceId": ("ResourceType",),
        "SubAccountId": ("SubAccountName", "SubAccountType"),
        "BillingAccountId": ("BillingAccountName", "BillingAccountType"),
        "SkuId": ("SkuMeter",),
    }.items():  # fmt: skip
        for other in others:
            yield f"{other} with {column}", f"({column} is null) <> ({other} is null)"
    for column in ("CommitmentDiscountUnit", "ConsumedUnit", "PricingUnit"):
        yield f"{column} unit format", f"not regexp_full_match({column}, '{UNITS}')"
    for column in ("BillingCurrency", "PricingCurrency"):
        yield f"{column} ISO 4217", f"not regexp_full_match({column}, '[A-Z]{{3}}')"
    for column in ("Tags", "SkuPriceDetails"):
        yield f"{column} JSON", f"{column} is not null and not json_valid({column})"
        flat = f"json_type({column}) <> 'OBJECT' or list_has_any(json_type({column}, '$.*'), ['OBJECT', 'ARRAY'])"
        yield f"{column} flat object", f"json_valid({column}) and ({flat})"
    for column, allowed in {
        "ChargeCategory": ("Usage", "Purchase", "Tax", "Credit", "Adjustment"), "ChargeClass": ("Correction",),
        "ChargeFrequency": ("One-Time", "Recurring", "Usage-Based"),
        "PricingCategory": ("Standard", "Committed", "Dynamic", "Other"),
        "CommitmentDiscountCategory": ("Spend", "Usage"), "CommitmentDiscountStatus": ("Used", "Unused"),
        "CapacityReservationStatus": ("Used", "Unused"),
    }.items():  # fmt: skip
        yield f"{column} allowed", f"{column} not in {allowed!r}".replace(",)", ")")
    for column in ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd"):
        yield f"{column} a whole day", f"{column} <> date_trunc('day', {column})"


RULES: dict[str, str] = {
    **dict(_rules()),
    "BilledCost-C-005": "ProviderName <> InvoiceIssuerName and BilledCost <> 0",
    "BillingPeriod a month": "BillingPeriodStart <> date_trunc('month', BillingPeriodStart) "
                             "or BillingPeriodEnd <> BillingPeriodStart + interval '1 month'",
    "ChargePeriodEnd exclusive": "ChargePeriodEnd <= ChargePeriodStart",
    "ChargeFrequency-C-004": "ChargeFrequency = 'Usage-Based' and ChargeCategory = 'Purchase'",
    "CommitmentDiscountName-C-004": "CommitmentDiscountId is null and CommitmentDiscountName is not null",
    "CommitmentDiscountStatus-C-003": "CommitmentDiscountId is null and CommitmentDiscountStatus is not null",
    "CommitmentDiscountStatus-C-004": "CommitmentDiscountId is not null and ChargeCategory = 'Usage' "
                                      "and CommitmentDiscountStatus is null",
    "CommitmentDiscountQuantity-C-005": f"{_CHARGED} and CommitmentDiscountId is not null "
                                        "and CommitmentDiscountQuantity is null",
    "CommitmentDiscountQuantity-C-007": "CommitmentDiscountQuantity is not null and (CommitmentDiscountId is null "
                                        "or ChargeCategory not in ('Usage', 'Purchase') or ChargeClass is not null)",
    "CapacityReservationStatus-C-003": "CapacityReservationId is null and CapacityReservationStatus is not null",
    "ConsumedQuantity-C-004": "ConsumedQuantity is not null and (ChargeCategory <> 'Usage' "
                              "or CommitmentDiscountStatus = 'Unused')",
    "ConsumedQuantity-C-006": "ChargeCategory = 'Usage' and ConsumedQuantity is null "
                              "and CommitmentDiscountStatus is distinct from 'Unused' and ChargeClass is null",
    "DiscountHandling-A-012": "ChargeCategory = 'Purchase' and CommitmentDiscountId is distinct from ResourceId "
                              "and CommitmentDiscountId is not null",
    "PricingCategory-C-009": "ChargeCategory = 'Usage' and coalesce(CommitmentDiscountStatus = 'Used', false) "
                             "<> (PricingCategory = 'Committed')",
    "ResourceName-C-004": "ResourceId is null and ResourceName is not null",
    "ResourceName-C-006": "ResourceName = ResourceId",
    "a refund is negative": "BilledCost < 0 and (ListCost > 0 or ContractedCost > 0 or PricingQuantity > 0)",
    "SkuPriceDetails-C-004": "SkuPriceId is null and SkuPriceDetails is not null",
    "ListCost-C-008": "ChargeCategory in ('Credit', 'Adjustment') and ListUnitPrice is null and ListCost <> BilledCost",
    "ContractedCost-C-008": "ChargeCategory in ('Credit', 'Adjustment') and ContractedUnitPrice is null "
                            "and ContractedCost <> BilledCost",
    "EffectiveCost-C-010": "ChargeCategory not in ('Usage', 'Purchase', 'Tax') and EffectiveCost <> BilledCost",
    "ServiceSubcategory-C-004": "(ServiceCategory, ServiceSubcategory) not in (select (category, subcategory) "
                                "from subcategories)",
    "ServiceName-C-005": "ServiceName in (select ServiceName from focus group by ServiceName "
                         "having count(distinct (ServiceCategory, ServiceSubcategory)) > 1)",
    "SkuPriceId-C-008": "SkuPriceId in (select SkuPriceId from focus group by SkuPriceId "
                        "having count(distinct SkuId) > 1)",
}  # fmt: skip

#: Unit price, quantity and cost that must be their product, but for corrections.
PRODUCTS = {"ListCost-C-009": ("ListUnitPrice", "PricingQuantity", "ListCost"),
            "ContractedCost-C-009": ("ContractedUnitPrice", "PricingQuantity", "ContractedCost")}  # fmt: skip
#: What a product may differ by, as the Foundation's own validator has it: a share of the cost, at least of 1.
TOLERANCE = Decimal("1e-9")
_EXACT = Context(prec=120)


def violations(table: pa.Table) -> dict[str, int]:
    """How many rows break which rule; a row that breaks none counts nowhere."""
    found = dict(_columns(table))
    if found:
        return found
    pairs = [(category, name.strip()) for category, names in SUBCATEGORIES.items()
             for name in (*filter(None, names.split(",")), f"Other ({category})")]  # fmt: skip
    with duckdb.connect() as engine:
        engine.execute("set timezone = 'UTC'")
        engine.register("focus", table)
        engine.execute("create table subcategories (category text, subcategory text)")
        engine.executemany("insert into subcategories values (?, ?)", pairs)
        counted = ", ".join(f"count(*) filter (where {rule})" for rule in RULES.values())
        (counts,) = engine.execute(f"select {counted} from focus").fetchall()
    found |= {name: count for name, count in zip(RULES, counts, strict=True) if count}
    found |= {name: count for name, columns in PRODUCTS.items() if (count := _not_products(table, *columns))}
    return found


def _columns(table: pa.Table) -> Iterator[tuple[str, int]]:
    """Columns that are missing, of another type, or in another order than the specification's, own ones behind."""
    matches = {TEXT: pa.types.is_string, DECIMAL: pa.types.is_decimal, TIME: pa.types.is_timestamp}
    for name, (kind, _) in COLUMNS.items():
        if name not in table.column_names:
            yield f"{name} missing", 1
        elif not matches[kind](table.schema.field(name).type):
            yield f"{name} is no {kind}", 1
    own = table.column_names[len(COLUMNS) :]
    if table.column_names[: len(COLUMNS)] != sorted(COLUMNS) or not all(name.startswith("x_") for name in own):
        yield "order of columns", 1


def _not_products(table: pa.Table, price: str, quantity: str, cost: str) -> int:
    count = 0
    for row in table.select([price, quantity, cost, "ChargeClass"]).to_pylist():
        if row[price] is None or row[quantity] is None or row["ChargeClass"]:
            continue
        apart = abs(_EXACT.subtract(_EXACT.multiply(row[price], row[quantity]), row[cost]))
        count += apart > TOLERANCE * max(Decimal(1), abs(row[cost]))
    return count
