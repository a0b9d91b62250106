"""What is posted when a month is loaded, and by which of its properties a record is recognised in HaloPSA.

Types and limits are those of the models. The order of the names is part of the digests that ledgers keep
(`connectors.halopsa.fingerprint`): a new property goes to the end of its list.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum

from connectors.halopsa import registry
from connectors.halopsa.models.base import Property, Type, properties_of
from connectors.halopsa.registry import Action, Resource

__all__ = ["CONSUMPTION", "INVOICE", "PRICING", "Entity", "PostedProperty", "TooLong", "Type"]


class TooLong(Enum):
    """What becomes of a value over its property's limit."""

    REFUSE = "the row is refused"
    CUT = "the text is cut and noted"
    OMIT = "the value is left out and noted"


@dataclass(frozen=True)
class PostedProperty(Property):
    """One property of a record that is loaded.

    Attributes:
        too_long: what becomes of a value that is over the limit.
        stable: whether it tells rows apart when a list is compared with what was sent: identity and money, which
            HaloPSA neither changes nor leaves out.
        content: False for HaloPSA's ids, flags and commands, and for the link that changes with every download: they
            do not make a record another one.
    """

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
    properties: dict[str, PostedProperty]


def _entity(name: str, resource: Resource, post: Action, *, stable: str, other: str, no_content: str) -> Entity:
    """The entity of a resource; the three lists together have each of its properties once."""
    declared = properties_of(resource.model)
    listed = (
        [_posted(declared[each], stable=True) for each in stable.split()]
        + [_posted(declared[each]) for each in other.split()]
        + [_posted(declared[each], content=False) for each in no_content.split()]
    )
    return Entity(
        name,
        resource.path_of(post),
        resource.path_of(Action.LIST) if Action.LIST in resource.actions else None,
        resource.id_property,
        {each.name: each for each in listed},
    )


def _posted(declared: Property, *, stable: bool = False, content: bool = True) -> PostedProperty:
    facts = {field.name: getattr(declared, field.name) for field in fields(Property)}
    return PostedProperty(
        **facts, too_long=_TOO_LONG.get(declared.name, TooLong.REFUSE), stable=stable, content=content
    )


_TOO_LONG = {
    "tags": TooLong.CUT,
    "additionalinfo": TooLong.CUT,
    # A link that lives for half an hour: worth nothing when cut, and not worth refusing an invoice for.
    "pdfdownloadlink": TooLong.OMIT,
    # The open end of the last tier is written as the largest 64-bit number, which the column cannot hold.
    "pricingtierrangemax": TooLong.OMIT,
}

CONSUMPTION = _entity(
    "line",
    registry.CONSUMPTION,
    Action.MANAGE,
    stable="customerid invoicenumber skuid availabilityid subscriptionid orderid meterid meterdescription "
    "resourceuri entitlementid currency termandbillingcycle referenceid alternateid promotionid "
    "unitprice quantity subtotal taxtotal total billingpretaxtotal pricingpretaxtotal effectiveunitprice "
    "billablequantity chargestartdate chargeenddate usagedate",
    other="type partnerid partnername customername customerdomainname customercountry mpnid skuname productname "
    "publisherid publishername subscriptiondescription metertype metercategory metersubcategory metername "
    "meterregion unit resourcelocation consumedservice resourcegroup orderdate unittype billingcurrency "
    "pricingcurrency serviceinfo1 serviceinfo2 pctobcexchangeratedate entitlementdescription "
    "creditpercentage credittype benefitorderid benefitid benefittype priceadjustmentdescription "
    "billingfrequency reservationorderid creditreasoncode tags additionalinfo pctobcexchangerate "
    "partnerearnedcreditpercentage subscriptionstartdate subscriptionenddate",
    no_content="id parentid integratortraceid _isimport isbilled _warning",
)

INVOICE = _entity(
    "invoice",
    registry.INVOICES,
    Action.SAVE,
    stable="tenantid id",
    other="client_id currencycode currencysymbol documenttype invoicetype totalcharges paidamount invoicedate",
    # HaloPSA takes the last four and keeps none of them.
    no_content="haloid isbilled isfullybilled haslines update_billed_state mark_as_billed _isimport _warning "
    "pdfdownloadlink taxreceipts invoicedetails links attributes",
)

PRICING = _entity(
    "price",
    registry.PRICES,
    Action.MANAGE,
    stable="marketplace market currency productid skuid termduration billingplan segment unitprice erp_price "
    "pricingtierrangemin effectivestartdate",
    other="publisher producttitle skutitle unitofmeasure skudescription tags pricingtierrangemax effectiveenddate",
    no_content="id _warning",
)
