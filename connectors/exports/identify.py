"""Say what a file is, by its content."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from connectors.exports.batches import Source
from connectors.exports.containers import Content, Form, open_contents
from connectors.exports.delivered import Delivered, delivered_file
from connectors.exports.kinds import UNKNOWN, Recognition, missing_sentence, recognise
from connectors.exports.opening import open_source
from connectors.exports.reader import missing_columns
from transforms.columns import Kind
from transforms.dates import parse_dates
from transforms.errors import InputError
from transforms.headers import match_headers
from transforms.normalise import cleaned
from transforms.periods import month_before
from transforms.shown import printable
from transforms.tables import EXPORT_TABLES


@dataclass(frozen=True)
class Identity:
    """What a file, or a member of an archive (`archive.zip!member.csv`), is.

    Attributes:
        path: the path as it was given; of a store's object its URL, masked.
        kind: invoice_recon, daily_usage, price_list, invoices or unknown.
        rows: how many records it holds, those that cannot be read included; None for an unknown file.
        period: YYYY-MM; of lines the most common month, of invoices their billing period if all have the same one.
        invoices: invoice numbers in it, sorted.
        currency: the billing currency, or the price list's, if there is only one.
        sha256: of the file as delivered, for a member of the archive.
        problem: why it cannot be used, in a sentence; None when nothing is wrong.
    """

    path: str
    kind: str
    rows: int | None
    period: str | None
    invoices: list[str]
    currency: str | None
    sha256: str | None
    problem: str | None


_CURRENCY = {
    "invoice_recon": "currency", "daily_usage": "billing_currency", "price_list": "currency",
    "invoices": "currency_code",
}  # fmt: skip
_PERIOD_DATES = {
    "invoice_recon": ("charge_start_date",),
    "daily_usage": ("usage_date",),
    "price_list": (),
    "invoices": ("billing_period_start_date", "invoice_date"),
}


def identify(file: Path | Delivered) -> list[Identity]:
    """Say what a file is: one identity, or one for each member of a ZIP archive.

    A file that is damaged is `unknown` with the problem; nothing is raised for its content.

    Raises:
        InputError: there is no such file, or it is a folder.
    """
    if isinstance(file, Path):
        if file.is_dir():
            raise InputError(f"{file} is a folder: name the files in it")
        if not file.exists() and not file.is_symlink():
            raise InputError(f"{file} does not exist: check the path")
        file = delivered_file(file)
    try:
        contents = open_contents(file)
    except InputError as error:
        return [unknown(file.shown, None, _without_name(error, printable(file.name)))]
    return [_identify(content) for content in contents]


def unknown(path: str, sha256: str | None, problem: str | None) -> Identity:
    """The identity of a file that is no export."""
    return Identity(path, UNKNOWN, None, None, [], None, sha256, problem)


def shown_path(content: Content) -> str:
    """The content's path for display."""
    return f"{content.shown}!{content.member}" if content.member else content.shown


def not_an_export(content: Content, recognition: Recognition | None = None) -> Identity:
    """The identity of a content that holds no records of ours."""
    if recognition is not None:
        return unknown(shown_path(content), content.file_sha256, recognition.problem)
    remark = content.remark if content.form is Form.BROKEN else f"not an export: {content.remark}"
    return unknown(shown_path(content), content.file_sha256, remark.removeprefix(f"{content.source_file}: "))


def _identify(content: Content) -> Identity:
    if content.form in (Form.OTHER, Form.BROKEN):
        return not_an_export(content)
    try:
        source = open_source(content)
        recognition = recognise(source.names)
        if recognition.kind == UNKNOWN:
            return not_an_export(content, recognition)
        return _describe(content, source, recognition.kind)
    except InputError as error:
        return unknown(shown_path(content), content.file_sha256, _without_name(error, content.source_file))


def _without_name(error: InputError, name: str) -> str:
    return str(error).removeprefix(f"{name}: ")


def _describe(content: Content, source: Source, kind: str) -> Identity:
    """Read the few columns that say how much, when, and of what."""
    table = EXPORT_TABLES[kind]
    rows = 0
    invoices: set[str] = set()
    currencies: set[str] = set()
    months: Counter[str] = Counter()
    seen: dict[str, None] = {}
    for load in source.read(None if source.names_may_grow else _wanted(source, kind)):
        batch = load()
        rows += batch.texts.num_rows + len(batch.unreadable)
        seen.update(dict.fromkeys(batch.texts.column_names))
        found = match_headers(batch.texts.column_names, table).found
        for name, values in (("invoice_number", invoices), (_CURRENCY[kind], currencies)):
            for delivered in found.get(name, ()):
                values.update(cleaned(pc.unique(batch.texts.column(delivered)), table[name]).drop_null().to_pylist())
        months.update(_months(batch.texts, found, kind))
    names = tuple(seen) if source.names_may_grow else source.names
    if missing := missing_columns(names, table, source):
        raise InputError(missing_sentence(kind, missing))
    return Identity(
        path=shown_path(content),
        kind=kind,
        rows=rows,
        period=_period(months, kind),
        invoices=sorted(invoices),
        currency=next(iter(currencies)) if len(currencies) == 1 else None,
        sha256=content.file_sha256,
        problem=None,
    )


def _wanted(source: Source, kind: str) -> list[str]:
    found = match_headers(source.names, EXPORT_TABLES[kind]).found
    names = ("invoice_number", _CURRENCY[kind], *_PERIOD_DATES[kind])
    return [delivered for name in names for delivered in found.get(name, ())]


def _months(texts: pa.Table, found: dict[str, tuple[str, ...]], kind: str) -> Counter[str]:
    """How many rows each month has; of an invoice the month before its date when it has no billing period."""
    months: Counter[str] = Counter()
    columns = [(name, found[name][0]) for name in _PERIOD_DATES[kind] if name in found]
    rows = texts.select([delivered for _, delivered in columns])
    counted = rows.group_by(rows.column_names).aggregate([([], "count_all")]) if columns else None
    for row in counted.to_pylist() if counted is not None else ():
        for name, delivered in columns:
            if month := _month(row[delivered]):
                months[month_before(month) if name == "invoice_date" else month] += row["count_all"]
                break
    return months


def _month(text: str | None) -> str | None:
    days, _, _ = parse_dates(pa.array([text], pa.string()), Kind.DATE)
    day = days[0].as_py()
    return f"{day.year:04d}-{day.month:02d}" if day is not None else None


def _period(months: Counter[str], kind: str) -> str | None:
    if kind == "invoices" and len(months) > 1:
        return None
    return max(months, key=lambda month: (months[month], month), default=None)
