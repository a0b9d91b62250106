"""The FinOps Foundation's own validator finds nothing but what its rules say otherwise than the specification.

It needs other versions of NumPy and pandas than this project, and Python 3.12: `make focus` sets it up in an
environment of its own and runs this. Everywhere else these tests are skipped, and `rules.py` alone judges the view.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from connectors.reports.focus import write_focus
from tests.focus.conftest import Month, reconcile
from tests.focus.test_month import SAMPLES

ENVIRONMENT = Path(__file__).parents[2] / ".venv-focus"
VALIDATOR = ENVIRONMENT / "bin" / "focus-validator"
#: The version of its rule model, which comes with it.
MODEL = "1.2.0.1"
#: What Microsoft's cloud has; no export tells of capacity reservations, availability zones and virtual currencies.
APPLICABLE = (
    "ACCOUNT_NAMING_SUPPORTED", "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED", "COMMITMENT_DISCOUNT_SUPPORTED",
    "MULTIPLE_BILLING_ACCOUNT_TYPES_SUPPORTED", "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED", "NEGOTIATED_PRICING_SUPPORTED",
    "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED", "PUBLIC_PRICE_LIST_SUPPORTED", "REGION_SUPPORTED",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED", "SUB_ACCOUNT_SUPPORTED", "TAGGING_SUPPORTED", "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)  # fmt: skip
#: Rules that the model has otherwise than its own sentence, or than the specification.
CONTRADICTED = {
    "CommitmentDiscountStatus-C-004-C": "asks for a status where CommitmentDiscountId is empty, not where it is not",
    "EffectiveCost-C-005-C": "asks for 0 of every purchase, and not of those alone that cover later charges",
    "InvoiceId-C-004-C": "asks for no invoice on any row, billed or not",
    "InvoiceId-C-005-C": "asks for an invoice on every row, billed or not",
    "SubAccountName-C-002-M": "takes ASCII alone for a string, where the specification says Unicode",
}

pytestmark = pytest.mark.skipif(not VALIDATOR.exists(), reason="the validator is not set up: make focus")


def failures(file: Path, folder: Path) -> set[str]:
    """Rules that fail, without those that only sum up others."""
    report = folder / "report.xml"
    # It looks for its list of currencies below the folder that it is called in.
    (packages,) = ENVIRONMENT.glob("lib/python*/site-packages")
    command = [
        str(VALIDATOR), "--data-file", str(file), "--validate-version", MODEL, "--block-download",
        "--applicability-criteria", ",".join(APPLICABLE),
        "--output-type", "unittest", "--output-destination", str(report),
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=packages, env=environment, capture_output=True, text=True)
    assert report.exists(), done.stderr
    cases = list(ElementTree.parse(report).iter("testcase"))
    passed = [case for case in cases if not len(case)]
    assert len(passed) > 300
    return {
        case.attrib["name"].partition(" ")[0]
        for case in cases
        if case.find("failure") is not None and not case.attrib["name"].endswith(":: Composite")
    }


def test_the_example_month_is_valid(duckdb_month: Month, tmp_path: Path) -> None:
    parquet, _ = write_focus(duckdb_month.warehouse, duckdb_month.run_id, tmp_path)
    assert failures(parquet, tmp_path) == set(CONTRADICTED) - {"InvoiceId-C-005-C"}


@pytest.mark.skipif(not SAMPLES.exists(), reason="the samples are not here (CSP_BILLING_SAMPLES)")
@pytest.mark.parametrize(
    ("name", "period"),
    [
        ("daily_rated_usage_2025-11.csv.gz", "2025-11"),
        ("partner_center_api/get-invoice-unbilled-recon-lineitems.response2.json", "2021-05"),
        ("partner_center_api/get-invoiceline-items.response5.json", "2021-05"),
    ],
)
def test_real_exports_are_valid(name: str, period: str, tmp_path: Path) -> None:
    month = reconcile(tmp_path, SAMPLES / name, f"duckdb:///{tmp_path / 'warehouse.duckdb'}", period)
    parquet, _ = write_focus(month.warehouse, month.run_id, tmp_path)
    assert failures(parquet, tmp_path) <= set(CONTRADICTED)
