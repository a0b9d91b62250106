"""Lines of invoices that were voided, or are no longer among the exports, after the lines had been posted.

Nobody may bill them, and only a person may delete them: the load says what stands there, and touches nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from connectors.halopsa.client import HaloClient
from connectors.halopsa.invoices import Documents
from connectors.halopsa.ledger import INTENDED, Book, Ledger
from connectors.halopsa.plan import AbsentInvoice, HaloLoadSettings, LoadPlan, VoidedLines
from connectors.halopsa.properties import CONSUMPTION
from connectors.halopsa.verification import total_of
from transforms.billed_lines import BilledLine, Change

_ID = CONSUMPTION.id_property


def lines_of_voided(
    client: HaloClient, ledger: Ledger, plan: LoadPlan, settings: HaloLoadSettings, documents: Documents
) -> tuple[VoidedLines, ...]:
    """What HaloPSA still has below the plan's voided invoices; the ledger forgets what was deleted there.

    HaloPSA is asked only when the ledger knows of such lines, and no further back than to the oldest of them.
    """
    parents = {
        row.halo_id: number
        for number in sorted(documents.voided)
        if (row := documents.book.rows.get(number)) is not None and row.halo_id is not None
    }
    book = Book(ledger, CONSUMPTION.name, plan.run_id, plan.period, parents.values())
    if not book.rows:
        return ()
    opened = [key for key, row in book.rows.items() if row.state == INTENDED and row.halo_id is None]
    client.wait(book.open_for(opened, settings.settle_grace_seconds))
    there: dict[int, dict[int, Mapping[str, Any]]] = {halo_id: {} for halo_id in parents}
    for line in client.newest_first(str(CONSUMPTION.list_path), _ID, _floor(ledger, book, opened)):
        if line.get("parentid") in there:
            there[line["parentid"]][line[_ID]] = {name: line.get(name) for name in ("isbilled", "total")}
    _forget_deleted(book, parents, there)
    keys = {row.halo_id: key for key, row in book.rows.items()}
    return tuple(
        VoidedLines(
            parents[halo_id],
            halo_id,
            unbilled=tuple(sorted(each for each, line in lines.items() if not line["isbilled"])),
            billed=tuple(
                BilledLine(Change.VOID, parents[halo_id], each, keys.get(each), total_of(line))
                for each, line in sorted(lines.items())
                if line["isbilled"]
            ),
        )
        for halo_id, lines in there.items()
        if lines
    )


def absent_invoices(ledger: Ledger, plan: LoadPlan) -> tuple[AbsentInvoice, ...]:
    """What the ledger knows of the period below invoices that the plan does not have, and no other period either.

    HaloPSA is not asked: Microsoft voids an invoice with a document, so that one is missing rather than withdrawn.
    """
    present = {*plan.invoices.column("invoice_number").to_pylist(), *plan.elsewhere}
    return tuple(
        AbsentInvoice(number, lines, billed)
        for number, lines, billed in ledger.count_lines(plan.period)
        if number not in present
    )


def _floor(ledger: Ledger, book: Book, opened: Iterable[str]) -> int | None:
    """An id below all of these lines'; None where nothing tells one."""
    floors = [row.halo_id - 1 for row in book.rows.values() if row.halo_id is not None]
    for key in opened:
        # Only the time of a first attempt says how far back the line may be.
        row = book.rows[key]
        floor = ledger.highest_line_id(row.intended_at) if row.attempts == 1 else None
        if floor is None:
            return None
        floors.append(floor)
    return min(floors, default=None)


def _forget_deleted(book: Book, parents: Mapping[int, str], there: Mapping[int, Collection[int]]) -> None:
    """Lines that HaloPSA no longer has. One in doubt is kept while any line is below its invoice: it may be that."""
    kept = {number for halo_id, number in parents.items() if there[halo_id]}
    ids = {each for lines in there.values() for each in lines}
    book.forget(
        [
            key
            for key, row in book.rows.items()
            if (row.parent_key not in kept if row.halo_id is None else row.halo_id not in ids)
        ]
    )
