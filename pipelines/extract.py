"""Extract: what a folder of exports holds of one billing period, and what is known before its lines are read."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.exports.delivery import Delivery, Export, SourceFile, open_delivery
from connectors.exports.landing import check_unchanged, land
from connectors.exports.reader import read_whole, rejected_schema
from connectors.exports.zone import check_writable, open_zone
from connectors.landed_versions import version_folder
from connectors.warehouse.customers import read_clients
from connectors.warehouse.engine import open_warehouse
from connectors.warehouse.period_lines import LINE_KINDS
from connectors.warehouse.sources import has_period, read_priced_rows
from pipelines.progress import tell_progress
from pipelines.settings import Settings
from pipelines.threads import in_order
from transforms.addresses import is_url, local_path, masked, place_below
from transforms.errors import InputError, SettingsError
from transforms.line_identity import KEY_COLUMNS, SIGN_COLUMN, charge_keys
from transforms.membership import Membership, UnknownInvoicesError
from transforms.periods import Months, invoice_periods, month_before
from transforms.price_lists import compact
from transforms.shown import one_line
from transforms.tables import EXPORT_TABLES, QUARANTINE, RUN_FILES, SOURCE_FILES
from transforms.texts import is_one_of
from transforms.versions import SURVEYED, Selection, Survey, delivery_keys, latest_documents, select_lines

#: A folder with thousands of files that are no exports must not bury what else a run has to say.
_MOST_SKIPPED_TOLD = 20
#: How many copies are sent to a store's landing zone at a time.
UPLOADS_AT_ONCE = 4


@dataclass
class Extraction:
    """A folder of exports as far as it is read before the lines are.

    Attributes:
        period: YYYY-MM.
        delivery: the exports.
        files: those that were read as a whole; those with lines join them when these are read.
        documents: every invoice document that counts, of all periods.
        invoices: the period's, columns of the invoices table.
        prices: rows of the price lists in this folder.
        price_lists: what lines are priced by of every list ever loaded.
        mapped_customers: tenants (customer ids in lower case) that a HaloPSA client is known for.
        has_previous: whether the period before was reconciled.
        rejected: rows in quarantine, without period; those of lines join them when these are read.
    """

    period: str
    delivery: Delivery
    documents: pa.Table
    prices: pa.Table
    price_lists: pa.Table
    mapped_customers: frozenset[str]
    has_previous: bool
    files: dict[int, SourceFile]
    rejected: list[pa.Table]
    _surveys: dict[str, dict[int, Survey]] = field(default_factory=dict)
    _selections: dict[str, Selection] = field(default_factory=dict)
    _periods: dict[str, str] = field(default_factory=dict)
    _rows: dict[str, Counter[str | None]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def invoices(self) -> pa.Table:
        """The period's invoice documents, columns of the invoices table."""
        periods = self._known_periods(())
        numbers = [number for number, period in periods.items() if period == self.period]
        own = self.documents.filter(pa.array(is_one_of(self.documents.column("invoice_number"), numbers)))
        place = own.column_names.index("period")
        return own.set_column(place, own.schema.field("period"), pa.repeat(self.period, own.num_rows))

    @property
    def notices(self) -> list[str]:
        """Sentences the user ought to see: files left out or skipped."""
        skipped = [one_line(f"{item.path} is left out: {item.problem or 'it is not a partner export'}")
                   for item in self.delivery.skipped[:_MOST_SKIPPED_TOLD]]  # fmt: skip
        if more := len(self.delivery.skipped) - len(skipped):
            skipped.append(f"{more:,} more files are left out: `csp-billing identify` says what each one is")
        return skipped + [notice for kind in LINE_KINDS if kind in self._selections
                          for notice in self._selections[kind].notices]  # fmt: skip

    @property
    def names(self) -> list[tuple[str, str]]:
        """SHA-256 and name of each export, by its place."""
        return [(export.content.file_sha256, export.content.source_file) for export in self.delivery.exports]

    def own_lines(self, rows: pa.Table, kind: str, place: int) -> tuple[pa.Table, Counter[str | None]]:
        """The lines of a file that are of the period and count, and how many are of which period."""
        try:
            return self.membership(kind).own_lines(rows, kind, place)
        except UnknownInvoicesError as error:
            return self.membership(kind, error.keys).own_lines(rows, kind, place)

    def membership(self, kind: str, keys: Sequence[str | None] = ()) -> Membership:
        """What tells which lines of a kind are of the period and count, once these invoice keys are known.

        Where several files of a kind are delivered, or lines have no invoice document, all files of that kind are
        looked through before, once: which of several versions counts, and which month is most common, no part tells.
        """
        with self._lock:
            self._known_periods(keys, kind)
            selection = self._selection(kind)
            return Membership(self.period, self._periods, selection, kind in self._surveys)

    def count_rows(self, source_file: str, months: Counter[str | None]) -> None:
        """Take note of how many rows of a file are of which period, for the rows of it that cannot be read."""
        if months:
            self._rows.setdefault(source_file, Counter()).update(months)

    def rejected_of_period(self) -> pa.Table:
        """The period's rows in quarantine: by their invoice, else by their file's other rows, else this run's."""
        periods = self._known_periods(())
        kept = []
        for row in pa.concat_tables([rejected_schema().empty_table(), *self.rejected]).to_pylist():
            common = self._rows.get(row["source_file"])
            own = periods.get(row["invoice_number"] or "") or (common.most_common(1)[0][0] if common else self.period)
            if own == self.period:
                kept.append({**row, "period": self.period})
        return pa.Table.from_pylist(kept, QUARANTINE.schema)

    def periods(self) -> list[str]:
        """The periods that the folder holds something of."""
        found = {*self._known_periods(()).values(), *(period for rows in self._rows.values() for period in rows)}
        return sorted(period for period in found if period)

    @contextmanager
    def landing(self, location: str) -> Iterator[Callable[[], pa.Table]]:
        """Keep an untouched copy of every file in the landing zone at a path or URL, beside other work.

        Gives what waits for the copies and returns the files as rows of the source files table.
        """
        zone = open_zone(location)
        zone.reach()
        contents = {export.content.path: export.content for export in self.delivery.exports}
        # A store takes long to answer; a disk is no faster for being asked twice at once.
        with ThreadPoolExecutor(UPLOADS_AT_ONCE if is_url(location) else 1) as pool:
            copies = {path: pool.submit(land, content, zone) for path, content in contents.items()}
            try:
                yield lambda: self._landed(
                    {contents[path].file_sha256: copy.result() for path, copy in copies.items()}
                )
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _landed(self, places: Mapping[str, str]) -> pa.Table:
        """The files, which are read by now, as rows of the source files table."""
        for export in self.delivery.exports:
            check_unchanged(export.content)
        now = datetime.now(UTC)
        rows = [
            dict(
                zip(
                    SOURCE_FILES.names,
                    (file.file_sha256, file.source_file, file.kind, file.row_count, file.rejected_count,
                     file.byte_count, places[file.file_sha256], now, None),
                    strict=True,
                )
            )
            for _, file in sorted(self.files.items())
        ]  # fmt: skip
        return pa.Table.from_pylist(rows, SOURCE_FILES.schema)

    def run_files(self, run_id: str) -> pa.Table:
        """The files as rows of the run files table."""
        rows = [
            {"run_id": run_id, "file_sha256": file.file_sha256, "source_file": file.source_file, "kind": file.kind}
            for _, file in sorted(self.files.items())
        ]
        return pa.Table.from_pylist(rows, RUN_FILES.schema)

    def _known_periods(self, keys: Sequence[str | None], kind: str = LINE_KINDS[0]) -> Mapping[str, str]:
        """Period by invoice key; surveys the lines when one of the keys is not known."""
        with self._lock:
            if any(key not in self._periods for key in keys):
                self._survey_up_to(kind)
            elif not self._periods:
                self._find_periods()
            return self._periods

    def _survey_up_to(self, kind: str) -> None:
        """Look through the lines of a kind, and first through those that decide before them which month is whose."""
        for each in LINE_KINDS[: LINE_KINDS.index(kind) + 1]:
            self._survey(each)
        self._find_periods()

    def _find_periods(self) -> None:
        self._periods = invoice_periods(self.documents, *(self._months(each) for each in LINE_KINDS))

    def _months(self, kind: str) -> Months:
        months: dict[str, Counter[str]] = {}
        for survey in self._surveys.get(kind, {}).values():
            for invoice, counts in survey.months.items():
                months.setdefault(invoice, Counter()).update(counts)
        return months

    def _selection(self, kind: str) -> Selection:
        with self._lock:
            if kind not in self._selections:
                # One file without unbilled lines has no versions.
                exports = self.delivery.of_kind(kind)
                if len(exports) > 1 and kind not in self._surveys:
                    self._survey_up_to(kind)
                self._selections[kind] = self._select(kind) if kind in self._surveys else Selection()
            return self._selections[kind]

    def _select(self, kind: str) -> Selection:
        numbers, totals = (self.documents.column(name).to_pylist() for name in ("invoice_number", "total_charges"))
        return select_lines(
            self._surveys[kind], kind, self._periods, self.period, dict(zip(numbers, totals, strict=True)),
            lambda place, key: self._charges_of(kind, place, key),
        )  # fmt: skip

    def _survey(self, kind: str) -> None:
        if kind in self._surveys:
            return
        self._surveys[kind] = {}
        self._selections.pop(kind, None)
        for place, export in self.delivery.of_kind(kind).items():
            content = export.content
            survey = Survey(content.source_file, content.modified_at, version_folder(Path(content.shown)))
            looked_at = 0
            for part in in_order(export.reader().parts((*SURVEYED[kind], "source_file"))):
                survey.add(part.rows, kind)
                looked_at += part.rows.num_rows
                tell_progress("looking through lines", looked_at, export.about_rows())
            self._surveys[kind][place] = survey

    def _charges_of(self, kind: str, place: int, key: str) -> np.ndarray[Any, Any]:
        columns = dict.fromkeys((*KEY_COLUMNS[kind], SIGN_COLUMN[kind], *SURVEYED[kind]))
        charges = [np.zeros(0, dtype=np.uint64)]
        for part in in_order(self.delivery.exports[place].reader().parts(tuple(columns))):
            own = part.rows.filter(pa.array(is_one_of(delivery_keys(part.rows, kind), [key])))
            charges.append(np.unique(charge_keys(own, kind)[0]))
        return np.unique(np.concatenate(charges))


