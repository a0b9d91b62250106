"""Real exports through the whole path: read in place, and skipped where they are not."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.query import run_query
from pipelines.settings import load_settings
from tests.pipelines.conftest import Command

ROOT = Path(__file__).parents[2]
SAMPLES = Path(os.environ.get("CSP_BILLING_SAMPLES", ROOT / "../shared/samples")).resolve()
USAGE = SAMPLES / "daily_rated_usage_2025-11.csv.gz"

pytestmark = pytest.mark.skipif(not USAGE.exists(), reason="the samples are not here")


def test_every_real_usage_line_is_explained_by_price_and_quantity(command: Command) -> None:
    outcome = command("reconcile", "--period", "2025-11", "--exports", str(USAGE), "--json")
    assert outcome.document["lines"] == 4770
    assert outcome.document["findings"]["INVOICE_NOT_FOUND"] == 1
    assert set(outcome.document["findings"]) == {"INVOICE_NOT_FOUND", "PEC_MISSING"}
    sums = run_query(
        open_warehouse(load_settings().warehouse),
        "select count(*) filter (where rounding_rule = 'U'), max(abs(difference_amount)), "
        "sum(expected_subtotal_amount) + sum(difference_amount) - sum(subtotal_amount) from lines",
    ).rows[0]
    assert (sums[0], sums[2]) == (4770, Decimal(0))
    assert sums[1] <= Decimal("0.000001")


def test_every_sample_is_named_rightly(command: Command) -> None:
    kinds = {Path(one["path"]).name: (one["kind"], one["rows"]) for one in
             command("identify", str(SAMPLES), "--json").document}  # fmt: skip
    assert kinds["daily_rated_usage_2025-11.csv.gz"] == ("daily_usage", 4770)
    assert kinds["price_list_nce_license_us_2025-11.csv.gz"] == ("price_list", 4370)
    assert kinds["subtotal_worked_examples.csv"][0] == "unknown"
    assert {kind for name, (kind, _) in kinds.items() if "graph_v2" in name or "manifest" in name} == {"unknown"}
    malformed = [one for one in command("identify", str(SAMPLES), "--json").document if "malformed" in one["path"]]
    assert [one["kind"] for one in malformed] == ["unknown"]
    assert "line 12" in malformed[0]["problem"]
