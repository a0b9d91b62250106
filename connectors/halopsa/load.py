"""Loading a reconciled period into HaloPSA: prices, invoices, their lines, and the read-back."""

from __future__ import annotations

from connectors.halopsa.billed import mark_billed
from connectors.halopsa.client import HaloClient
from connectors.halopsa.invoices import post_invoices, survey_invoices
from connectors.halopsa.ledger import Ledger
from connectors.halopsa.lines import Lines
from connectors.halopsa.lock import holding
from connectors.halopsa.plan import HaloLoadSettings, LoadCounts, LoadPlan, MarkCounts
from connectors.halopsa.prices import load_prices
from connectors.halopsa.withdrawn import absent_invoices, lines_of_voided
from connectors.progress import Progress, silent

__all__ = ["HaloLoadSettings", "LoadCounts", "LoadPlan", "MarkCounts", "load", "mark_billed"]


def load(
    client: HaloClient,
    ledger: Ledger,
    plan: LoadPlan,
    settings: HaloLoadSettings,
    progress: Progress | None = None,
) -> LoadCounts:
    """Post what of the plan is new or changed, and read it back; may be repeated at any time.

    Billed records are never touched. Voided documents and their lines are not posted; what was
    posted before it was voided is reported.

    Raises:
        RemoteError: HaloPSA failed, or holds other lines than it should; what was posted is in the ledger.
        WarehouseError: the warehouse failed, or another load is at work.
    """
    progress = progress or silent
    with holding(ledger, plan.run_id) as lock, client.beating(lock.renew):
        documents = survey_invoices(client, ledger, plan, settings)
        prices = load_prices(client, ledger, plan, settings, progress)
        post_invoices(client, documents, settings, progress)
        lines = Lines(client, ledger, plan, settings, documents, progress)
        lines.load()
        changed = lines.billed_changed()
        voided = lines_of_voided(client, ledger, plan, settings, documents)
        absent = absent_invoices(ledger, plan)
    tallies = (prices, documents.tally, lines.tally)
    return LoadCounts(
        prices=prices.posted,
        invoices=documents.tally.posted,
        lines=lines.tally.posted,
        adopted=sum(tally.adopted for tally in tallies),
        cut=sum(tally.cut for tally in tallies),
        rounded=sum(tally.rounded for tally in tallies),
        rejected=sum(len(tally.rejected) for tally in tallies),
        held=len(lines.held),
        unknown_prices=prices.unknown,
        billed_changed=(*changed, *(line for invoice in voided for line in invoice.billed)),
        voided=voided,
        absent=absent,
        missing=lines.missing(),
    )
