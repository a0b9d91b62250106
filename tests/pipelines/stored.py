"""What a run stored, to compare one engine with another, and a month delivered in several kinds of file."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.warehouse.engine import open_warehouse
from pipelines.settings import load_settings

TABLES = ("src_invoice_recon", "src_daily_usage", "src_invoices", "lines", "findings", "invoice_tieout", "quarantine")
_USAGE = "G127110699_BilledUsage_c000.csv"


def stored(home: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything a run wrote but its id, and its content digest."""
    with open_warehouse(load_settings(home=Path(home)).warehouse).read() as connection:
        found = {}
        for table in TABLES:
            names = [column["name"] for column in sa.inspect(connection).get_columns(table)]
            columns = ", ".join(name for name in names if name != "run_id")
            statement = sa.text(f"select {columns} from {table} order by all")
            found[table] = [tuple(row) for row in connection.execute(statement)]
        found["digest"] = [tuple(row) for row in connection.execute(sa.text("select content_digest from runs"))]
    return found


def in_three_files() -> None:
    """Deliver the usage as plain text with semicolons and a broken row, packed text, and JSON Lines."""
    packed = Path("exports", f"{_USAGE}.gz")
    header, *rows = csv.reader(gzip.decompress(packed.read_bytes()).decode("utf-8-sig").splitlines())
    packed.unlink()
    third = len(rows) // 3
    with Path("exports", "usage-1.csv").open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=";").writerows([header, *rows[:third]])
        file.write('"never closed\r\n;;\r\n')
    with gzip.open("exports/usage-2.csv.gz", "wt", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows[third : 2 * third]])
    records = [json.dumps(dict(zip(header, row, strict=True))) for row in rows[2 * third :]]
    Path("exports", "usage-3.jsonl").write_text("\n".join(records), encoding="utf-8")
