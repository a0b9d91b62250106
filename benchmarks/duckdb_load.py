"""The whole month into a DuckDB file, for `benchmarks.duckdb_only load`: csp-billing's tables, as it has them. For
`check` the same typed rows, which are not kept.

The exports are read in parallel in their order, so that a row's place in the table tells its place in the file, and
`source_row` is filled in afterwards, which is far cheaper than numbering rows while reading. A line's id is a digest
of what the charge is for; lines that share one are told apart by their place.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb

from transforms.columns import Column, Kind, Table
from transforms.tables import DAILY_USAGE, EXPORT_TABLES, FINDINGS, INVOICE_RECON, INVOICES, LINES, PRICE_LIST

Rules = Callable[[duckdb.DuckDBPyConnection, str, str], None]
PERIOD, RUN = "2026-10", "2026-10-duckdb"

_KEYS = {
    "daily_usage": "invoice_number, lower(customer_id), lower(subscription_id), product_id, sku_id, availability_id, "
    "charge_type, usage_date, lower(meter_id), entitlement_id, lower(resource_uri), credit_type, benefit_id",
    "invoice_recon": "invoice_number, lower(customer_id), lower(subscription_id), order_id, product_id, sku_id, "
    "availability_id, charge_type, charge_start_date, charge_end_date, reference_id, meter_description, "
    "reservation_order_id, promotion_id, credit_reason_code, alternate_id, sign(subtotal)",
}
_INVOICE = "STRUCT(id VARCHAR, invoiceDate VARCHAR, billingPeriodStartDate VARCHAR, billingPeriodEndDate VARCHAR, " \
    "totalCharges VARCHAR, paidAmount VARCHAR, currencyCode VARCHAR, currencySymbol VARCHAR, documentType VARCHAR, " \
    "invoiceType VARCHAR, amendsOf VARCHAR, links JSON, attributes JSON)[]"  # fmt: skip

#: What `lines` takes from the computed lines, beside what it takes from the export.
_USAGE_LINES = """
insert into lines by name
select s.line_id, '{run}' as run_id, s.period, 'daily_usage' as source, s.invoice_number, s.customer_id,
    s.customer_name, s.subscription_id, s.product_id, s.sku_id, s.sku_name, s.charge_type,
    s.usage_date as charge_start_on, s.usage_date as charge_end_on, s.quantity, s.unit_price, s.effective_unit_price,
    a.price as list_unit_price, s.billing_pre_tax_total as subtotal_amount, s.billing_pre_tax_total as total_amount,
    s.billing_currency as currency, a.file_sha256 as price_file_sha256, a.source_file as price_source_file,
    a.ref as price_source_row, u.expected as expected_subtotal_amount, u.charge - u.expected as difference_amount,
    case when not u.unexplained then 'U' end as rounding_rule, s.source_file, s.source_row
from src_daily_usage s join used u on u.ref = s.source_row
    left join azure_rows a on u.metered and a.product = u.product and a.sku = u.sku and a.market = u.market
        and a.currency = u.pricing and a.meter = u.meter and a.price = u.price and u.day between a.first and a.last;
"""
_RECON_LINES = """
insert into lines by name
with metered as (
    select b.rowid as line, min(a.ref) as row, min(a.price) as listed from billed b
        join azure a on a.product = b.product and a.sku = b.sku and a.market = b.market and a.currency = b.pricing
            and a.price = b.price and a.first <= b.charged_to and a.last >= b.charged_from
    where b.azure_priced group by all),
computed as (
    select b.*, coalesce(b.list_price, m.listed) as listed, coalesce(b.price_row, m.row) as listed_in,
        e.expected, e.nearest, e.fits,
        case when b.erp is not null then (2 * tens_billionth(b.erp::decimal(16, 4) * abs(b.units)::decimal(12, 3)
            * b.rate) * b.days + 100000000::hugeint * b.per_term_all * b.full_days)
            // (200000000::hugeint * b.per_term_all * b.full_days) * case when b.Subtotal < 0 then -1 else 1 end
            end::decimal(18, 0) * 0.01 as erp_amount
    from billed b left join explained e on e.line = b.rowid left join metered m on m.line = b.rowid)
