"""What the page says is what the warehouse has, whatever the currency; what partner data say is never markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from connectors.reports.amounts import amount_text, coin_text
from connectors.reports.contents import ReportContents, read_contents
from connectors.reports.page import render_page, write_page
from connectors.warehouse.engine import Warehouse, open_warehouse
from tests.reports.hostile import HOSTILE, renamed
from tests.reports.page_reader import PageReader
from tests.reports.stored import make_documents, make_findings, make_lines, make_run, store, store_documents
from transforms.errors import InputError
from transforms.finding_help import FINDING_HELP
from transforms.money import EXACT, currency_exponent

Stored = tuple[Warehouse, ReportContents]


@pytest.fixture(scope="module")
def stored(upgraded_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Three months, the last one run twice, in currencies of any number of decimals."""
    warehouse = open_warehouse(f"duckdb:///{shutil.copy(upgraded_file, tmp_path_factory.mktemp('stored'))}")
    random = Random(11)
    documents, tieout = make_documents("2026-03")
    store_documents(warehouse, documents)
    for hour, (run_id, period) in enumerate((("a", "2026-01"), ("b", "2026-02"), ("c", "2026-03"), ("d", "2026-03"))):
        run = make_run(run_id, period, hour)
        lines = make_lines(random, run, 120)
        store(warehouse, run, lines, make_findings(random, run, lines, 90), tieout)
    return warehouse, read_contents(warehouse, "d")


@pytest.fixture(scope="module")
def page(stored: Stored) -> PageReader:
    return PageReader(render_page(stored[1]))


def rows_of(warehouse: Warehouse, query: str) -> list[dict[str, Any]]:
    with warehouse.read() as connection:
        return [dict(row) for row in connection.execute(sa.text(query)).mappings()]


