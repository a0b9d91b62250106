# ruff: noqa: N815  The names of HaloPSA's properties are kept.
"""Microsoft CSP billing in HaloPSA: consumption rows, invoices and prices."""

from __future__ import annotations

from typing import Annotated

from connectors.halopsa.models.base import (
    Command,
    Flag,
    Json,
    Model,
    Moment,
    Number5,
    Number6,
    Number8,
    Text,
    Text500,
    Whole,
    Width,
)


class CSPConsumptionData(Model):
    """A line of a Microsoft invoice, or a day of usage; `parentid` is its invoice's `haloid`."""

    id: Whole = None
    parentid: Whole = None
    integratortraceid: Whole = None
    type: Whole = None
    partnerid: Text500 = None
    partnername: Text500 = None
    customerid: Text500 = None
    customername: Text500 = None
    customerdomainname: Text500 = None
    customercountry: Text500 = None
    mpnid: Text500 = None
    invoicenumber: Text500 = None
    skuid: Text500 = None
    availabilityid: Text500 = None
    skuname: Text500 = None
    productname: Text500 = None
    publisherid: Text500 = None
    publishername: Text500 = None
    subscriptiondescription: Text500 = None
    subscriptionid: Text500 = None
    chargestartdate: Moment = None
    chargeenddate: Moment = None
    usagedate: Moment = None
    metertype: Text500 = None
    metercategory: Text500 = None
    meterid: Text500 = None
    metersubcategory: Text500 = None
    metername: Text500 = None
    meterregion: Text500 = None
    unit: Text500 = None
    resourcelocation: Text500 = None
    consumedservice: Text500 = None
    resourcegroup: Text500 = None
    resourceuri: Text500 = None
    orderid: Text500 = None
    orderdate: Text500 = None
    unitprice: Number8 = None
    quantity: Number8 = None
    unittype: Text500 = None
    subtotal: Number8 = None
    taxtotal: Number8 = None
    total: Number8 = None
    billingpretaxtotal: Number8 = None
    billingcurrency: Text500 = None
    pricingpretaxtotal: Number8 = None
    pricingcurrency: Text500 = None
    serviceinfo1: Text500 = None
    serviceinfo2: Text500 = None
    tags: Text500 = None
    additionalinfo: Text500 = None
    effectiveunitprice: Number8 = None
    pctobcexchangerate: Number8 = None
    pctobcexchangeratedate: Text500 = None
    entitlementid: Text500 = None
    entitlementdescription: Text500 = None
    partnerearnedcreditpercentage: Number8 = None
    creditpercentage: Text500 = None
    credittype: Text500 = None
    benefitorderid: Text500 = None
    benefitid: Text500 = None
    benefittype: Text500 = None
    currency: Text500 = None
    priceadjustmentdescription: Text500 = None
    termandbillingcycle: Text500 = None
    alternateid: Text500 = None
    billablequantity: Number8 = None
    billingfrequency: Text500 = None
    meterdescription: Text500 = None
    reservationorderid: Text500 = None
    creditreasoncode: Text500 = None
    subscriptionstartdate: Moment = None
    subscriptionenddate: Moment = None
    referenceid: Text500 = None
    promotionid: Text500 = None
    isimport_: Command = None
    isbilled: Flag = None
    warning_: Text = None


class CSPTaxReceipt(Model):
    """A tax receipt of an invoice."""

    id: Text = None
    taxreceiptpdfdownloadlink: Text = None


class CSPHeadersDetail(Model):
    """A header to send when following a link."""

    key: Text = None
    value: Text = None


class CSPLinksDetail(Model):
    """A link of Partner Center."""

    uri: Text = None
    method: Text = None
    headers: list[CSPHeadersDetail] | None = None


class CSPLinks(Model):
    """The links of an invoice."""

    self: CSPLinksDetail | None = None
    next: CSPLinksDetail | None = None
    sku: CSPLinksDetail | None = None
    product: CSPLinksDetail | None = None


class CSPInvoiceDetail(Model):
    """Which kinds of lines an invoice has, by links; it carries no amounts."""

    invoiceLineItemType: Text = None
    billingProvider: Text = None
    links: CSPLinks | None = None
    attributes: Json = None


class CSPInvoice(Model):
    """An invoice of Microsoft; `id` is Microsoft's number, `haloid` HaloPSA's own id."""

    haloid: Whole = None
    id: Annotated[Text, Width(500)] = None
    tenantid: Whole = None
    invoicedate: Moment = None
    totalcharges: Number6 = None
    paidamount: Number6 = None
    currencycode: Annotated[Text, Width(10)] = None
    currencysymbol: Annotated[Text, Width(10)] = None
    pdfdownloadlink: Annotated[Text, Width(250)] = None
    taxreceipts: list[CSPTaxReceipt] | None = None
    invoicedetails: list[CSPInvoiceDetail] | None = None
    documenttype: Annotated[Text, Width(250)] = None
    invoicetype: Annotated[Text, Width(250)] = None
    links: CSPLinks | None = None
    attributes: Json = None
    warning_: Text = None
    isimport_: Command = None
    isbilled: Flag = None
    isfullybilled: Flag = None
    haslines: Flag = None
    update_billed_state: Command = None
    client_id: Whole = None
    mark_as_billed: Command = None


class CSPSubscriptionPricing(Model):
    """A row of a price list; HaloPSA takes prices and never lists them."""

    id: Whole = None
    marketplace: Annotated[Text, Width(25)] = None
    producttitle: Annotated[Text, Width(1000)] = None
    productid: Annotated[Text, Width(500)] = None
    skuid: Annotated[Text, Width(500)] = None
    skutitle: Annotated[Text, Width(1000)] = None
    publisher: Annotated[Text, Width(500)] = None
    skudescription: Text = None
    unitofmeasure: Annotated[Text, Width(1000)] = None
    termduration: Annotated[Text, Width(1000)] = None
    billingplan: Annotated[Text, Width(1000)] = None
    market: Annotated[Text, Width(25)] = None
    currency: Annotated[Text, Width(100)] = None
    unitprice: Number5 = None
    pricingtierrangemin: Number5 = None
    pricingtierrangemax: Number5 = None
    effectivestartdate: Moment = None
    effectiveenddate: Moment = None
    tags: Text = None
    erp_price: Number5 = None
    segment: Annotated[Text, Width(1000)] = None
    warning_: Text = None
