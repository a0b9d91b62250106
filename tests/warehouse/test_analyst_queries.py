"""The worked queries of `docs/analyst-queries.md` run on both engines, and answer there what the page shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors.warehouse.engine import Warehouse, open_warehouse
from connectors.warehouse.query import run_query
from examples.year import YearTruth, generate_year
from pipelines.billing import reconcile_month
from pipelines.customers import import_customers
from pipelines.settings import load_settings

PAGE = Path(__file__).parents[2] / "docs" / "analyst-queries.md"
QUESTION = re.compile(
    r"## \d+\. (?P<question>.+?)\n.*?```sql\n(?P<sql>.+?)```\n\n(?P<table>(?:\|[^\n]*\n?)+)", re.DOTALL
)
QUESTIONS = [found.groupdict() for found in QUESTION.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> YearTruth:
    """The first three months of the planted year."""
    year = generate_year(tmp_path_factory.mktemp("analyst") / "exports", plant=True)
    return replace(year, folders=dict(list(year.folders.items())[:3]))


def reconciled(months: YearTruth, home: Path, url: str) -> Warehouse:
    for number, (period, exports) in enumerate(months.folders.items()):
        settings = load_settings(home=home, exports=str(exports), warehouse_url=url, snapshot=False)
        if number == 0:
            import_customers(settings, months.customers)
        reconcile_month(settings, period)
    return open_warehouse(url)


@pytest.fixture(scope="module")
def warehouses(
    months: YearTruth, tmp_path_factory: pytest.TempPathFactory, make_database: Callable[[str], str]
) -> dict[str, Warehouse]:
    home = tmp_path_factory.mktemp("home")
    urls = {"duckdb": f"duckdb:///{home / 'warehouse.duckdb'}", "postgresql": make_database("template0")}
    return {engine: reconciled(months, home, url) for engine, url in urls.items()}


def shown(value: Any) -> str:
    """A value as the page shows it: exact, without the zeros at the end of a decimal."""
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, datetime):
        return value.date().isoformat()
    return "" if value is None else str(value)


def test_there_are_ten_questions() -> None:
    assert len(QUESTIONS) == 10


@pytest.mark.parametrize("asked", QUESTIONS, ids=[one["question"] for one in QUESTIONS])
def test_a_question_is_answered_alike_by_both_engines_and_as_shown(
    asked: dict[str, str], warehouses: dict[str, Warehouse]
) -> None:
    answers = {engine: run_query(warehouse, asked["sql"]) for engine, warehouse in warehouses.items()}
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in asked["table"].splitlines()]
    for answer in answers.values():
        assert answer.columns == cells[0]
        assert not any(isinstance(value, float) for row in answer.rows for value in row)
    rows = {engine: [[shown(value) for value in row] for row in answer.rows] for engine, answer in answers.items()}
    # Engines sort names by different rules.
    assert sorted(rows["duckdb"]) == sorted(rows["postgresql"])
    assert rows["duckdb"][:3] == cells[2:]
