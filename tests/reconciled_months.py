"""Written months reconciled one after the other into one warehouse, and what was found in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.warehouse.engine import open_warehouse
from examples.year import YearTruth
from pipelines.billing import RunSummary, reconcile_month
from pipelines.customers import import_customers
from pipelines.settings import Settings, load_settings

#: A discrepancy as it is compared: period, code, and where it is: file and row, else what it is about.
Place = tuple[str, ...]


@dataclass(frozen=True)
class Reconciled:
    """A year as it was written, and the findings and run summaries of its months."""

    truth: YearTruth
    home: Path
    findings: list[dict[str, Any]]
    runs: dict[str, RunSummary]

    def settings(self, period: str) -> Settings:
        return settings_of(self.home, self.truth.folders[period])

    @property
    def alarms(self) -> list[dict[str, Any]]:
        """The findings that somebody has to look at."""
        return [one for one in self.findings if one["severity"] in ("block", "warn")]

    def found(self) -> Counter[Place]:
        return Counter(_place(one) for one in self.findings)

    def planted(self) -> Counter[Place]:
        return Counter(_place(vars(row)) for row in self.truth.rows)


def settings_of(home: Path, exports: Path) -> Settings:
    return load_settings(home=home, exports=str(exports), warehouse_url=f"duckdb:///{home / 'warehouse.duckdb'}")


def reconcile_months(truth: YearTruth, home: Path) -> Reconciled:
    """Import the clients of the tenants and reconcile month after month."""
    runs: dict[str, RunSummary] = {}
    last = None
    for period, exports in truth.folders.items():
        last = settings_of(home, exports)
        if not runs:
            import_customers(last, truth.customers)
        runs[period] = reconcile_month(last, period)
    assert last is not None
    with open_warehouse(last.warehouse).read() as connection:
        found = connection.execute(sa.text("select * from out_findings")).mappings().all()
    return Reconciled(truth, home, [dict(one) for one in found], runs)


def _place(one: dict[str, Any]) -> Place:
    if one["source_file"]:
        return one["period"], one["code"], one["source_file"], str(one["source_row"])
    about = [one[name] or "" for name in ("invoice_number", "subscription_id", "product_id", "sku_id")]
    tenant = "" if any(about) else one["customer_id"]
    return one["period"], one["code"], *about, tenant
