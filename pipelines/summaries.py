"""What people read of a run or a line on the command line."""

from __future__ import annotations

from typing import Any

from pipelines.output import print_table, say
from transforms.findings import money_text

_CHANGED = ["code", "invoice_number", "customer_name", "line_id", "previous_amount", "amount", "currency"]


def print_summary(document: dict[str, Any]) -> None:
    """Print what a run did and what is to be done next."""
    say(f"run {document['run_id']} of {document['period']}: {document['status']}")
    say(f"{document['lines']} lines, {document['invoices']} invoices, {document['seconds']} s")
    if document["status"] != "reconciled":
        say(_halo_text(document["loaded"], document["marked"]))
    say(f"warehouse: {document['warehouse']}")
    if document["findings"]:
        print_table(["finding", "count"], document["findings"].items())
    else:
        say("no findings")
    _print_changes(document)
    if document["reports"]:
        print("reports:")
        for file in document["reports"]:
            print(f"  {file}")
    if document["status"] == "awaiting_approval" and document["blocking"]:
        say(f"{document['blocking']} findings block: the month is loaded but not marked as billed. Look at them with")
        print(f"  csp-billing findings --run {document['run_id']}")
        say("and, when they are accepted, approve and mark it with")
        print(f"  csp-billing approve {document['run_id']} --by NAME")
        print(f"  csp-billing mark-billed {document['run_id']}")


def print_explanation(document: dict[str, Any]) -> None:
    """Print why a line was judged as it was."""
    line = document["line"]
    say(f"line {document['line_id']} of run {document['run_id']}, {document['source']}")
    say(f"{line['customer_name']}: {line['sku_name']}, {line['charge_type']} {line['charge_start_on']} to "
          f"{line['charge_end_on'] or 'no end'}, invoice {line['invoice_number'] or 'none'}")  # fmt: skip
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
    for finding in document["findings"]:
        say(f"{finding['code']} ({finding['severity']}): {finding['message']}")
        if finding["waived_by"]:
            say(f"  waived by {finding['waived_by']} until {finding['waived_until']}: {finding['waiver_reason']}")
    if not document["findings"]:
        say("no findings")
    for posting in document["halopsa"]:
        say(f"HaloPSA {posting['halo_url']}: {posting['state']}, id {posting['halo_id'] or 'not known'}")


def print_pruned(document: dict[str, Any]) -> None:
    """Print what `landing prune` removed, or would remove, and why the other copies are kept."""
    removed, left_over = document["removed"], document["left_over"]
    if removed:
        print_table(["periods", "file", "bytes", "place"], [
            [", ".join(one["periods"]), one["file"], one["bytes"], one["place"]] for one in removed
        ])  # fmt: skip
    would = "would be " if document["dry_run"] else ""
    size = sum(one["bytes"] for one in removed)
    say(f"{len(removed)} copies of {size:,} bytes {would}removed from {document['zone']}")
    for path in left_over:
        say(f"left over, {would}removed: {path}")
    for reason, count in document["kept"].items():
        say(f"{count} kept: {reason}")


def _print_changes(document: dict[str, Any]) -> None:
    """What is new, gone or changed since the period's last run."""
    changes = document["changes"]
    if not changes:
        return
    told = [
        f"{count} {what} {change}" for what, counts in changes.items() for change, count in counts.items()
    ]
    say("since the last run of the period: " + ", ".join(told))
    rows = [[one["change"], one["what"], *(one[name] for name in _CHANGED)] for one in document["changed"]]
    print_table(["change", "what", *_CHANGED], rows)
    if sum(count for counts in changes.values() for count in counts.values()) <= len(rows):
        return
    say("and more:")
    print(f"  csp-billing warehouse query \"select * from out_period_changes where run_id = '{document['run_id']}'\"")


def _halo_text(loaded: dict[str, int], marked: dict[str, int]) -> str:
    if not any(loaded.values()) and not any(marked.values()):
        return "HaloPSA has everything already: nothing was posted, nothing was marked"
    posted, billed = (", ".join(f"{count} {name}" for name, count in counts.items()) for counts in (loaded, marked))
    return f"newly in HaloPSA: {posted}; newly marked as billed: {billed}"
