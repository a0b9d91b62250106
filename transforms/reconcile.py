"""The conclusion of one billing period: what only shows once all its lines are judged.

Pure: the same lines give the same result whatever their order and however they were split into files and parts. Only
which of two charges for the same days, ordered at the same time, is called the second one is told by their place in
the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from transforms.currency_checks import check_exchange_rates
from transforms.customer_checks import check_mapping
from transforms.findings import Finding, findings_table
from transforms.line_identity import Numbered, number_occurrences
from transforms.policy import Policy
from transforms.records import gathered, repeated_keys
from transforms.standing import Places, check_standing
from transforms.tally import Total
from transforms.tieout import tie_out
from transforms.usage_checks import Fetch, check_partner_earned_credit, check_usage, groups_apart


@dataclass(frozen=True)
class Conclusion:
    """What all lines of a period together conclude.

    Attributes:
        findings: rows of the findings table without run_id and period, besides those of single lines.
        tieout: rows of the invoice tie-out table without run_id and period.
    """

    findings: pa.Table
    tieout: pa.Table


def conclude(
    total: Total,
    *,
    period: str,
    policy: Policy,
    invoices: pa.Table,
    rejected: pa.Table,
    files: Sequence[tuple[str, str]],
    previous_files: Sequence[tuple[str, str]],
    mapped_customers: frozenset[str],
    fetch: Fetch,
) -> Conclusion:
    """Tie out the invoices, and check what is charged in all.

    Args:
        total: the tallies of all lines.
        period: YYYY-MM.
        policy: by what they are judged.
        invoices: the period's invoice documents.
        rejected: the period's rows in quarantine.
        files: SHA-256 and name of the files by place.
        previous_files: the same of the previous period's lines.
        mapped_customers: tenants (customer ids in lower case) that a HaloPSA client is known for.
        fetch: gives the stored lines, with their final identity, that equal given rows in their columns; those of the
            previous period by the kind `previous`.
    """
    tieout, findings = tie_out(total.sums, invoices, policy)
    findings += check_exchange_rates(total.rates, fetch)
    findings += check_standing(
        total.seats, files, previous_files, period, rejected.column("raw_text").to_pylist(), fetch
    )
    billed, used = total.billed, total.used
    apart = groups_apart(billed, used, total.invoices, total.meter_days)
    findings += check_usage(apart, billed, used, fetch)
    findings += _check_untold(total, files, fetch)
    findings += check_mapping(total.customers, mapped_customers)
    findings += _rejected(rejected)
    return Conclusion(findings_table(findings, policy), tieout)


def renumbered(
    total: Total, kinds: Sequence[str], files: Sequence[tuple[str, str]], fetch: Fetch
) -> Iterable[Numbered]:
    """The lines that share their charge with another one, with an identity of their own (see `number_occurrences`).

    Args:
        total: the tallies of all lines.
        kinds: kind of export of each file.
        files: SHA-256 and name of each file, in the same order.
        fetch: gives the stored lines that equal given rows in their columns.
    """
    names = np.array(kinds, dtype=object)
    for records in gathered(repeated_keys(total.charges)):
        for kind in sorted(set(kinds)):
            own = records[names[records["file"]] == kind]
            if len(own):
                lines = fetch(kind, Places.of(own).table(files))
                yield Numbered(kind, number_occurrences(lines, kind))


def _check_untold(total: Total, files: Sequence[tuple[str, str]], fetch: Fetch) -> list[Finding]:
    """PEC_MISSING of lines without a percentage in parts without any, where another part of their file has some."""
    findings: list[Finding] = []
    told = np.array(sorted(total.told_files), dtype=np.uint32)
    for own in gathered(records[np.isin(records["file"], told)] for records in total.untold.by_key()):
        usage = fetch("daily_usage", Places.of(own).table(files))
        findings += check_partner_earned_credit(usage, np.ones(usage.num_rows, dtype=np.bool_))
    return findings


def _rejected(rejected: pa.Table) -> list[Finding]:
    """ROW_REJECTED for each row in quarantine."""
    return [
        Finding(
            "ROW_REJECTED",
            f"{row['source_file']} row {row['source_row']}: {row['reason']}",
            row["invoice_number"],
            currency=row["currency"],
            source_file=row["source_file"],
            source_row=row["source_row"],
        )
        for row in rejected.to_pylist()
    ]
