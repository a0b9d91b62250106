"""The figures below the headline, by currency: what Microsoft charges, what leaks, what the margin is."""

from __future__ import annotations

from decimal import Decimal

from connectors.reports.amounts import counted, money_texts, percent, percent_text, sums_by_currency
from connectors.reports.contents import ReportContents
from connectors.reports.headline import Headline
from connectors.reports.page_parts import Figure, Tone


def figures(contents: ReportContents, headline: Headline) -> list[Figure]:
    """What a controller looks at first, beside whether the month is right."""
    return [_leaks(headline), _charged(contents), _margin(contents), _findings(contents)]


def _leaks(headline: Headline) -> Figure:
    label, about = "Money that leaks, at most", "charged too much, credit not given, or sold below cost"
    sums = sums_by_currency((leak.currency or None, leak.amount) for leak in headline.leaks)
    if not sums:
        return Figure(label, ["none found"], about, "good")
    return Figure(label, money_texts(sums), f"{about}; a line with two findings counts in both", "bad")


def _charged(contents: ReportContents) -> Figure:
    own = [row for row in contents.totals.to_pylist() if row["source"] == "invoice_recon" and not row["is_voided"]]
    sums = sums_by_currency((row["currency"], row["total_amount"]) for row in own)
    lines = counted(sum(row["line_count"] for row in own), "line")
    return Figure("Charged by Microsoft", money_texts(sums) or ["nothing"], f"{lines}, with tax")


def _margin(contents: ReportContents) -> Figure:
    rows = contents.margins.to_pylist()
    margins = sums_by_currency((row["currency"], row["margin_amount"]) for row in rows)
    erp = sums_by_currency((row["currency"], row["erp_amount"]) for row in rows)
    if not margins:
        return Figure("Margin", ["none"], "no line has an ERP price")
    values = [
        f"{money} · {percent_text(percent(margins[currency], erp[currency]))}"
        for currency in sorted(margins, key=lambda one: (one is None, one or ""))
        for money in money_texts({currency: margins[currency]})
    ]
    is_loss = any(margin < Decimal(0) for margin in margins.values())
    about = "at ERP prices, before tax, of the lines that have one"
    return Figure("Margin", values, about, "bad" if is_loss else "plain")


def _findings(contents: ReportContents) -> Figure:
    counts = {"block": 0, "warn": 0, "info": 0}
    for row in contents.codes.to_pylist():
        counts[row["severity"]] += row["finding_count"]
    blocking = contents.blocking
    tone: Tone = "bad" if contents.open_blocking else "warn" if counts["block"] else "good"
    others = (("waived", blocking.waived), ("warn", counts["warn"]), ("inform", counts["info"]))
    told = ", ".join(f"{count:,} {word}" for word, count in others if count)
    about = f"of {counted(contents.finding_count, 'finding')}{told and f': {told}'}"
    return Figure("Findings that block", [f"{blocking.open:,}"], about, tone)
