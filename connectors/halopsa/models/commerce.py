# ruff: noqa: N815  The names of Amazon's and HaloPSA's properties are kept.
"""E-commerce in HaloPSA: the orders, and the set-up of the shops they come from."""

from __future__ import annotations

from pydantic import SecretStr

from connectors.halopsa.models.base import Command, Flag, JsonList, Model, Moment, Secret, Text, Whole
from connectors.halopsa.models.mapping import IntegrationFieldMapping


class EcommerceOrderFault(Model):
    """A ticket that an order is linked to."""

    id: Whole = None
    eo_id: Whole = None
    ticket_id: Whole = None
    third_party_order_id: Text = None
    third_party_order_url: Text = None


class AdobeCommerceBillingAddress(Model):
    """The billing address of an Adobe Commerce order."""

    address_type: Text = None
    city: Text = None
    country_id: Text = None
    email: Text = None
    entity_id: Whole = None
    firstname: Text = None
    lastname: Text = None
    parent_id: Whole = None
    postcode: Text = None
    region: Text = None
    region_code: Text = None
    region_id: Whole = None
    street: list[str] | None = None
    telephone: Text = None


class AmazonSellerTaxClassifications(Model):
    """A tax number of an Amazon buyer."""

    name: Text = None
    value: Text = None


class AmazonSellerBuyerTaxInfo(Model):
    """What an Amazon buyer is for the tax office."""

    companyLegalName: Text = None
    taxingRegion: Text = None
    taxClassifications: list[AmazonSellerTaxClassifications] | None = None


class AmazonSellerBuyerInfo(Model):
    """Who bought at Amazon."""

    buyerEmail: Text = None
    buyerName: Text = None
    buyerCountry: Text = None
    buyerTaxInfo: AmazonSellerBuyerTaxInfo | None = None
    purchaseOrderNumber: Text = None


class EcommerceOrder(Model):
    """An order of a shop, which can be linked to tickets."""

    id: Whole = None
    moduleid: Whole = None
    thirdpartyid: Text = None
    thirdpartyurl: Text = None
    thirdpartyordernumber: Text = None
    thirdpartycustomerid: Text = None
    thirdpartystatus: Text = None
    thirdpartystatus2: Text = None
    thirdpartycreateddate: Moment = None
    integration_name: Text = None
    ticket_id: Whole = None
    details_id: Whole = None
    shop_name: Text = None
    unlink_from_ticket_: Command = None
    jsonobj: Text = None
    amazon_buyer_info_: AmazonSellerBuyerInfo | None = None
    adobecommerce_billing_address_: AdobeCommerceBillingAddress | None = None
    linked_tickets: list[EcommerceOrderFault] | None = None


class ShopifyDetails(Model):
    """The set-up of a Shopify shop."""

    id: Whole = None
    shopname: Text = None
    new_integration_method: Flag = None
    new_access_token: Secret = None
    code: Secret = None
    exchangecode_: Command = None
    disconnect_: Command = None
    authorized: Flag = None
    enabled: Flag = None
    warning_: Text = None


class AmazonSellerDetails(Model):
    """The set-up of an Amazon storefront."""

    id: Whole = None
    storefrontname: Text = None
    new_integration_method: Flag = None
    redirect_uri: Text = None
    new_access_token: Secret = None
    new_refresh_token: Secret = None
    code_: Secret = None
    exchangecode_: Command = None
    authorized: Flag = None
    enabled: Flag = None
    endpoint: Text = None
    marketplace: Text = None
    warning_: Text = None


class AdobeCommerceDetails(Model):
    """The set-up of an Adobe Commerce (Magento) shop."""

    id: Whole = None
    connectionname: Text = None
    url: Text = None
    new_integration_method: Flag = None
    enabled: Flag = None
    integrator_last_sync: Moment = None
    warning_: Text = None


class DattoCommerceDetails(Model):
    """The set-up of Datto Commerce."""

    id: Whole = None
    url: Text = None
    new_api_key: Secret = None
    halointegratorenabled: Flag = None
    halointegrator_lastsync: Moment = None
    halointegrator_lasterror: Text = None
    item_group: Whole = None
    item_group_name: Text = None
    customer_field_mappings: list[IntegrationFieldMapping] | None = None
    item_group_mappings: JsonList = None
    quote_status_mappings: list[IntegrationFieldMapping] | None = None
    create_items_on_import: Flag = None
    product_supplier_on_import: Flag = None
    sostatustoimport: Text = None
    sostatustoimport_list: JsonList = None
    warning_: Text = None


class StringStringValuesKeyValuePair(Model):
    """A name of a form with its values, as the Adobe Commerce handshake takes them."""

    key: Text = None
    value: list[SecretStr] | None = None
