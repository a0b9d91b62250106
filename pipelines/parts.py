"""What becomes of one part of a file, whoever works on it: load, take the period's lines, judge them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from connectors.exports.reader import LoadPart, PartNote
from connectors.warehouse.period_lines import LinePreparer, PreparedLines
from pipelines.scope import Scope
from transforms.digests import TableDigest
from transforms.judging import PROVENANCE, Judge
from transforms.tally import Tally

#: Gives a part that is ready to be written; any thread may call it, once.
GivePart = Callable[[], "PreparedPart"]

#: Gives those of some rows, of a kind and a file's place, that are of the period, and how many are of which period.
OwnLines = Callable[[pa.Table, str, int], tuple[pa.Table, Counter[str | None]]]


@dataclass(frozen=True)
class PartReport:
    """What a part leaves besides rows; small enough to be sent around.

    Attributes:
        place: of its file among the period's files.
        kind: `invoice_recon` or `daily_usage`.
        note: what its file's reader counts.
        months: how many rows are of which period.
        delivered: how many are of the run's period, in scope or not.
        findings: rows of the findings table without run_id and period.
        tally: what its lines add to the whole.
    """

    place: int
    kind: str
    note: PartNote
    months: Counter[str | None]
    delivered: int
    findings: pa.Table
    tally: Tally


class PreparedPart(NamedTuple):
    """A part that is ready to be written, with the digest of its judged lines."""

    report: PartReport
    lines: PreparedLines
    digest: TableDigest


@dataclass(frozen=True)
class JudgedPart:
    """A part with its rows.

    Attributes:
        report: the rest of it.
        rows: the period's lines as delivered, with their identity, as far as the run may need them (see `Judged`).
        lines: the judged lines that are in scope, without run_id and period.
    """

    report: PartReport
    rows: pa.Table
    lines: pa.Table

    def prepared(self, prepare: LinePreparer) -> PreparedPart:
        """The part, ready to be written."""
        digest = TableDigest()
        digest.add(self.lines.drop_columns(list(PROVENANCE)))
        return PreparedPart(self.report, prepare(self.report.kind, self.rows, self.lines), digest)


@dataclass(frozen=True)
class PartJudge:
    """Works on parts of a run; threads may share it, and it can be sent to another process."""

    judge: Judge
    scope: Scope

    def __call__(self, load: LoadPart, kind: str, place: int, own_lines: OwnLines) -> JudgedPart:
        """Load and judge a part of the file at this place.

        Raises:
            InputError: its rows cannot be read.
            UnknownInvoicesError: as `own_lines` does.
        """
        part = load()
        own, months = own_lines(part.rows, kind, place)
        judged = self.judge.judge(own, kind, place, self.scope.asked(own))
        report = PartReport(place, kind, part.told(), months, own.num_rows, judged.findings, judged.tally)
        return JudgedPart(report, judged.rows, judged.lines)