select s.line_id, '{run}' as run_id, s.period, 'invoice_recon' as source, s.invoice_number, s.customer_id,
    s.customer_name, s.subscription_id, s.product_id, s.sku_id, s.sku_name, s.charge_type,
    s.charge_start_date as charge_start_on, s.charge_end_date as charge_end_on,
    coalesce(s.billable_quantity, s.quantity) as quantity, s.unit_price, s.effective_unit_price,
    c.listed as list_unit_price, c.erp_price as erp_unit_price, s.subtotal as subtotal_amount,
    s.tax_total as tax_amount, s.total as total_amount, s.currency, c.erp_amount,
    c.erp_amount - s.subtotal as margin_amount, c.segment, case when c.segment is not null then 'price' end
        as segment_source, p.file_sha256 as price_file_sha256, p.source_file as price_source_file,
    c.listed_in as price_source_row, coalesce(c.expected, s.subtotal) as expected_subtotal_amount,
    coalesce(s.subtotal - c.expected, 0) as difference_amount,
    coalesce(c.exact, case when c.fits then c.nearest end) as rounding_rule, s.source_file, s.source_row
from src_invoice_recon s join computed c on c.ref = s.source_row
    left join price_files p on c.listed_in is not null and p.is_licence = (c.price_row is not null);
"""
_FINDINGS = """
insert into findings by name
select '{run}' as run_id, '{period}' as period, f.code,
    case when f.code in ('PRICE_NOT_FOUND', 'PRICE_NOT_EFFECTIVE', 'MARGIN_BELOW_FLOOR', 'PEC_MISSING',
        'USAGE_MISMATCH') then 'warn' else 'block' end as severity,
    coalesce(l.invoice_number, f.inv) as invoice_number, l.customer_id, l.customer_name, l.subscription_id,
    l.product_id, l.sku_id, l.line_id, coalesce(l.expected_subtotal_amount, l.list_unit_price) as expected_amount,
    coalesce(l.subtotal_amount, l.unit_price) as actual_amount, l.difference_amount, l.currency,
    concat(f.code, ' in line ', l.line_id, ' of invoice ', f.inv) as message, l.source_file, l.source_row
from found f
    left join used u on f.source = 'daily_usage' and u.rowid = f.line
    left join billed b on f.source = 'invoice_recon' and b.rowid = f.line
    left join lines l on l.source = f.source and l.source_row = coalesce(u.ref, b.ref);
