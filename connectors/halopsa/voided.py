"""Lines of invoices that were voided after the lines had been posted.

Nobody may bill them, and only a person may delete them: the load says what stands there, and touches nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.halopsa.client import HaloClient
from connectors.halopsa.invoices import Documents
from connectors.halopsa.ledger import INTENDED, Book, Ledger
from connectors.halopsa.plan import HaloLoadSettings, LoadPlan, VoidedLines
from connectors.halopsa.properties import CONSUMPTION

_ID = CONSUMPTION.id_property


def lines_of_voided(
    client: HaloClient, ledger: Ledger, plan: LoadPlan, settings: HaloLoadSettings, documents: Documents
) -> tuple[VoidedLines, ...]:
    """What HaloPSA still has below the plan's voided invoices; the ledger forgets what was deleted there.

    HaloPSA is asked only when the ledger knows of such lines, and no further back than to the oldest of them.
    """
    parents = {
        row.halo_id: number
        for number in documents.voided
        if (row := documents.book.rows.get(number)) is not None and row.halo_id is not None
    }
    book = Book(ledger, CONSUMPTION.name, plan.run_id, plan.period, parents.values())
    if not book.rows:
        return ()
    opened = [key for key, row in book.rows.items() if row.state == INTENDED and row.halo_id is None]
    client.wait(book.open_for(opened, settings.settle_grace_seconds))
    billed: dict[int, dict[int, bool]] = {halo_id: {} for halo_id in parents}
    for line in client.newest_first(str(CONSUMPTION.list_path), _ID, _floor(ledger, book, opened)):
        if line.get("parentid") in billed:
            billed[line["parentid"]][line[_ID]] = bool(line.get("isbilled"))
    _forget_deleted(book, parents, billed)
    return tuple(
        VoidedLines(
            parents[halo_id],
            halo_id,
            unbilled=tuple(sorted(each for each, is_billed in flags.items() if not is_billed)),
            billed=tuple(sorted(each for each, is_billed in flags.items() if is_billed)),
        )
        for halo_id, flags in billed.items()
        if flags
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


def _forget_deleted(book: Book, parents: Mapping[int, str], there: Mapping[int, Mapping[int, bool]]) -> None:
    """Lines that HaloPSA no longer has. One in doubt is kept while any line is below its invoice: it may be that."""
    kept = {number for halo_id, number in parents.items() if there[halo_id]}
    ids = {each for flags in there.values() for each in flags}
    book.forget(
        [
            key
            for key, row in book.rows.items()
            if (row.parent_key not in kept if row.halo_id is None else row.halo_id not in ids)
        ]
    )