def extract(settings: Settings, period: str) -> Extraction:
    """Open a folder of exports and read what is needed before its lines: invoices, price lists, what is stored.

    Raises:
        InputError: the folder or a file cannot be read, or holds nothing of that period.
        SettingsError, RemoteError: a store denies access or fails; the landing zone lies among the exports or cannot
            be written.
    """
    _check_apart(settings)
    # Before anything is copied from a store, read or written: the copies are made beside all that.
    check_writable(settings.landing_location)
    tell_progress("looking through the exports")
    delivery = open_delivery(settings.exports, settings.mirror, tell_progress)
    files: dict[int, SourceFile] = {}
    rejected: list[pa.Table] = []
    documents = _read(delivery, "invoices", files, rejected)
    tell_progress("reading price lists")
    delivered_at = {export.content.source_file: export.content.modified_at for export in delivery.exports}
    prices = _read(delivery, "price_list", files, rejected)
    with open_warehouse(settings.warehouse).read() as connection:
        shas = prices.column("file_sha256").unique().to_pylist()
        known = read_priced_rows(connection, shas)
        has_previous = has_period(connection, "invoice_recon", month_before(period))
        mapped = frozenset(read_clients(connection))
    return Extraction(
        period,
        delivery,
        latest_documents(documents, delivered_at),
        prices,
        pa.concat_tables([known, compact(prices)]),
        mapped,
        has_previous,
        files,
        rejected,
    )