"""
#: What more is kept of computed lines for these tables.
_USAGE_DETAIL = (
    ", (EffectiveUnitPrice * Quantity * coalesce(PCToBCExchangeRate, 1))::decimal(38, 18) as expected"
)
_RECON_DETAIL = """case when is_priced then row.segment end as segment, row.ref as price_row, row.erp as erp, units,
    rate, days, full_days, per_term as per_term_all, per_cycle(row.price, per_term) as list_price,
    per_cycle(row.erp, per_term) as erp_price,"""
#: Divisions of money by whole numbers: of integers, because DuckDB divides decimals as binary fractions.
_MACROS = """
create macro tens_billionth(x) as (x::decimal(38, 10) * 10000000000::decimal(11, 0))::hugeint;
create macro per_cycle(price, cycles) as
    ((2 * tens_billionth(price) + cycles) // (2 * cycles))::decimal(20, 0) * 0.0000000001::decimal(10, 10);
"""


def load(connection: duckdb.DuckDBPyConnection, folder: Path, rules: Rules) -> None:
    """Fill the tables from a folder of exports and apply the rules to them."""
    connection.execute("set preserve_insertion_order = true")
    for kind, table in EXPORT_TABLES.items():
        connection.execute(_definition(table))
        for path in _files(folder, kind):
            _read(connection, path, kind, table)
    for table in (LINES, FINDINGS):
        connection.execute(_definition(table))
    _views(connection)
    connection.execute(_MACROS)
    connection.execute("set preserve_insertion_order = false")
    rules(connection, _USAGE_DETAIL, _RECON_DETAIL)
    connection.execute(
        "create temp table price_files as select file_sha256, source_file, count(billing_plan) > 0 as is_licence "
        "from src_price_list group by all; create temp table azure_rows as select * from azure, price_files "
        "where not is_licence"
    )
    for script in (_USAGE_LINES, _RECON_LINES, _FINDINGS):
        connection.execute(script.format(run=RUN, period=PERIOD))
    connection.execute("checkpoint")


def check(connection: duckdb.DuckDBPyConnection, folder: Path, rules: Rules) -> None:
    """Apply the rules to a folder of exports without keeping these, after checking them as csp-billing does.

    Every column is typed and rows that cannot be are put aside, each line gets its id, all count in a digest, and so do
    the files' bytes.
    """
    with ThreadPoolExecutor(1) as beside:
        digests = []
        for kind, table in EXPORT_TABLES.items():
            queries = [f"select {', '.join(f'null::{_sql_type(one.kind)} as {one.name}' for one in table.columns)} "
                       "where false"]  # fmt: skip
            for path in _files(folder, kind):
                digests.append(beside.submit(_sha256, path))
                queries.append(_typed(path, kind, table, "", "store_rejects = true"))
            connection.execute(f"create temp view {table.name} as {' union all '.join(queries)}")
        _views(connection, is_checked=True)
        rules(connection, "", "")
        everything = "(from used select ref union all from billed select ref)"
        connection.execute(f"select bit_xor(ref) from {everything}").fetchall()
        for digest in digests:
            digest.result()


def _files(folder: Path, kind: str) -> list[Path]:
    if kind == "price_list":
        others = ("daily_usage.csv", "invoice_recon.csv")
        return sorted(path for path in folder.glob("*.csv") if path.name not in others)
    path = folder / ("invoices.json" if kind == "invoices" else f"{kind}.csv")
    return [path] if path.exists() else []


def _sql_type(kind: Kind) -> str:
    if kind.is_decimal:
        return f"DECIMAL({kind.arrow_type.precision}, {kind.arrow_type.scale})"
    return {Kind.TEXT: "VARCHAR", Kind.INTEGER: "BIGINT", Kind.BOOLEAN: "BOOLEAN", Kind.DATE: "DATE",
            Kind.TIMESTAMP: "TIMESTAMPTZ"}[kind]  # fmt: skip


def _definition(table: Table) -> str:
    columns = ", ".join(f"{column.name} {_sql_type(column.kind)}" for column in table.columns)
    return f"create table {table.name} ({columns})"


def _read(connection: duckdb.DuckDBPyConnection, path: Path, kind: str, table: Table) -> None:
    """Read one file into its table."""
    sha256 = _sha256(path)
    before = "select count(*) from " + table.name
    already = connection.execute(before).fetchall()[0][0]
    connection.execute(f"insert into {table.name} {_typed(path, kind, table, sha256)}")
    header = 1 if kind == "invoices" else 2
    connection.execute(
        f"update {table.name} set source_row = rowid - {already} + {header} where file_sha256 = '{sha256}'"
    )
    if kind in _KEYS:
        connection.execute(
            f"update {table.name} t set line_id = left(md5(concat(t.line_id, d.place)), 24) from (select rowid as "
            "line, row_number() over (partition by line_id order by source_row) as place from (select rowid, line_id, "
            f"source_row from {table.name} where line_id in (select line_id from {table.name} group by line_id "
            "having count(*) > 1))) d where d.line = t.rowid and d.place > 1"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _typed(path: Path, kind: str, table: Table, sha256: str, *options: str) -> str:
    """The query of a file's rows in the columns of its table, without their numbers."""
    names, source = _source(path, kind, table, options)
    given = {
        "period": f"'{PERIOD}'", "file_sha256": f"'{sha256}'", "source_file": f"'{path.name}'",
        "line_id": f"left(md5(concat_ws('|', {_KEYS[kind]})), 24)" if kind in _KEYS else "null",
    }  # fmt: skip
    columns = {column.name: _expression(column, names) for column in table.columns if column.name not in given}
    inner = ", ".join(f"{expression} as {name}" for name, expression in columns.items())
    outer = ", ".join(f"{given.get(name, name)} as {name}" for name in table.names)
    return f"select {outer} from (select {inner} from {source})"


def _source(path: Path, kind: str, table: Table, options: Sequence[str]) -> tuple[dict[str, str], str]:
    """Delivered names by folded name, and the call that reads the file with its columns' own types."""
    if kind == "invoices":
        names = {name.split()[0].lower(): name.split()[0] for name in _INVOICE[7:-3].split(", ")}
        return names, f"(select item.* from (select unnest(items) as item from read_json('{path}', columns = " \
            f"{{items: '{_INVOICE}'}})))"  # fmt: skip
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = {name.lower(): name for name in next(csv.reader(file))}
    kinds = {source.lower(): column.kind for column in table.columns for source in column.sources}
    types = {name: _sql_type(kinds[folded]) for folded, name in names.items() if folded in kinds}
    columns = ", ".join(
        f"'{name}': '{'VARCHAR' if types.get(name) == 'TIMESTAMPTZ' else types.get(name, 'VARCHAR')}'"
        for name in names.values()
    )
    return names, (
        f"read_csv('{path}', auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', "
        f"dateformat = '%m/%d/%Y', columns = {{{columns}}}{''.join(f', {option}' for option in options)})"
    )


def _expression(column: Column, names: dict[str, str]) -> str:
    """A column of the table from the delivered columns."""
    found = next((names[source.lower()] for source in column.sources if source.lower() in names), None)
    if found is None:
        return f"null::{_sql_type(column.kind)}"
    if column.name == "sku_id":
        return f'case when strlen("{found}") < 4 then lpad(upper(trim("{found}")), 4, \'0\') else upper("{found}") end'
    if column.kind is Kind.TIMESTAMP:
        return f"(left(\"{found}\", 26) || 'Z')::timestamptz"
    return f'"{found}"::{_sql_type(column.kind)}'


def _views(connection: duckdb.DuckDBPyConnection, *, is_checked: bool = False) -> None:
    """The views that the rules read, on the tables, with numbers as wide as the measured months need.

    What tells a row is its place or, where it `is_checked`, a digest of all its values and its id.
    """
    narrow = {Kind.PRICE: "decimal(18, 10)", Kind.QUANTITY: "decimal(18, 10)", Kind.RATE: "decimal(12, 9)",
              Kind.AMOUNT: "decimal(18, 6)", Kind.USAGE_AMOUNT: "decimal(18, 10)"}  # fmt: skip
    for view, table in (("usage_in", DAILY_USAGE), ("recon_in", INVOICE_RECON)):
        columns = ", ".join(
            f"{column.name}::{'decimal(18, 8)' if column.name == 'unit_price' else narrow[column.kind]} "
            f"as {column.sources[0]}" if column.kind in narrow else f"{column.name} as {column.sources[0]}"
            for column in table.columns if column.sources
        )  # fmt: skip
        ref = f"hash({', '.join(table.names)})" if is_checked else "source_row"
        connection.execute(f"create temp view {view} as select {ref} as ref, {columns} from {table.name}")
    connection.execute(
        "create temp view price_in as select source_row as ref, product_id as ProductId, sku_id as SkuId, "
        "term_duration as TermDuration, billing_plan as BillingPlan, market as Market, currency as Currency, "
        "unit_price::decimal(18, 8) as UnitPrice, erp_price::decimal(18, 8) as ERPPrice, segment as Segment, "
        "meter_ids as MeterId, effective_start_date at time zone 'UTC' as starts, "
        f"effective_end_date at time zone 'UTC' as ends from {PRICE_LIST.name}"
    )
    connection.execute(
        "create temp view invoice_in as select invoice_number as number, total_charges::decimal(18, 6) as total, "
        f"currency_code as currency, lower(document_type) as kind, amends_of as amends from {INVOICES.name}"
    )
