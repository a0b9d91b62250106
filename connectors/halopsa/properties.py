"""The properties of the HaloPSA bodies that are posted, declared once: type, limit, and what makes two rows equal.

Names, types and limits are facts of the public API and of HaloPSA's tables: texts of consumption rows 500, numbers
decimal(24,8) there and decimal(18,5) in the pricing table, and the widths of the invoice columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Type(Enum):
    """What a property takes."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    DATE = "date"
    JSON = "json"


class TooLong(Enum):
    """What becomes of a value over its property's limit."""

    REFUSE = "the row is refused"
    CUT = "the text is cut and noted"
    OMIT = "the value is left out and noted"


@dataclass(frozen=True)
class Property:
    """One property.

    Attributes:
        limit: most characters of a text (None: no limit), or most digits before a number's point.
        decimals: decimals that HaloPSA keeps of a number.
        too_long: what becomes of a value that is over the limit.
        stable: whether it tells rows apart when a list is compared with what was sent: identity and money, which
            HaloPSA neither changes nor leaves out.
        content: False for HaloPSA's ids, flags and commands, and for the link that changes with every download: they
            do not make a record another one.
    """

    name: str
    type: Type
    limit: int | None = None
    decimals: int = 0
    too_long: TooLong = TooLong.REFUSE
    stable: bool = False
    content: bool = True


@dataclass(frozen=True)
class Entity:
    """One kind of record: where it is written and listed, and its properties.

    Attributes:
        name: as the ledger has it.
        post_path, list_path: below `/api`; a list_path of None means that HaloPSA cannot list the records.
        id_property: HaloPSA's own id.
    """

    name: str
    post_path: str
    list_path: str | None
    id_property: str
    properties: dict[str, Property]


def _texts(names: str, limit: int | None = 500, stable: bool = False) -> list[Property]:
    return [Property(name, Type.TEXT, limit, stable=stable) for name in names.split()]


def _numbers(names: str, limit: int, decimals: int, stable: bool = False) -> list[Property]:
    return [Property(name, Type.NUMBER, limit, decimals, stable=stable) for name in names.split()]


def _others(names: str, kind: Type, stable: bool = False) -> list[Property]:
    return [Property(name, kind, stable=stable) for name in names.split()]


def _no_content(names: str, kind: Type) -> list[Property]:
    return [Property(name, kind, content=False) for name in names.split()]


def _by_name(*groups: list[Property]) -> dict[str, Property]:
    return {each.name: each for group in groups for each in group}


CONSUMPTION = Entity(
    "line",
    post_path="CSPConsumptionData/manage",
    list_path="CSPConsumptionData",
    id_property="id",
    properties=_by_name(
        _no_content("id parentid integratortraceid", Type.INTEGER),
        _no_content("_isimport isbilled", Type.BOOLEAN),
        _no_content("_warning", Type.TEXT),
        _others("type", Type.INTEGER),
        _texts(
            "customerid invoicenumber skuid availabilityid subscriptionid orderid meterid meterdescription "
            "resourceuri entitlementid currency termandbillingcycle referenceid alternateid promotionid",
            stable=True,
        ),
        _texts(
            "partnerid partnername customername customerdomainname customercountry mpnid skuname productname "
            "publisherid publishername subscriptiondescription metertype metercategory metersubcategory metername "
            "meterregion unit resourcelocation consumedservice resourcegroup orderdate unittype billingcurrency "
            "pricingcurrency serviceinfo1 serviceinfo2 pctobcexchangeratedate entitlementdescription "
            "creditpercentage credittype benefitorderid benefitid benefittype priceadjustmentdescription "
            "billingfrequency reservationorderid creditreasoncode"
        ),
        [Property(name, Type.TEXT, 500, too_long=TooLong.CUT) for name in ("tags", "additionalinfo")],
        _numbers(
            "unitprice quantity subtotal taxtotal total billingpretaxtotal pricingpretaxtotal effectiveunitprice "
            "billablequantity",
            limit=16,
            decimals=8,
            stable=True,
        ),
        _numbers("pctobcexchangerate partnerearnedcreditpercentage", limit=16, decimals=8),
        _others("chargestartdate chargeenddate usagedate", Type.DATE, stable=True),
        _others("subscriptionstartdate subscriptionenddate", Type.DATE),
    ),
)

INVOICE = Entity(
    "invoice",
    post_path="cspinvoice",
    list_path="cspinvoice",
    id_property="haloid",
    properties=_by_name(
        _no_content("haloid", Type.INTEGER),
        _no_content("isbilled isfullybilled haslines update_billed_state mark_as_billed _isimport", Type.BOOLEAN),
        _no_content("_warning", Type.TEXT),
        _others("client_id", Type.INTEGER),
        _others("tenantid", Type.INTEGER, stable=True),
        _texts("id", stable=True),
        _texts("currencycode currencysymbol", 10),
        _texts("documenttype invoicetype", 250),
        # A link that lives for half an hour: worth nothing when cut, and not worth refusing an invoice for.
        [Property("pdfdownloadlink", Type.TEXT, 250, too_long=TooLong.OMIT, content=False)],
        _numbers("totalcharges paidamount", limit=13, decimals=6),
        _others("invoicedate", Type.DATE),
        # HaloPSA takes these and keeps none of them.
        _no_content("taxreceipts invoicedetails links attributes", Type.JSON),
    ),
)

PRICING = Entity(
    "price",
    post_path="CSPSubscriptionPricing/manage",
    list_path=None,
    id_property="id",
    properties=_by_name(
        _no_content("id", Type.INTEGER),
        _no_content("_warning", Type.TEXT),
        _texts("marketplace market", 25, stable=True),
        _texts("currency", 100, stable=True),
        _texts("productid skuid", 500, stable=True),
        _texts("termduration billingplan segment", 1000, stable=True),
        _texts("publisher", 500),
        _texts("producttitle skutitle unitofmeasure", 1000),
        _texts("skudescription tags", None),
        _numbers("unitprice erp_price pricingtierrangemin", limit=13, decimals=5, stable=True),
        # The open end of the last tier is written as the largest 64-bit number, which the column cannot hold.
        [Property("pricingtierrangemax", Type.NUMBER, 13, 5, TooLong.OMIT)],
        _others("effectivestartdate", Type.DATE, stable=True),
        _others("effectiveenddate", Type.DATE),
    ),
)
