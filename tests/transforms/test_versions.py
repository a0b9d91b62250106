"""Republished invoices, copies and parts in one folder, and the identity that tells them apart."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.transforms.rows import invoice_rows, recon_rows, usage_rows
from transforms.line_identity import charge_keys
from transforms.versions import Survey, delivery_keys, latest_documents, select_lines

DELIVERED = {name: datetime(2025, 12, day, tzinfo=UTC) for day, name in enumerate(("old.csv", "new.csv"), start=8)}
LINES: list[dict[str, Any]] = [{"subscription_id": f"s{number}"} for number in range(6)]


def selected(
    *tables: pa.Table, totals: dict[str, Decimal] | None = None, delivery: str = ""
) -> tuple[list[pa.Table], list[str]]:
    """Of each file the lines that count, and the notices; every table is a file, surveyed in two parts."""
    surveys = {}
    for place, table in enumerate(tables):
        name = table.column("source_file")[0].as_py()
        surveys[place] = Survey(name, DELIVERED.get(name, DELIVERED["old.csv"]), delivery)
        surveys[place].add(table.slice(0, 1), "invoice_recon")
        surveys[place].add(table.slice(1), "invoice_recon")

    def charges_of(place: int, key: str) -> Any:
        own = tables[place].filter(pc.equal(delivery_keys(tables[place], "invoice_recon").cast(pa.string()), key))
        return np.unique(charge_keys(own, "invoice_recon")[0])

    periods = {key: "2025-11" for survey in surveys.values() for key in survey.months}
    found = select_lines(surveys, "invoice_recon", periods, "2025-11", totals or {}, charges_of)
    kept_lines = [
        table.filter(found.counts(table, "invoice_recon", place, periods, "2025-11"))
        for place, table in enumerate(tables)
    ]
    return kept_lines, list(found.notices)


def kept(*tables: pa.Table, totals: dict[str, Decimal] | None = None) -> tuple[list[str], list[str]]:
    lines, notices = selected(*tables, totals=totals)
    assert all(own.num_rows in (0, table.num_rows) for own, table in zip(lines, tables, strict=True))
    return sorted({name for own in lines for name in own.column("source_file").to_pylist()}), notices


def test_a_republished_invoice_replaces_its_older_file_also_with_other_amounts() -> None:
    old = recon_rows(*LINES, file="old.csv")
    new = recon_rows(*[{**line, "total": "180"} for line in LINES], {"subscription_id": "added"}, file="new.csv")
    files, notices = kept(new, old)
    assert files == ["new.csv"]
    assert notices == ["invoice G1: new.csv repeats the lines of old.csv, which is left out"]


def test_parts_of_an_invoice_all_count_with_their_genuine_duplicates() -> None:
    one = recon_rows(*LINES[:4], file="old.csv")
    other = recon_rows(*LINES[4:], LINES[0], file="new.csv")
    assert kept(one, other) == (["new.csv", "old.csv"], [])


def test_files_that_were_delivered_together_are_parts_whatever_they_repeat() -> None:
    tables = [recon_rows(LINES[0], file=name) for name in DELIVERED]
    assert [own.num_rows for own in selected(*tables, delivery="v0001-1a2b3c4d")[0]] == [1, 1]
    assert sorted(own.num_rows for own in selected(*tables)[0]) == [0, 1]


def test_files_that_add_up_to_the_invoice_are_parts_whatever_they_repeat() -> None:
    one, other = (recon_rows(LINES[0], file=name) for name in DELIVERED)
    assert kept(one, other, totals={"G1": Decimal("352")})[0] == ["new.csv", "old.csv"]
    assert kept(one, other, totals={"G1": Decimal("176")})[0] == ["new.csv"]


def test_billed_lines_supersede_the_unbilled_ones_of_their_currency_only() -> None:
    lines = recon_rows({}, {"invoice_number": None}, {"invoice_number": None, "currency": "EUR"})
    (own,), notices = selected(lines)
    assert own.column("source_row").to_pylist() == [2, 4]
    assert notices == ["1 unbilled lines in USD are left out: the period is billed in that currency"]
    (own,), notices = selected(lines.slice(1))
    assert (own.num_rows, notices) == (2, [])


def test_the_newest_of_several_exports_of_an_open_month_counts() -> None:
    first = [{**line, "invoice_number": None} for line in LINES]
    later = [*first, {"subscription_id": "bought since", "invoice_number": None}]
    files, notices = kept(recon_rows(*later, file="new.csv"), recon_rows(*first, file="old.csv"))
    assert files == ["new.csv"]
    assert notices == ["unbilled lines in USD: new.csv repeats the lines of old.csv, which is left out"]
    euros = [{**line, "currency": "EUR"} for line in first]
    assert kept(recon_rows(*later, file="new.csv"), recon_rows(*euros, file="old.csv"))[0] == ["new.csv", "old.csv"]


def test_the_latest_document_of_an_invoice_counts() -> None:
    documents = pa.concat_tables([
        invoice_rows({"total_charges": "2"}, file="new.csv"), invoice_rows({"total_charges": "1"}, file="old.csv"),
    ])  # fmt: skip
    assert latest_documents(documents, DELIVERED).column("total_charges").to_pylist() == [Decimal(2)]


def test_an_identity_survives_new_amounts_and_a_new_order_and_tells_duplicates_apart() -> None:
    same = {"quantity": "2"}
    first = usage_rows({"meter_id": "a"}, same, same, {"meter_id": "b"})
    again = usage_rows({"meter_id": "b"}, same, {"meter_id": "a", "billing_pre_tax_total": "9"}, same, file="copy.csv")
    ids, ids_again = (table.column("line_id").to_pylist() for table in (first, again))
    assert len(set(ids)) == 4
    assert sorted(ids) == sorted(ids_again)
    assert ids[0] == ids_again[2]


def test_a_reference_id_that_became_json_is_its_id() -> None:
    plain, wrapped = recon_rows({"reference_id": "ab12"}), recon_rows({"reference_id": '{"osId":"x","id":"ab12"}'})
    assert plain.column("line_id") == wrapped.column("line_id")


def test_a_refund_is_another_charge_than_the_one_it_undoes() -> None:
    pair = recon_rows({"subtotal": "-176"}, {"subtotal": "176"})
    assert len(set(pair.column("line_id").to_pylist())) == 2
    assert recon_rows({"subtotal": "176"}).column("line_id")[0] == pair.column("line_id")[1]
