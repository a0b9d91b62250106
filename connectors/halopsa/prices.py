"""Posting price list rows. HaloPSA has no list of prices: what is known of them, only the ledger knows."""

from __future__ import annotations

from connectors.halopsa.bodies import Draft, price_drafts
from connectors.halopsa.client import HaloClient
from connectors.halopsa.ledger import INTENDED, REJECTED, Book, Ledger
from connectors.halopsa.plan import HaloLoadSettings, LoadPlan
from connectors.halopsa.posting import Sender
from connectors.halopsa.properties import PRICING
from connectors.halopsa.tally import Tally
from connectors.progress import Progress


def load_prices(
    client: HaloClient, ledger: Ledger, plan: LoadPlan, settings: HaloLoadSettings, progress: Progress
) -> Tally:
    """Post the rows that are new or changed since they were last posted, of products that were billed.

    A row whose outcome is not known stays `intended` and is reported; nothing can tell whether it is there. The same
    holds for rows that a restored ledger does not know.
    """
    drafts = price_drafts(plan.prices, None if settings.all_prices else billed_products(plan))
    book = Book(ledger, PRICING.name, plan.run_id, plan.period)
    tally = Tally()
    usable = tally.refuse(book, drafts)
    sender = Sender(
        client, book, PRICING, settings, None, progress=lambda done, all_: progress("posting prices", done, all_)
    )
    is_doubted = ledger.doubts_prices()
    is_holding = is_doubted and not settings.resend_unknown_prices
    held = {draft.key for draft in usable if is_holding and draft.key not in book.rows}
    to_send = [
        draft
        for each in usable
        if each.key not in held and (draft := _due(each, book, settings)) is not None
    ]
    sent = sender.send(to_send)
    tally.add(to_send, sent)
    tally.unknown = sum(1 for draft in usable if draft.key in held or _is_unknown(draft, book))
    if is_doubted and settings.resend_unknown_prices:
        ledger.trust_prices()
    return tally


def billed_products(plan: LoadPlan) -> set[str]:
    """The products of the plan's lines."""
    return {
        product
        for lines in (plan.recon_lines, plan.usage_lines)
        for product in lines.column("product_id").unique().to_pylist()
        if product
    }


def _is_unknown(draft: Draft, book: Book) -> bool:
    row = book.rows.get(draft.key)
    return row is not None and row.state == INTENDED and row.halo_id is None


def _due(draft: Draft, book: Book, settings: HaloLoadSettings) -> Draft | None:
    """The draft as it is to be sent; None where nothing is."""
    row = book.rows.get(draft.key)
    if row is None or row.state == REJECTED:
        return draft
    if _is_unknown(draft, book):
        return draft if settings.resend_unknown_prices else None
    if row.state == INTENDED or row.content_hash != draft.content_hash:
        return draft.at(row.halo_id)
    return None
