"""What HaloPSA is sent otherwise than it was delivered: texts over its limits, numbers finer than it keeps."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.halopsa.bodies import alterations
from connectors.halopsa.prices import billed_products
from connectors.halopsa.properties import CONSUMPTION, INVOICE, PRICING
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.migrations import ensure_current
from pipelines.loading import build_plan
from pipelines.settings import Settings
from transforms.tables import DAILY_USAGE, INVOICE_RECON, INVOICES, PRICE_LIST

#: What of it fits on a screen; `--json` has the values whole.
ALTERATION_COLUMNS = ["what", "entity", "source", "property", "characters", "sent"]
_SHOWN = 40


def list_alterations(settings: Settings, run_id: str, *, rounded: bool = False) -> list[dict[str, Any]]:
    """Every value of the latest run of a period that is cut or left out, with `rounded` also those that are rounded.

    HaloPSA is not asked: what is sent follows from the rows.

    Returns:
        By what, entity, line_id, invoice_number, source, property, delivered and sent.

    Raises:
        InputError: there is no such run, or a later one has replaced it.
    """
    warehouse = open_warehouse(settings.warehouse)
    ensure_current(warehouse)
    plan = build_plan(warehouse, settings, run_id)
    products = pa.array(sorted(billed_products(plan)), pa.string())
    prices = plan.prices.filter(pc.is_in(plan.prices.column("product_id"), value_set=products))
    sent = (
        (plan.invoices, INVOICES, INVOICE), (plan.recon_lines, INVOICE_RECON, CONSUMPTION),
        (plan.usage_lines, DAILY_USAGE, CONSUMPTION), (prices, PRICE_LIST, PRICING),
    )  # fmt: skip
    return [
        {name: getattr(one, name) for name in one.__dataclass_fields__}
        for rows, declared, entity in sent
        for one in alterations(rows, declared, entity)
        if rounded or one.what != "rounded"
    ]


def shown(alteration: dict[str, Any]) -> dict[str, Any]:
    """An alteration in the columns of ALTERATION_COLUMNS: its length, and how what is sent begins."""
    delivered, sent = alteration["delivered"], alteration["sent"]
    if alteration["what"] == "rounded":
        told = f"{sent} for {delivered}"
    else:
        told = "nothing" if sent is None else f"{len(sent)}: {sent[:_SHOWN]}…"
    return {**alteration, "characters": len(delivered), "sent": told}
