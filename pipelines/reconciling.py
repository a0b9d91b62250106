"""Reconcile a period and store it: its lines part by part, in one transaction, in memory that does not grow with it."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from connectors.exports.delivery import Export
from connectors.exports.reader import ExportReader
from connectors.reports.amounts import counted, verb
from connectors.spill import FileRecords
from connectors.warehouse.changes import read_changes
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.period_lines import PeriodLines, stream_period
from connectors.warehouse.runs import after_all_runs, read_lines, write_run, writing_run
from connectors.warehouse.sources import read_invoices, write_documents
from pipelines.engines import Engine, open_engine
from pipelines.extract import Extraction, about_rows, line_exports, nothing_found
from pipelines.parts import PartJudge
from pipelines.progress import tell_progress
from pipelines.run_summary import RunSummary
from pipelines.scope import Scope
from pipelines.settings import Settings
from pipelines.telemetry import learn
from pipelines.threads import in_order
from pipelines.version import code_version
from transforms.categories import categorise
from transforms.digests import TableDigest, combined_digest
from transforms.documents import voided_invoices, without_voided
from transforms.errors import InputError
from transforms.findings import count_codes
from transforms.judging import PROVENANCE, Judge
from transforms.line_identity import Numbered
from transforms.periods import month_before
from transforms.policy import Policy
from transforms.price_lists import PriceLists
from transforms.pricing import Pricer
from transforms.reconcile import conclude, renumbered
from transforms.standing import PREVIOUS, SEAT_COLUMNS, seat_records
from transforms.tally import Total
from transforms.texts import values_and_codes


def reconcile(
    settings: Settings, extraction: Extraction, policy: Policy, scope: Scope, started_at: datetime
) -> RunSummary:
    """Judge the lines of a period and write the run in one transaction; an ad hoc run writes only its results.

    Raises:
        InputError: a file cannot be read, or there is nothing of the period, or nothing in scope.
    """
    warehouse = open_warehouse(settings.warehouse)
    run_id = new_run_id(extraction.period, started_at)
    learn(run_id=run_id)
    with (
        open_engine(settings, run_id, line_exports(extraction.delivery)) as engine,
        # First: while a run is written, no copy is removed that it finds in the landing zone.
        writing_run(warehouse) as connection,
        extraction.landing(settings.landing_location) as landed,
    ):
        run = _Run(connection, run_id, extraction, policy, scope, engine)
        run.judge_lines()
        if not run.delivered_count and not extraction.invoices.num_rows and not run.rejected.num_rows:
            raise nothing_found(settings.exports, extraction)
        if scope.is_full:
            write_documents(connection, extraction.invoices, extraction.prices, run.rejected)
        findings, tieout = run.conclude()
        tell_progress("writing the run")
        invoice_count = run.count_invoices(tieout)
        blocking = findings.column("severity").to_pylist().count("block")
        began = after_all_runs(connection, started_at)
        row = {
            "run_id": run_id,
            "period": extraction.period,
            "status": "reconciled",
            "scope": scope.to_json(),
            "started_at": began,
            "finished_at": max(began, datetime.now(UTC)),
            "code_version": code_version(),
            "policy_digest": policy.digest,
            "policy": policy.to_json(),
            "content_digest": run.content_digest(findings),
            "line_count": run.line_count,
            "invoice_count": invoice_count,
            "blocking_count": blocking,
        }
        write_run(connection, row, landed(), extraction.run_files(run_id), run.of_run(findings), run.of_run(tieout))
        changes, changed = read_changes(connection, run_id) if scope.is_full else ({}, ())
    return RunSummary(
        run_id, extraction.period, "reconciled", run.line_count, invoice_count, count_codes(findings),
        blocking, warehouse=warehouse.url_masked, notices=(*extraction.notices, *run.notices()), changes=changes,
        changed=changed,
    )  # fmt: skip


def new_run_id(period: str, started_at: datetime) -> str:
    """A run's id: its period, when it started, and four random digits for two runs of one second."""
    return f"{period}-{started_at:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


