"""What people read of a run or a line on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from connectors.reports.amounts import counted, money_texts, verb
from pipelines.finding_list import with_tenant
from pipelines.output import print_table, say
from pipelines.period_status import not_billed
from transforms.findings import money_text
from transforms.policy import SEVERITY_ORDER

if TYPE_CHECKING:
    from connectors.reports.overview import Overview
    from pipelines.run_view import RunView

#: How many invoices a summary shows, those that differ first.
SHOWN_INVOICES = 20
#: Columns of the tie-out that a summary shows, by shorter headings, which fit 80 columns.
TIEOUT_COLUMNS = {
    "invoice": "invoice_number", "status": "status", "invoiced": "invoice_amount", "lines": "lines_amount",
    "difference": "difference_amount", "currency": "currency",
}  # fmt: skip
_CHANGED = ["code", "invoice_number", "customer_name", "line_id", "previous_amount", "amount", "currency"]


def print_summary(document: dict[str, Any], view: RunView | None, *, compares: bool) -> None:
    """Print what a run did, what it found, and what is to be done next.

    Args:
        document: as `RunSummary.to_dict` has it.
        view: what else is shown of the run; None where it could not be read.
        compares: whether the run was made just now, so that what changed since the one before is news.
    """
    decision = f", {view.decision}" if view and view.decision else ""
    part = f", only {view.part}" if view and view.part else ""
    say(f"run {document['run_id']} of {document['period']}{part}: {document['status']}{decision}")
    counts = (counted(document[f"{what}s"], what) for what in ("line", "invoice"))
    say(f"{', '.join(counts)}, {document['seconds']} s; warehouse {document['warehouse']}")
    if document["status"] == "reconciled":
        say("nothing was sent to HaloPSA")
    else:
        say(_halo_text(document["loaded"], document["marked"]))
    print()
    if view is None:
        print_table(["finding", "count"], document["findings"].items())
    elif compares:
        _print_codes(view.overview)
        say(_found_text(view.overview))
        print()
        _print_tieout(view.overview)
    else:
        say(_found_text(view.overview))
    if compares:
        _print_changes(document, view)
    if document["reports"]:
        print("reports:")
        for file in document["reports"]:
            print(f"  {file}")
    _print_next(document, view)


def print_explanation(document: dict[str, Any]) -> None:
    """Print why a line was judged as it was, or what a finding about no line says."""
    if "line" not in document:
        _print_findings(document["findings"])
        return
    line = document["line"]
    say(f"line {document['line_id']} of run {document['run_id']}, {document['source']}")
    say(
        f"{line['customer_name']} ({line['customer_id']}): {line['sku_name']}, {line['charge_type']} "
        f"{line['charge_start_on']} to {line['charge_end_on'] or 'no end'}, invoice {line['invoice_number'] or 'none'}"
    )
    if copy := document["copy"]:
        say(f"untouched copy of the file: {copy['landed_as']} in {copy['zone']}"
            + (f"; it was pruned on {copy['pruned_at']:%Y-%m-%d}" if copy["pruned_at"] else ""))  # fmt: skip
    print()
    marks = {True: "holds", False: "no", None: ""}
    for rule in document["rules"]:
        mark = marks[rule["holds"]]
        say(f"{rule['rule']}: {rule['figures']}" + (f" [{mark}]" if mark else ""))
    for other in document["event"]:
        say(f"same event: {other['charge_type']} {other['charge_start_date']} to {other['charge_end_date']}, "
              f"{money_text(other['subtotal'], other['currency'])}, line {other['line_id']}")  # fmt: skip
    print()
    _print_findings(document["findings"])
    if not document["findings"]:
        say("no findings")
    for posting in document["halopsa"]:
        say(f"HaloPSA {posting['halo_url']}: {posting['state']}, id {posting['halo_id'] or 'not known'}")


def _print_findings(findings: Sequence[Mapping[str, Any]]) -> None:
    """Findings in sentences, each with what to do about it."""
    from transforms.finding_help import FINDING_HELP

    for finding in findings:
        say(f"{finding['code']} ({finding['severity']}): {finding['message']}")
        say(f"  finding {finding['finding_id']} of run {finding['run_id']}; to do: "
            f"{FINDING_HELP[finding['code']].what_to_do}")  # fmt: skip
        if finding["waived_by"]:
            say(f"  waived by {finding['waived_by']} until {finding['waived_until']}: {finding['waiver_reason']}")


def _print_codes(overview: Overview) -> None:
    """Findings by code with what they cost."""
    if not overview.codes:
        return
    waived = any(one.waived for one in overview.codes)
    rows = [
        [one.code, one.severity, one.open, *([one.waived] if waived else []), ", ".join(money_texts(one.leaks))]
        for one in overview.codes
    ]
    print_table(["finding", "severity", "open", *(["waived"] if waived else []), "leaks at most"], rows)


def _found_text(overview: Overview) -> str:
    """How many findings are open, and what they cost."""
    if not overview.codes:
        return "no findings"
    counts = [f"{count} {name}" for name in SEVERITY_ORDER if (count := overview.count(name))]
    waived = sum(one.waived for one in overview.codes)
    leaks = ", ".join(money_texts(overview.leaks))
    told = [f"{', '.join(counts) or 'none'} open", *([f"{waived} waived"] if waived else [])]
    return f"findings: {', '.join(told)}" + (f"; leaks at most {leaks}" if leaks else "")


def _print_tieout(overview: Overview) -> None:
    """The invoices against their lines, those that differ first."""
    differ = [row for row in overview.tieout if row["status"] != "matched"]
    shown = (differ + [row for row in overview.tieout if row["status"] == "matched"])[:SHOWN_INVOICES]
    if shown:
        print_table(list(TIEOUT_COLUMNS), [[row[name] for name in TIEOUT_COLUMNS.values()] for row in shown])
        if more := len(overview.tieout) - len(shown):
            say(f"and {more} more: `csp-billing warehouse query 'select * from out_invoice_tieout'`")  # noqa: S608
        print()


def _print_next(document: dict[str, Any], view: RunView | None) -> None:
    """What is left, why the exit code is 1, and what to type."""
    blocking = document["blocking"]
    if view is not None:
        for why in view.unbilled:
            say(f"{not_billed(document['status'])}: {why}")
    if blocking:
        decision = f"{view.decision}; " if view and view.decision else ""
        say(f"{decision}{counted(blocking, 'finding')} of severity block {verb('stay', blocking)} open: exit code 1")
    if view is not None and not document.get("error"):
        say(f"next: {view.next}")


def _print_changes(document: dict[str, Any], view: RunView | None) -> None:
    """What is new, gone or changed since the period's last run."""
    changes = document["changes"]
    if not changes:
        if view is not None and view.previous is not None:
            before = view.previous
            say(f"nothing changed since run {before['run_id']} of {before['started_at']:%Y-%m-%d %H:%M} UTC")
        return
    told = [
        f"{counted(count, what.removesuffix('s'))} {change}"
        for what, counts in changes.items()
        for change, count in counts.items()
    ]
    say("since the last run of the period: " + ", ".join(told))
    shared = view.namesakes if view else frozenset()
    changed = [
        {**one, "customer_name": with_tenant(one["customer_name"], one["customer_id"], shared)}
        for one in document["changed"]
    ]
    rows = [[one["change"], one["what"], *(one[name] for name in _CHANGED)] for one in changed]
    print_table(["change", "what", *_CHANGED], rows)
    if sum(count for counts in changes.values() for count in counts.values()) <= len(rows):
        return
    say("and more:")
    print(f"  csp-billing warehouse query \"select * from out_period_changes where run_id = '{document['run_id']}'\"")  # noqa: S608


def _halo_text(loaded: dict[str, int], marked: dict[str, int]) -> str:
    if not any(loaded.values()) and not any(marked.values()):
        return "HaloPSA has everything already: nothing was posted, nothing was marked"
    posted, billed = (
        ", ".join(counted(count, name.removesuffix("s")) for name, count in counts.items())
        for counts in (loaded, marked)
    )
    return f"newly in HaloPSA: {posted}; newly marked as billed: {billed}"