def summed(rows: Iterable[tuple[str | None, Decimal | None]]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for currency, amount in rows:
        if amount is not None:
            sums[currency or "without currency"] = EXACT.add(sums[currency or "without currency"], amount)
    return dict(sums)


def money(values: Iterable[str]) -> dict[str, Decimal]:
    """Amounts with their currency, as the page writes them."""
    read = (re.fullmatch(r"(-?[\d,]+(?:\.\d+)?) (without currency|[A-Z]{3})(?: · -?[\d,.]+ %)?", one) for one in values)
    return {one[2]: Decimal(one[1].replace(",", "")) for one in read if one}


def in_coins(sums: dict[str, Decimal]) -> dict[str, Decimal]:
    return {
        currency: amount.quantize(Decimal(1).scaleb(-currency_exponent(currency)), ROUND_HALF_UP, EXACT)
        for currency, amount in sums.items()
    }


def columns_of(page: PageReader) -> dict[str, Any]:
    """The columns of findings that the page's script is given."""
    text = next(text for (_, attributes), text in page.data if attributes.get("id") == "findings-data")
    columns: dict[str, Any] = json.loads(text)["columns"]
    return columns


def values(page: PageReader, name: str) -> list[str]:
    column = columns_of(page)[name]
    return ["" if code < 0 else column["values"][code] for code in column["codes"]]


def number(text: str) -> Decimal | None:
    return Decimal(text.replace(",", "")) if text else None


def test_totals_on_the_page_equal_the_warehouse(stored: Stored, page: PageReader) -> None:
    warehouse, contents = stored
    lines = rows_of(warehouse, "select * from lines where run_id = 'd' and source = 'invoice_recon'")
    ties = rows_of(warehouse, "select * from out_invoice_tieout where run_id = 'd' order by invoice_number")
    void = {row["invoice_number"] for row in ties if row["status"] == "voided"}
    charged = summed((one["currency"], one["total_amount"]) for one in lines if one["invoice_number"] not in void)
    assert money(page.figures["Charged by Microsoft"]) == in_coins(charged)
    margins = rows_of(warehouse, "select * from out_customer_margin where period = '2026-03'")
    margin = summed((one["currency"], one["margin_amount"]) for one in margins)
    assert money(page.figures["Margin"]) == in_coins(margin)
    leaks = summed((one["leak_currency"], one["leak_amount"]) for one in contents.findings.to_pylist())
    assert money(page.figures["Money that leaks, at most"]) == in_coins(leaks)

    heading, *shown = page.tables["Every invoice against the sum of its lines"]
    places = [heading.index(name) for name in ("Invoice", "Currency", "Lines, total", "Invoice, total", "Difference")]
    read = [tuple(row[place] for place in places) for row in shown]
    assert [(one[0], one[1], *map(number, one[2:])) for one in read[: len(ties)]] == [
        (one["invoice_number"], one["currency"] or "", *(one[name] for name in
         ("lines_amount", "invoice_amount", "difference_amount"))) for one in ties
    ]  # fmt: skip
    for name, place in (("lines_amount", 2), ("invoice_amount", 3)):
        expected = summed((one["currency"], one[name]) for one in ties if one["status"] != "voided")
        assert {one[1] or "without currency": number(one[place]) for one in read[len(ties) :]} == expected

    for currency in {one["currency"] for one in margins}:
        name = currency or "without currency"
        _, *rows, total = page.tables[f"Cost, ERP amount and margin by customer, {name}"]
        own = [one for one in margins if one["currency"] == currency]
        columns = ("cost_amount", "erp_amount", "margin_amount")
        written = sorted([amount_text(one[column], currency) for column in columns] for one in own)
        assert sorted(row[1:4] for row in rows) == written
        assert [number(text) for text in total[1:4]] == [
            summed((currency, one[column]) for one in own)[name] for column in columns
        ]
        assert number(page.tables[f"Cost, ERP amount and margin by period, {name}"][-1][3]) == number(total[1])


def test_every_finding_is_in_the_page_with_its_exact_figures(stored: Stored, page: PageReader) -> None:
    found = rows_of(stored[0], "select * from out_findings where run_id = 'd'")
    names = ("code", "severity", "line_id", "invoice_number", "customer_id", "message")
    amounts = ("expected_amount", "actual_amount", "difference_amount")
    read = zip(*(values(page, name) for name in (*names, *amounts)), strict=True)
    assert sorted(read) == sorted(
        (*(one[name] or "" for name in names),
         *(f"{amount_text(one[name], one['currency'])} {one['currency'] or ''}".strip() for name in amounts))
        for one in found
    )  # fmt: skip
    difference = columns_of(page)["difference_amount"]
    keys = [(text.partition(" ")[2], Decimal(text.partition(" ")[0].replace(",", ""))) for text in difference["values"]]
    assert keys == sorted(keys)
    counts = {row[0]: (row[1], row[2]) for row in page.tables["What was found, by code"][1:]}
    for code, (_, count) in counts.items():
        assert int(count) == sum(one["code"] == code for one in found)
    assert set(counts) == {one["code"] for one in found} <= set(FINDING_HELP)


@given(
    st.decimals(min_value=-(10**19), max_value=10**19, places=18, allow_nan=False),
    st.sampled_from(["EUR", "JPY", "KWD", None]),
)
def test_an_amount_is_exact_and_has_the_decimals_of_its_currency(amount: Decimal, currency: str | None) -> None:
    text = amount_text(amount, currency)
    assert Decimal(text.replace(",", "")) == amount
    assert re.fullmatch(r"-?\d{1,3}(,\d{3})*(\.\d+)?", text)
    assert len(text.partition(".")[2]) >= currency_exponent(currency)
    assert len(coin_text(amount, currency).partition(".")[2]) == currency_exponent(currency)


def test_what_partner_data_say_is_text(stored: Stored) -> None:
    plain = PageReader(render_page(renamed(stored[1], tuple(f"name {n}" for n in range(len(HOSTILE))))))
    page = PageReader(render_page(renamed(stored[1], HOSTILE)))

    def shape(reader: PageReader) -> list[tuple[str, list[str]]]:
        return [(tag, sorted(attributes)) for tag, attributes in reader.elements if tag not in ("tspan", "title")]

    assert shape(page) == shape(plain)
    assert page.open_at_end == []
    assert set(values(page, "message")) == set(values(page, "waiver_reason")) == set(HOSTILE)
    assert values(page, "standing") == [values(page, "severity")[0], *["waived"] * (len(values(page, "standing")) - 1)]
    assert HOSTILE[0] in [row[0] for row in page.tables["Every invoice against the sum of its lines"]]


def test_the_page_is_one_file_that_asks_for_nothing(page: PageReader) -> None:
    policy = next(one["content"] for tag, one in page.elements if one.get("http-equiv") == "Content-Security-Policy")
    digests = {
        tag: f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for (tag, attributes), text in page.data
        if attributes.get("type") != "application/json"
    }
    assert policy.split("; ") == [
        "default-src 'none'", f"style-src {digests['style']}", f"script-src {digests['script']}", "base-uri 'none'",
        "form-action 'none'",
    ]  # fmt: skip
    for tag, attributes in page.elements:
        assert not {"src", "srcset", "style", "action", "data", "poster"} & set(attributes), tag
        assert not any(name.startswith("on") for name in attributes), tag
        assert attributes.get("href", "#").startswith("#"), attributes
        assert attributes.get("xlink:href", "#").startswith("#"), attributes


def test_a_page_that_cannot_be_written_is_told_in_a_line(stored: Stored, tmp_path: Path) -> None:
    path = tmp_path / "reconciliation.html"
    path.write_text("older")
    with pytest.raises(InputError, match=r"^[^\n]*reconciliation.html[^\n]*$"):
        write_page(stored[1], path / "in a file")
    write_page(stored[1], path)
    assert path.read_text(encoding="utf-8").endswith("</html>")
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["reconciliation.html"]


def test_a_run_of_nothing_makes_a_page(duckdb_warehouse: Warehouse) -> None:
    store(duckdb_warehouse, make_run("empty", "2026-03", 0, scope='{"customers": ["x"]}'), [], [], [])
    page = PageReader(render_page(read_contents(duckdb_warehouse, "empty")))
    assert page.open_at_end == []
    assert page.figures["Charged by Microsoft"][0] == "nothing"