def _check_apart(settings: Settings) -> None:
    """Refuse a landing zone that lies among the exports: each copy would be delivered once more."""
    zone, exports = settings.landing_location, settings.exports
    if is_url(zone) and is_url(exports):
        place = place_below(masked(zone), masked(exports))
    elif is_url(zone) or is_url(exports):
        return
    else:
        folder, parent = Path(local_path(zone)).resolve(), Path(local_path(exports)).resolve()
        place = folder.relative_to(parent).as_posix() if folder.is_relative_to(parent) else None
    # What is hidden does not count as delivered.
    if place is not None and not any(part.startswith(".") for part in place.split("/") if part != "."):
        raise SettingsError(
            f"CSP_BILLING_LANDING: {masked(zone)} lies in the exports, {masked(exports)}: its copies would be read as "
            "exports; name a place beside them"
        )


def _read(delivery: Delivery, kind: str, files: dict[int, SourceFile], rejected: list[pa.Table]) -> pa.Table:
    """Read all exports of a kind as a whole."""
    tables = [EXPORT_TABLES[kind].schema.empty_table()]
    for place, export in delivery.of_kind(kind).items():
        reader = export.reader()
        rows, refused = read_whole(reader)
        files[place] = export.file(reader)
        rejected.append(refused)
        tables.append(_conformed(rows, kind))
    return pa.concat_tables(tables)


def _conformed(rows: pa.Table, kind: str) -> pa.Table:
    """Rows in the table's own types; the period, which a run adds, is left empty."""
    if "period" in EXPORT_TABLES[kind].names:
        rows = rows.append_column("period", pa.repeat("", rows.num_rows))
    return EXPORT_TABLES[kind].conform(rows)


def nothing_found(exports: str, extraction: Extraction) -> InputError:
    """What to say when a folder has nothing of the period."""
    exports = masked(exports)
    others = [period for period in extraction.periods() if period != extraction.period]
    if others:
        return InputError(
            f"{exports} holds nothing of period {extraction.period}; it holds {', '.join(others)}: choose one with "
            "--period"
        )
    if not extraction.delivery.exports:
        return InputError(
            f"{exports} holds no partner export; put the month's files there or name the folder with --exports"
        )
    kinds = ", ".join(sorted({export.kind for export in extraction.delivery.exports}))
    return InputError(f"{exports} holds no invoice and no line, only {kinds}")


def line_exports(delivery: Delivery) -> list[tuple[int, Export]]:
    """The exports that hold lines, by place, reconciliation before usage."""
    return [(place, export) for kind in LINE_KINDS for place, export in delivery.of_kind(kind).items()]


def about_rows(exports: Sequence[tuple[int, Export]]) -> int:
    """About how many rows these exports have together; 0 where one does not tell before it is read."""
    counts = [export.about_rows() for _, export in exports]
    return sum(counts) if all(counts) else 0
