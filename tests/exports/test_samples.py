"""The real files, read in place: whole, nothing refused, and to the last digit."""

from __future__ import annotations

import csv
import gzip
import io
import os
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.exports.identify import identify
from tests.exports.written import read_delivery
from transforms.columns import Column
from transforms.headers import fold
from transforms.tables import EXPORT_TABLES

SAMPLES = Path(os.environ.get("CSP_BILLING_SAMPLES", Path(__file__).parents[3] / "shared" / "samples"))
USAGE = SAMPLES / "daily_rated_usage_2025-11.csv.gz"
PRICES = SAMPLES / "price_list_nce_license_us_2025-11.csv.gz"

pytestmark = pytest.mark.skipif(not USAGE.exists(), reason="the samples are not here (CSP_BILLING_SAMPLES)")

API = "partner_center_api"
EXPECTED: dict[str, tuple[Any, ...]] = {
    "daily_rated_usage_2025-11.csv.gz": ("daily_usage", 4770, "2025-11", ["G000127575"], "USD"),
    "price_list_nce_license_us_2025-11.csv.gz": ("price_list", 4370, None, [], "USD"),
    f"{API}/get-a-collection-of-invoices.response1.json":
        ("invoices", 3, None, ["D02005YFHI", "G000024130", "G000024131"], None),
    f"{API}/get-invoice-by-id.response1.json": ("invoices", 1, "2018-02", ["G000024135"], "USD"),
    f"{API}/get-invoice-billed-consumption-lineitems.response1.json":
        ("daily_usage", 2, "2018-11", ["T000001234"], "USD"),
    f"{API}/get-invoice-billed-consumption-lineitems.response2.json":
        ("daily_usage", 1, "2018-11", ["T000001234"], "USD"),
    f"{API}/get-invoice-unbilled-recon-lineitems.response2.json": ("invoice_recon", 4, "2021-05", [], "USD"),
    f"{API}/get-invoiceline-items.response5.json":
        ("invoice_recon", 4, "2021-05", ["1234000000", "G000773581", "T000773581"], "USD"),
}  # fmt: skip
PROBLEMS = {
    f"{API}/malformed-get-invoiceline-items.response4.http.txt": "line 12, column 5: a property name",
    f"{API}/get-invoice-summaries.response1.json": "a summary of invoice balances",
    "graph_v2/manifest_schemaVersion1.json": "the manifest of a Graph export",
    "graph_v2/operation_failed.json": "the state of a Graph export operation",
}


def test_every_sample_is_named_by_its_content() -> None:
    for path in sorted(path for path in SAMPLES.rglob("*") if path.is_file()):
        name = path.relative_to(SAMPLES).as_posix()
        (found,) = identify(path)
        if name in EXPECTED:
            assert (found.kind, found.rows, found.period, found.invoices, found.currency) == EXPECTED[name], name
            assert found.problem is None
        else:
            assert found.kind == "unknown", name
        if name in PROBLEMS:
            assert PROBLEMS[name] in (found.problem or ""), name


@pytest.mark.parametrize(("path", "kind", "rows"), [(USAGE, "daily_usage", 4770), (PRICES, "price_list", 4370)])
def test_real_file_is_read_whole_and_exactly(path: Path, kind: str, rows: int) -> None:
    started = time.perf_counter()
    delivery = read_delivery(path)
    assert time.perf_counter() - started < 5
    table = delivery.tables[kind]
    assert (table.num_rows, delivery.rejected.num_rows, delivery.skipped) == (rows, 0, [])
    assert table.schema == pa.schema(
        [field for field in EXPORT_TABLES[kind].schema if field.name not in ("line_id", "period")]
    )
    assert table.column("source_row").to_pylist() == list(range(2, rows + 2))

    text = gzip.decompress(path.read_bytes()).decode("utf-8-sig")
    plain = list(csv.DictReader(io.StringIO(text, newline="")))
    for column in EXPORT_TABLES[kind].columns:
        source = _source(column, plain[0])
        if source is None:
            continue
        texts = [row[source] for row in plain]
        values = table.column(column.name).to_pylist()
        assert [value is None for value in values] == [text == "" for text in texts], column.name
        if column.kind.is_decimal:
            assert values == [Decimal(text) if text else None for text in texts], column.name
            assert sum(v for v in values if v is not None) == sum(Decimal(t) for t in texts if t), column.name


def _source(column: Column, row: dict[str, str]) -> str | None:
    names = {fold(source) for source in column.sources}
    return next((name for name in row if fold(name) in names), None)