class _Run:
    """One run while its lines are judged and written."""

    def __init__(
        self, connection: sa.Connection, run_id: str, extraction: Extraction, policy: Policy, scope: Scope,
        engine: Engine,
    ) -> None:  # fmt: skip
        self.rejected = extraction.rejected_of_period()
        self.line_count = 0
        self.delivered_count = 0
        self._run_id = run_id
        self._extraction = extraction
        self._policy = policy
        self._scope = scope
        self._connection = connection
        self._engine = engine
        self._lines = PeriodLines(connection, run_id, extraction.period, keeps_sources=scope.is_full)
        self._total = Total(FileRecords)
        self._findings: list[pa.Table] = []
        self._digest = TableDigest()
        self._previous_files: list[tuple[str, str]] = []
        shas = frozenset(extraction.prices.column("file_sha256").unique().to_pylist())
        lists = PriceLists(extraction.price_lists, extraction.period, shas)
        pricer = Pricer(lists, policy)
        self._judge = PartJudge(
            Judge(extraction.period, policy, extraction.invoices, pricer, extraction.has_previous), scope
        )

    def judge_lines(self) -> None:
        """Judge and write all lines of the period."""
        if self._extraction.has_previous:
            self._add_previous()
        exports = line_exports(self._extraction.delivery)
        read, total = 0, about_rows(exports)
        tell_progress("judging lines", read, total)
        waiting = deque((place, export, export.reader()) for place, export in exports)
        parts = self._engine.parts(exports, self._extraction, self._judge, self._lines.prepare)
        for report, lines, digest in in_order(parts, self._engine.threads):
            while waiting[0][0] != report.place:
                self._finish(*waiting.popleft())
            _, export, reader = waiting[0]
            reader.count(report.note)
            self._extraction.count_rows(export.content.source_file, report.months)
            self._extraction.rejected.append(report.note.rejected)
            self.delivered_count += report.delivered
            self.line_count += lines.judged
            self._findings.append(report.findings)
            self._total.add(report.tally)
            self._digest.merge(digest)
            self._lines.write(lines)
            read += report.note.row_count
            tell_progress("judging lines", read, total)
        while waiting:
            self._finish(*waiting.popleft())
        self._lines.end()
        self.rejected = self._extraction.rejected_of_period()

    def conclude(self) -> tuple[pa.Table, pa.Table]:
        """Findings and invoice tie-out of the run, without run_id and period.

        Raises:
            InputError: nothing is in scope.
        """
        tell_progress("concluding")
        kinds = [export.kind for export in self._extraction.delivery.exports]
        files = self._extraction.names
        given: dict[str, list[pa.Table]] = {}
        for numbered in renumbered(self._total, kinds, files, self._lines.fetch):
            given.setdefault(numbered.kind, []).append(numbered.lines)
        # All at once, because each change reads the lines of the whole period.
        for kind, parts in given.items():
            self._lines.renumber(Numbered(kind, pa.concat_tables(parts)))
        conclusion = conclude(
            self._total,
            period=self._extraction.period,
            policy=self._policy,
            invoices=self._extraction.invoices,
            rejected=self.rejected,
            files=files,
            previous_files=self._previous_files,
            mapped_customers=self._extraction.mapped_customers,
            fetch=self._lines.fetch,
        )
        own = pa.concat_tables([conclusion.findings, *self._findings])
        if self._scope.customers:
            known = ((tenant, name) for tenant, (_, name) in self._total.customers.items() if tenant)
            self._scope.check_customers(sorted(known, key=lambda one: (one[1].casefold(), one[0])))
        findings = self._scope.limit_findings(_renamed(own, [part for parts in given.values() for part in parts]))
        tieout = self._scope.limit_tieout(conclusion.tieout)
        if self._scope.codes:
            self.line_count = self._lines.keep_lines_with_findings(findings.column("line_id").combine_chunks())
        elif not self._scope.is_full and not (self.line_count or findings.num_rows or tieout.num_rows):
            raise InputError(
                f"period {self._extraction.period} has no line of these customers and invoices: check --customer and "
                "--invoice; customers are named by their tenant id, which `csp-billing customers list` has"
            )
        return findings, tieout

    def count_invoices(self, tieout: pa.Table) -> int:
        """How many documents are in scope: of a part of a period those of its lines and of its tie-out."""
        documents = self._extraction.invoices
        if self._scope.is_full:
            return int(documents.num_rows)
        own = self._lines.invoices().union(tieout.column("invoice_number").to_pylist())
        return sum(number in own for number in documents.column("invoice_number").to_pylist())

    def content_digest(self, findings: pa.Table) -> str:
        """Digest of what was concluded; where the rows were delivered does not count."""
        digest = self._digest
        if self._scope.codes:
            digest = TableDigest()
            digest.add(read_lines(self._connection, self._run_id).drop_columns(["run_id", "period", *PROVENANCE]))
        found = TableDigest()
        found.add(findings.drop_columns(["source_file", "source_row", "message"]))
        return combined_digest(digest.hexdigest(), found.hexdigest())

    def notices(self) -> list[str]:
        """Sentences about the lines that the user ought to see."""
        return [
            f"{counted(count, 'line')} {verb('have', count)} the charge type {name}, which is not known: checked like "
            "other charges"
            for name, count in self._total.charge_types.items()
        ]

    def of_run(self, rows: pa.Table) -> pa.Table:
        """Rows with their run and period."""
        with_run = rows.append_column("run_id", pa.repeat(pa.scalar(self._run_id), rows.num_rows))
        return with_run.append_column("period", pa.repeat(pa.scalar(self._extraction.period), rows.num_rows))

    def _finish(self, place: int, export: Export, reader: ExportReader) -> None:
        """Conclude what only a whole file tells."""
        self._extraction.rejected.append(reader.finish())
        self._extraction.files[place] = export.file(reader)

    def _add_previous(self) -> None:
        """The records of the previous period's lines that stand."""
        before = month_before(self._extraction.period)
        voided = voided_invoices(read_invoices(self._connection, before))
        places: dict[tuple[str, str], int] = {}
        for batch in stream_period(self._connection, "invoice_recon", before, SEAT_COLUMNS):
            rows = without_voided(pa.Table.from_batches([batch]), voided)
            files = [values_and_codes(rows.column(name)) for name in ("file_sha256", "source_file")]
            pairs = list(zip(*(np.asarray(values.to_pylist(), dtype=object)[codes] for values, codes in files),
                             strict=True))  # fmt: skip
            for pair in dict.fromkeys(pairs):
                places.setdefault(pair, len(places))
            own = np.array([places[pair] for pair in pairs], dtype=np.uint32) + PREVIOUS
            self._total.seats.add(seat_records(rows, categorise(rows), own))
        self._previous_files = list(places)


def _renamed(findings: pa.Table, numbered: Sequence[pa.Table]) -> pa.Table:
    """Findings with the identities that lines got after they were judged."""
    if not numbered or not findings.num_rows:
        return findings
    rows = findings.column("source_row").combine_chunks().unique()
    changed: dict[tuple[str, int], str] = {}
    for lines in numbered:
        # One line in a hundred may have another identity, and one in many thousands a finding.
        named = lines.filter(pc.is_in(lines.column("source_row"), value_set=rows))
        places = zip(named.column("source_file").to_pylist(), named.column("source_row").to_pylist(), strict=True)
        changed.update(zip(places, named.column("line_id").to_pylist(), strict=True))
    places = zip(findings.column("source_file").to_pylist(), findings.column("source_row").to_pylist(), strict=True)
    known = findings.column("line_id").to_pylist()
    ids = [changed.get(place, line_id) if line_id else line_id for place, line_id in zip(places, known, strict=True)]
    at = findings.column_names.index("line_id")
    return findings.set_column(at, "line_id", pa.array(ids, pa.string()))
