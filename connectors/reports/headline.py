"""What a report says first: is the month right, where does money leak, what awaits somebody. One wording for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from connectors.reports.amounts import counted, money_texts, sums_by_currency, verb
from connectors.reports.contents import ReportContents
from transforms.money import EXACT

#: What is said of invoices in each state of the tie-out, in this order.
_TIED_OUT = {
    "matched": "equal their lines to the cent",
    "tax_only": "differ by a tax rate that the policy states",
    "mismatch": "differ from their lines",
    "invoice_not_found": "are named by lines and have no document",
    "without_lines": "have no lines",
    "voided": "are void and do not count",
}
_WRONG = ("mismatch", "invoice_not_found", "without_lines")
#: What is said of lines in each state of loading.
_LOADED = {
    "intended": "were sent to HaloPSA and the outcome is not known yet: load the run again",
    "rejected": "were refused by HaloPSA: out_halo_load says why",
    "posted": "are in HaloPSA and not marked as billed",
    "not_loaded": "are not in HaloPSA",
    "without_invoice": "have no invoice and are not loaded",
}

#: Runs of which everything is loaded that ever will be.
_COMPLETE = ("awaiting_approval", "loaded", "billed")


@dataclass(frozen=True)
class Leak:
    """What findings of one code cost in one currency, and how many they are."""

    code: str
    currency: str
    amount: Decimal
    findings: int


@dataclass(frozen=True)
class Headline:
    """What a report says first.

    Attributes:
        is_right: nobody has rejected it, and no finding blocks that nobody has accepted.
        title: that, in one sentence.
        notes: what limits what the report says, in sentences: an ad hoc run, say, or an older one.
        invoices: how many invoices tie out and how many do not, in sentences.
        leaks: by currency, the largest first.
        awaits: what somebody has to do, in sentences; empty where nothing is left.
    """

    is_right: bool
    title: str
    notes: tuple[str, ...]
    invoices: tuple[str, ...]
    leaks: tuple[Leak, ...]
    awaits: tuple[str, ...]


def headline(contents: ReportContents) -> Headline:
    """The headline of a run."""
    states = Counter(contents.tieout["status"].to_pylist())
    return Headline(
        not contents.open_blocking and not contents.is_rejected,
        _title(contents, sum(states[state] for state in _WRONG)),
        tuple(_notes(contents)),
        tuple(f"{counted(states[state], 'invoice')} {verb(words, states[state])}."
              for state, words in _TIED_OUT.items() if states[state]),
        tuple(_leaks(contents)),
        tuple(_awaits(contents)),
    )  # fmt: skip


def _title(contents: ReportContents, wrong: int) -> str:
    period, decision = contents.period, contents.decision
    untied = verb(f"{counted(wrong, 'invoice')} do not tie out", wrong)
    if contents.is_rejected and decision is not None:
        return f"{period} is rejected: {decision['decided_by']} did so on {decision['decided_at']:%Y-%m-%d}."
    if contents.open_blocking:
        blocked = verb(f"{counted(contents.open_blocking, 'finding')} block", contents.open_blocking)
        return f"{period} is not right yet: {blocked}{f' and {untied}' if wrong else ''}."
    if decision is not None and contents.blocking.open:
        return f"{period} is accepted: {decision['decided_by']} approved it on {decision['decided_at']:%Y-%m-%d}."
    if contents.blocking.waived:
        waived = contents.blocking.waived
        return f"Nothing blocks {period}: {verb(counted(waived, 'finding') + ' are waived', waived)}."
    if wrong:
        return f"Nothing blocks {period}, but {untied}."
    if warnings := _warnings(contents):
        return f"{period} is right to the cent; {counted(warnings, 'warning')} to look at."
    return f"{period} is right to the cent."


def _notes(contents: ReportContents) -> Iterable[str]:
    if contents.run["scope"] is not None:
        yield "This run was limited to some customers, invoices or findings; it is not the whole month."
    elif contents.run["status"] == "failed":
        yield "This run failed; it is not the period's result."
    elif not contents.is_latest:
        yield "A later run of the period has replaced this one."


def _leaks(contents: ReportContents) -> list[Leak]:
    leaks: dict[tuple[str, str], Leak] = {}
    for row in contents.leaks.to_pylist():
        key = (row["leak_currency"] or "", row["code"])
        before = leaks.get(key, Leak(row["code"], key[0], Decimal(0), 0))
        amount = EXACT.add(before.amount, row["leak_amount"])
        leaks[key] = Leak(row["code"], key[0], amount, before.findings + row["finding_count"])
    return sorted(leaks.values(), key=lambda leak: (leak.currency, -leak.amount, leak.code))


def _awaits(contents: ReportContents) -> Iterable[str]:
    """What is left to do, until the run is billed."""
    if contents.open_blocking:
        yield (
            f"{verb(counted(contents.open_blocking, 'finding') + ' block', contents.open_blocking)}: mend what they "
            "say and run the month again, waive single ones, or approve the run."
        )
    if warnings := _warnings(contents):
        yield f"{counted(warnings, 'warning')} to look at."
    counts: Counter[str] = Counter()
    amounts: dict[str, list[tuple[str | None, Decimal | None]]] = {}
    rows = contents.loading.to_pylist()
    # Azure-plan lines are not loaded where daily usage stands for them.
    by_usage = any(row["source"] == "daily_usage" and row["state"] in ("posted", "billed") for row in rows)
    for row in rows:
        if row["state"] == "not_loaded" and by_usage and contents.run["status"] in _COMPLETE:
            continue
        if row["source"] == "invoice_recon" and row["state"] in _LOADED:
            counts[row["state"]] += row["line_count"]
            amounts.setdefault(row["state"], []).append((row["currency"], row["total_amount"]))
    for state, words in _LOADED.items():
        if many := counts[state]:
            sums = ", ".join(money_texts(sums_by_currency(amounts[state])))
            yield f"{counted(many, 'line')} of {sums} {verb(words, many)}."


def _warnings(contents: ReportContents) -> int:
    return sum(row["finding_count"] for row in contents.codes.to_pylist() if row["severity"] == "warn")
