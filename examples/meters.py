"""The Azure meters of the example: what is metered, at which price, and which credit applies to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random

from examples.lines import Product
from examples.numbers import EXACT, ZERO, guid

MICROSOFT = "Microsoft"
MID_MONTH = 16
_RISES_EVERY = 6
_RISE = Decimal("1.1")


@dataclass(frozen=True)
class Meter:
    """One meter.

    Attributes:
        base_price: US dollars for one unit, before what `price_on` adds.
        usual: millionths of a unit used on an ordinary day.
        varies: whether the days differ; otherwise every day has the usual quantity.
        free_units: units of a month that are free for each Azure plan.
        earns_credit: whether partner earned credit applies; never to spot machines and third parties.
        provider: ARM resource type, the tail of the resource's URI.
    """

    product: Product
    meter_type: str
    category: str
    sub_category: str
    name: str
    region: str
    unit: str
    location: str
    provider: str
    base_price: Decimal
    usual: int
    varies: bool = True
    free_units: Decimal = ZERO
    earns_credit: bool = True

    @property
    def id(self) -> str:
        """The meter's id, the same in every example."""
        return guid(Random(f"{self.product.product_id}/{self.product.sku_id}/{self.name}"))

    @property
    def service(self) -> str:
        """The ARM namespace."""
        return self.provider.split("/")[0]

    def price_on(self, day: date) -> Decimal:
        """US dollars for one unit on a day: rises by a tenth on the 16th of a month, falls back on the 1st later.

        Pay-as-you-go prices change on any day; every month some meters rise in its middle.
        """
        months = (day.year * 12 + day.month - 1 + int(self.product.product_id[-2:])) % _RISES_EVERY
        risen = day.day >= MID_MONTH if months == 0 else months < _RISES_EVERY // 2
        return EXACT.multiply(self.base_price, _RISE) if risen else self.base_price


def _meter(
    ids: str, names: str, meter_type: str, category: str, name: str, region: str, unit: str, location: str,
    provider: str, price: str, usual: int, *, varies: bool = True, free_units: int = 0, earns_credit: bool = True,
    publisher: tuple[str, str] = (MICROSOFT, ""),
) -> Meter:  # fmt: skip
    product_id, sku_id, availability_id = ids.split(":")
    sku_name, product_name = names.split("|")
    product = Product(product_id, sku_id, availability_id, sku_name, product_name, *publisher, "Azure plan")
    return Meter(
        product, meter_type, category, product_name, name, region, unit, location, provider, Decimal(price), usual,
        varies, Decimal(free_units), earns_credit,
    )  # fmt: skip


FREE_TIER = _meter(
    "DZH318Z0XQ01:18:DZH318Z0XA01", "F1|Azure App Service Free Plan", "1 App Service Hour", "Azure App Service",
    "F1 App", "", "1 Hour", "southeastasia", "Microsoft.Web/sites", "0.013", 32_256, free_units=100,
)
RESERVED = _meter(
    "DZH318Z0XQ02:00X2:DZH318Z0XA02", "D2s v5|Dsv5 Series VM", "1 Compute Hour", "Virtual Machines",
    "D2s v5", "EU West", "1 Hour", "westeurope", "Microsoft.Compute/virtualMachines", "0.115", 24_000_000,
    varies=False, earns_credit=False,
)
METERS = (
    _meter("DZH318Z0XQ03:33:DZH318Z0XA03", "Standard|IP Address", "1 Static Public IP Hour", "Virtual Network",
           "Standard IPv4 Static Public IP", "", "1 Hour", "eastus", "Microsoft.Network/publicIPAddresses",
           "0.005", 24_000_000, varies=False),
    _meter("DZH318Z0XQ04:006F:DZH318Z0XA04", "Standard|General Block Blob", "10K List Operations", "Storage",
           "LRS List and Create Container Operations", "", "10K", "westeurope", "microsoft.storage/storageAccounts",
           "0.00036", 100),
    _meter("DZH318Z0XQ05:44:DZH318Z0XA05", "Hot|Azure Data Lake Storage Gen2", "Data Stored (GB/Month)", "Storage",
           "Hot ZRS Data Stored", "US East", "1 GB/Month", "eastus", "Microsoft.Storage/storageAccounts",
           "0.026", 56_421_212),
    _meter("DZH318Z0XQ06:003V:DZH318Z0XA06", "Azure VM|Backup", "1 Protected Instance/Month", "Backup",
           "Azure VM Protected Instances", "AP Southeast", "1/Month", "southeastasia",
           "Microsoft.RecoveryServices/vaults", "10", 32_258, varies=False),
    _meter("DZH318Z0XQ07:000C:DZH318Z0XA07", "Standard|Rtn Pref: MGN", "Data Transfer Out (GB)", "Bandwidth",
           "Standard Data Transfer Out", "AU East", "1 GB", "australiaeast", "Microsoft.Network/loadBalancers",
           "0.12", 2_877_252, free_units=35),
    _meter("DZH318Z0XQ08:00X4:DZH318Z0XA08", "D4as v5|Dasv5 Series VM", "1 Compute Hour", "Virtual Machines",
           "D4as v5", "UK South", "1 Hour", "uksouth", "Microsoft.Compute/virtualMachines", "0.206", 14_150_000),
    _meter("DZH318Z0XQ09:0S3D:DZH318Z0XA09", "D4as v5 Spot|Dasv5 Series VM Spot", "1 Compute Hour",
           "Virtual Machines", "D4as v5 Spot", "UK South", "1 Hour", "uksouth", "Microsoft.Compute/virtualMachines",
           "0.041138", 5_250_000, earns_credit=False),
    _meter("DZH318Z0XQ10:002J:DZH318Z0XA10", "Hyperscale|SQL Database Hyperscale - Storage",
           "Data Stored (GB/Month)", "SQL Database", "Hyperscale Data Stored", "EU West", "1 GB/Month", "westeurope",
           "Microsoft.Sql/servers", "0.301724", 333_333),
    _meter("DZH318Z0XQ11:21:DZH318Z0XA11", "Private|Azure DNS", "1 Zone", "Azure DNS", "Private Zone", "", "1",
           "global", "microsoft.network/privateDnsZones", "0.5", 32_258, varies=False),
    _meter("DZH318Z0XQ12:002T:DZH318Z0XA12", "Vault M, pay as you go|Skylark Archive on Azure", "storage_gb_hours",
           "SaaS", "Skylark Archive - Vault M, pay as you go - Storage", "", "gb hours", "global",
           "Microsoft.SaaS/resources", "0.00029", 288_000_000, earns_credit=False,
           publisher=("Skylark Data, Inc", "66540417")),
)  # fmt: skip
ALL_METERS = (FREE_TIER, RESERVED, *METERS)
BY_ID = {meter.id: meter for meter in ALL_METERS}
