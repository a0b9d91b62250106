"""HaloPSA's subscriptions to change notifications of Microsoft Graph and SharePoint (they map no CSP customers)."""

from __future__ import annotations

from connectors.halopsa.models.base import Command, Flag, Json, Model, Moment, Secret, Text, Whole


class IntegrationFieldMapping(Model):
    """Which field of another system fills which of HaloPSA."""

    id: Whole = None
    fiid: Whole = None
    name: Text = None
    thirdpartyname: Text = None
    msid: Whole = None
    typeid: Whole = None
    isassetfield: Flag = None
    subtypeid: Whole = None
    newrecords: Flag = None
    xmvalue: Text = None
    third_party_friendly_name: Text = None
    sync: Flag = None
    synctype: Whole = None
    product: Whole = None
    dontupdate: Flag = None
    product_name: Text = None
    third_party_field_type: Whole = None
    populateemptyvalue: Flag = None
    value_set: Text = None
    warning_: Text = None


class MicrosoftSubscriptionMapping(Model):
    """A subscription to changes of a SharePoint list or site."""

    id: Whole = None
    halo_id: Whole = None
    halo_name: Text = None
    microsoft_id: Text = None
    microsoft_name: Text = None
    site_path: Text = None
    site_name: Text = None
    azure_connection_id: Whole = None
    subscriptionaction_: Json = None
    subscription_id: Text = None
    subscription_expiry: Moment = None
    subscribed: Flag = None
    new_subscription_key: Secret = None
    azure_connection: Json = None
    dosave_: Command = None
    mappings_folder: list[IntegrationFieldMapping] | None = None
    sharepoint_list: Json = None
    sharepoint_site: Json = None
    sharepoint_graph_list: Json = None
    sharepoint_graph_site: Json = None
    change_token: Text = None
    type: Whole = None
    fullname: Text = None
    sharing_type: Whole = None
