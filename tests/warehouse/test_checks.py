"""Every SQL check is silent on a sound warehouse and speaks when its rule is broken."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connectors.warehouse.bulk import insert_arrow
from connectors.warehouse.checks import read_checks, run_checks
from connectors.warehouse.engine import Warehouse
from tests.warehouse.rows import rows
from transforms.columns import Table
from transforms.tables.daily_usage import DAILY_USAGE
from transforms.tables.invoice_recon import INVOICE_RECON
from transforms.tables.loading import HALO_POSTINGS
from transforms.tables.results import FINDINGS, INVOICE_TIEOUT, LINES, RUN_FILES, RUNS
from transforms.tables.sources import PRICE_LIST, QUARANTINE, SOURCE_FILES

_MONTH = {"period": "2026-03"}
_RUN = {**_MONTH, "run_id": "r"}
_LINE = {**_RUN, "line_id": "a", "source": "invoice_recon", "invoice_number": "G1", "currency": "USD"}
_USAGE = {"line_id": "u", "invoice_number": "G1"}
_FINE = Decimal("0.123456789012345678")
_AMOUNTS = {"subtotal_amount": Decimal(1), "tax_amount": Decimal("0.2"), "total_amount": Decimal("1.2")}
_TIED = {**_RUN, "invoice_number": "G1", "status": "matched", "invoice_amount": Decimal("1.2"),
         "lines_amount": Decimal("1.2"), "difference_amount": Decimal(0)}  # fmt: skip
_POSTED = {"run_id": "r", "entity": "line", "natural_key": "a", "state": "billed", "halo_id": 1}

Rows = list[tuple[Table, dict[str, Any]]]

_SOUND: Rows = [
    (SOURCE_FILES, {}),
    (RUNS, {**_RUN, "status": "billed", "line_count": 2, "blocking_count": 1}),
    (RUN_FILES, _RUN | {"period": None}),
    (INVOICE_RECON, {**_MONTH, "line_id": "a", "invoice_number": "G1", "currency": "USD", "subtotal": Decimal(1),
                     "total": Decimal("1.2")}),
    (DAILY_USAGE, {**_MONTH, **_USAGE, "billing_currency": "USD", "billing_pre_tax_total": _FINE}),
    (PRICE_LIST, {"source_row": 2}),
    (LINES, {**_LINE, **_AMOUNTS}),
    (LINES, {**_RUN, **_USAGE, "source": "daily_usage", "currency": "USD", "subtotal_amount": _FINE,
             "total_amount": _FINE}),
    (FINDINGS, {**_RUN, "line_id": "a", "severity": "block"}),
    (INVOICE_TIEOUT, _TIED),
    (HALO_POSTINGS, _POSTED),
]

#: What breaks each check, beside the sound rows, and what else it cannot but break.
_BREAKS: dict[str, tuple[Rows, set[str]]] = {
    "line_id_once_in_a_run": (
        [(LINES, {**_LINE, **_AMOUNTS})],
        {"run_counts_its_rows", "tieout_has_every_line", "latest_run_has_every_source_line"},
    ),
    "line_id_once_in_the_sources": (
        [(DAILY_USAGE, {**_MONTH, "line_id": "a"})],
        {"latest_run_has_every_source_line"},
    ),
    "price_row_once": ([(PRICE_LIST, {"source_row": 2})], set()),
    "finding_has_its_line": ([(FINDINGS, {**_RUN, "line_id": "z", "severity": "info"})], set()),
    "result_has_its_run": ([(FINDINGS, {**_MONTH, "run_id": "gone", "severity": "info"})], set()),
    "run_counts_its_rows": ([(FINDINGS, {**_RUN, "severity": "block"})], set()),
    "tieout_adds_up": (
        [(INVOICE_TIEOUT, {**_TIED, "invoice_number": "G2", "lines_amount": Decimal(0)})],
        set(),
    ),
    "tieout_has_every_line": (
        [(INVOICE_TIEOUT, {**_TIED, "invoice_number": "G2"})],
        set(),
    ),
    "latest_run_has_every_source_line": ([(INVOICE_RECON, {**_MONTH, "line_id": "b"})], set()),
    "total_mismatch_is_found": (
        [(LINES, {**_LINE, **_AMOUNTS, "line_id": "b", "invoice_number": None, "subtotal_amount": Decimal(2)})],
        {"run_counts_its_rows", "latest_run_has_every_source_line"},
    ),
    "row_has_its_file": ([(PRICE_LIST, {"source_file": "unknown.csv"})], set()),
    "posting_has_its_halo_id": ([(HALO_POSTINGS, {**_POSTED, "natural_key": "b", "halo_id": None})], set()),
    "halo_id_once": ([(HALO_POSTINGS, {**_POSTED, "natural_key": "b"})], set()),
    "posting_is_settled": (
        [(HALO_POSTINGS, {**_POSTED, "natural_key": "b", "halo_id": None, "state": "intended", "entity": "price"})],
        set(),
    ),
    "billed_run_is_all_billed": (
        [(HALO_POSTINGS, {**_POSTED, "natural_key": "b", "halo_id": 2, "state": "posted"})],
        set(),
    ),
    "billed_run_was_approved": (
        [(FINDINGS, {**_RUN, "line_id": "a", "severity": "block", "finding_id": "f"})],
        {"run_counts_its_rows"},
    ),
    "nothing_in_quarantine": ([(QUARANTINE, _MONTH)], set()),
}


def _broken(warehouse: Warehouse, *parts: Rows) -> set[str]:
    with warehouse.begin() as connection:
        for table, values in (row for part in parts for row in part):
            insert_arrow(connection, table, rows(table, {k: v for k, v in values.items() if k in table.names}))
    return {result.name for result in run_checks(warehouse) if result.rows}


def test_every_check_has_a_test() -> None:
    assert {check.name for check in read_checks()} == set(_BREAKS)
    assert {check.severity for check in read_checks()} == {"fail", "warn"}


def test_an_empty_warehouse_is_sound(warehouse: Warehouse) -> None:
    assert _broken(warehouse) == set()


def test_a_sound_warehouse_is_sound(warehouse: Warehouse) -> None:
    assert _broken(warehouse, _SOUND) == set()


@pytest.mark.parametrize("name", sorted(_BREAKS))
def test_a_broken_rule_is_noticed(warehouse: Warehouse, name: str) -> None:
    breaks, also = _BREAKS[name]
    assert _broken(warehouse, _SOUND, breaks) == {name, *also}


def test_examples_name_the_rows(duckdb_warehouse: Warehouse) -> None:
    rejected: Rows = [(QUARANTINE, {**_MONTH, "reason": f"r{row}", "source_row": row}) for row in range(9)]
    _broken(duckdb_warehouse, [(SOURCE_FILES, {})], rejected)
    (found,) = [result for result in run_checks(duckdb_warehouse) if result.rows]
    assert (found.name, found.severity, found.rows, len(found.examples)) == ("nothing_in_quarantine", "warn", 9, 5)
    assert found.examples[0]["period"] == "2026-03"
