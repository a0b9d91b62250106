"""The checks of daily usage: against the Azure-plan lines it is the detail of, and for partner earned credit."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.categories import Categories, categorise, metered_usage
from transforms.digests import mix, text_hashes, words_of
from transforms.findings import Finding, money_text, plain_number
from transforms.grouping import distinct_rows
from transforms.integers import Integers, Mask
from transforms.line_reader import LineReader, rows_of
from transforms.money import EXACT, currency_exponent
from transforms.records import METER_DAY, Array, Records, one_of_each
from transforms.texts import is_one_of, lowered, values_and_codes, where

#: What usage and line may differ by for each day and meter: Microsoft cuts each to the cent (documented), in a currency
#: of larger coins to those, and before the exchange to the pricing currency's cent.
PER_DAY_AND_METER = Decimal("0.01")

#: Microsoft's partner earned credit for services managed, as a fraction (documented; measured on every credited row).
EARNED_CREDIT = Decimal("0.15")
#: What AdditionalInfo, which is JSON, says of usage that earns none: spot, or what a reservation covers.
_EXCLUDING = r'"priority"\s*:\s*"spot"|"reservation(order)?id"\s*:\s*"[^"]'

GROUP = ("invoice_number", "subscription_id", "product_id", "sku_id")
#: Charges summed up by invoice, subscription (as it is spelt), product and SKU; `customer` is a customer's id and name.
CHARGES = pa.schema(
    [*((name, pa.string()) for name in GROUP), ("amount", pa.decimal128(38, 18)), ("currency", pa.string()),
     ("rate", pa.decimal128(38, 15)), ("customer", pa.string())]
)  # fmt: skip
_CUSTOMER = ("customer_id", "customer_name")
#: Between the parts of a name that is made of several columns.
_BETWEEN = "\x1f"

#: How ids that vary in case are compared.
_FOLDED: Mapping[str, Callable[[str], str]] = {
    "subscription_id": lambda text: text.strip().lower(), "product_id": lambda text: text.strip().upper(),
}  # fmt: skip

#: A sum of charges; one digit more than they have, for a difference.
_AMOUNT = pa.decimal256(40, 18)

Key = tuple[str, ...]
#: Gives the period's stored lines of a kind of export that equal one of the given rows in these columns.
Fetch = Callable[[str, pa.Table], pa.Table]


def billed_charges(recon: pa.Table, categories: Categories) -> pa.Table:
    """What Azure-plan lines charge, by group (CHARGES)."""
    azure = _azure_lines(recon, categories)
    return _charges(azure, *_groups(azure), "subtotal", "currency")


def used_charges(usage: pa.Table) -> tuple[pa.Table, Array]:
    """What daily usage adds up to, by group (CHARGES), and the days and meters of each group (METER_DAY)."""
    numbers, names = _groups(usage)
    charges = _charges(usage, numbers, names, "billing_pre_tax_total", "billing_currency")
    groups = text_hashes(_group_names(_keyed(names)))[:, 0][numbers]
    day_and_meter = [words_of(usage.column(name)) for name in ("usage_date", "meter_id")]
    keys, _ = mix([(groups, groups), *day_and_meter])
    first = one_of_each(keys)
    records = np.zeros(len(first), dtype=METER_DAY)
    records["key"], records["group"] = keys[first], groups[first]
    return charges, records


def merged_charges(parts: Sequence[pa.Table]) -> pa.Table:
    """Charges of several parts together (CHARGES)."""
    together = pa.concat_tables([CHARGES.empty_table(), *parts])
    sums = together.group_by(list(GROUP), use_threads=False).aggregate(
        [("amount", "sum"), ("currency", "min"), ("rate", "max"), ("customer", "min")]
    )
    return sums.rename_columns(CHARGES.names).cast(CHARGES)


class Apart(NamedTuple):
    """A group whose usage is not what its lines charge, and by how much it may differ."""

    key: Key
    used: Decimal
    billed: Decimal
    tolerance: Decimal


def groups_apart(billed: pa.Table, used: pa.Table, invoices: Collection[str], meter_days: Records) -> list[Apart]:
    """The invoices, subscriptions, products and SKUs whose usage is not what their lines charge, in their order.

    Only invoices that both exports speak of are compared.

    Args:
        billed: what Azure-plan lines charge (CHARGES).
        used: what the daily usage adds up to (CHARGES).
        invoices: the invoices of reconciliation lines, not only of Azure-plan ones.
        meter_days: the days and meters of the usage.
    """
    groups = _side_by_side(billed, used)
    compared = set(groups.filter(groups.column("is_used")).column("invoice_number").to_pylist()) & set(invoices)
    groups = groups.filter(pa.array(is_one_of(groups.column("invoice_number"), sorted(compared))))
    amount = pc.abs(pc.subtract(groups.column("billed"), groups.column("used")))
    is_suspect = pc.greater(amount, groups.column("least"))
    suspects, amount = groups.filter(is_suspect), amount.filter(is_suspect)
    if not suspects.num_rows:
        return []
    counts = pa.array(_count_meter_days(_group_names(suspects), meter_days)).cast(pa.decimal256(19, 0))
    tolerance = pc.multiply(suspects.column("least"), counts)
    is_apart = pc.greater(amount, tolerance)
    found = suspects.filter(is_apart).append_column("tolerance", tolerance.filter(is_apart))
    return [
        Apart(tuple(row[name] for name in GROUP), row["used"], row["billed"], row["tolerance"])
        for row in found.sort_by([(name, "ascending") for name in GROUP]).to_pylist()
    ]


def check_usage(apart: Sequence[Apart], billed: pa.Table, used: pa.Table, fetch: Fetch) -> list[Finding]:
    """USAGE_MISMATCH for each group that is apart; it names the reconciliation line where there is only one.

    Args:
        apart: the groups (`groups_apart`).
        billed, used: the charges of all groups (CHARGES).
        fetch: gives single lines.
    """
    keys = [one.key for one in apart]
    own_billed, own_used = (_of_groups(keys, charges) for charges in (billed, used))
    lines, contexts = _azure_lines_of(own_billed, fetch), _contexts(own_billed, own_used)
    return [_mismatch(one, lines.get(one.key), contexts[one.key]) for one in apart]


def without_earned_credit(usage: pa.Table) -> tuple[Mask, Mask]:
    """Usage lines that are eligible for partner earned credit and carry none, and those that may carry some.

    Eligible is what Microsoft itself sells by the meter and charges for: not spot, not what a reservation or a savings
    plan covers, not what an Azure credit pays for, and not free of charge (reference §2.5).

    Returns:
        Lines without credit; and lines without a percentage whose credit type says that credit was applied. A file of
        the basic attribute set has no percentages, there the type tells; in another file they carry none.
    """
    charged = (_sign(usage, "effective_unit_price") > 0) & (_sign(usage, "quantity") > 0)
    spot = _matches(usage, r"\bspot\b", "meter_name", "sku_name", "meter_sub_category")
    none = metered_usage(usage) & charged & ~spot & (_sign(usage, "partner_earned_credit_percentage") == 0)
    rows = rows_of(none)
    none[rows] = ~_is_excluded(usage.column("additional_info").take(pa.array(rows, pa.int64())))
    blank = np.asarray(pc.is_null(usage.column("partner_earned_credit_percentage")))
    untold = none & blank & _matches(usage, "partner earned credit applied", "credit_type")
    return none & ~untold, untold


def _is_excluded(additional_info: pa.ChunkedArray) -> Mask:
    """Whether AdditionalInfo says that usage earns no credit; asked of few rows, since hardly two texts are alike."""
    plain = additional_info.cast(pa.string())
    found: Mask = np.asarray(pc.fill_null(pc.match_substring_regex(plain, _EXCLUDING, ignore_case=True), False))
    return found


def check_partner_earned_credit(usage: pa.Table, missing: Mask) -> list[Finding]:
    """PEC_MISSING for each usage line of a mask (see `without_earned_credit`)."""
    reader, charges = LineReader(usage, "billing_currency"), usage.column("billing_pre_tax_total")
    findings = []
    for row in rows_of(missing):
        charge = charges[row].as_py()
        earned = EXACT.multiply(charge, EARNED_CREDIT)
        message = (
            f"The usage of {plain_number(charge)} is eligible for partner earned credit, but carries none: "
            f"{plain_number(EARNED_CREDIT * 100)} % of it would be {plain_number(earned)}. Check the access that "
            "earns it."
        )
        expected = EXACT.subtract(charge, earned)
        findings.append(reader.finding(row, "PEC_MISSING", message, expected=expected, actual=charge))
    return findings


def _azure_lines(recon: pa.Table, categories: Categories) -> pa.Table:
    """The lines whose detail is daily usage."""
    # What Microsoft credits for another reason than an Azure credit, an outage say, is not in the usage.
    azure_credit = _matches(recon, "azure credit", "credit_reason_code")
    return recon.filter(pa.array(categories.azure_plan & (~categories.credit | azure_credit)))


def _groups(table: pa.Table) -> tuple[Integers, pa.Table]:
    """The number of each row's group, and the groups by number: columns GROUP, empty for none."""
    numbers, groups = distinct_rows(table, GROUP)
    return numbers, pa.table({name: pc.fill_null(groups.column(name).cast(pa.string()), "") for name in GROUP})


def _charges(table: pa.Table, numbers: Integers, groups: pa.Table, amount: str, currency: str) -> pa.Table:
    values = {name: table.column(name).combine_chunks() for name in (amount, "pc_to_bc_exchange_rate")}
    numbered = pa.table({"case": numbers, "amount": values[amount], "rate": values["pc_to_bc_exchange_rate"]})
    sums = numbered.group_by("case", use_threads=False).aggregate([("amount", "sum"), ("rate", "max")]).sort_by("case")
    columns = [*groups.columns, sums.column("amount_sum").cast(CHARGES.field("amount").type),
               _smallest(table.column(currency), numbers, groups.num_rows),
               sums.column("rate_max").cast(CHARGES.field("rate").type),
               _smallest(_customers(table), numbers, groups.num_rows)]  # fmt: skip
    return pa.Table.from_arrays(columns, schema=CHARGES)


def _customers(table: pa.Table) -> pa.DictionaryArray:
    """Id and name of each row's customer as one text."""
    numbers, customers = distinct_rows(table, _CUSTOMER)
    parts = [pc.fill_null(column.cast(pa.string()), "") for column in customers.combine_chunks().columns]
    joined = pc.binary_join_element_wise(*parts, _BETWEEN)
    return pa.DictionaryArray.from_arrays(pa.array(numbers, pa.int32()), joined.combine_chunks())


def _smallest(texts: pa.ChunkedArray | pa.DictionaryArray, numbers: Integers, cases: int) -> pa.Array:
    """The first of each case's texts in their order, so that it is the same one whatever the order of the rows."""
    values, codes = values_and_codes(texts)
    ordered = [*sorted(set(values.to_pylist())), None]
    rank = {value: number for number, value in enumerate(ordered)}
    ranks = np.array([rank[value] for value in [*values.to_pylist(), None]], dtype=np.int64)
    found = np.full(cases, len(ordered) - 1, dtype=np.int64)
    np.minimum.at(found, numbers, ranks[codes])
    return pa.array(ordered, pa.string()).take(pa.array(found))


def _key(case: Mapping[str, Any]) -> Key:
    """A group's key; the ids of subscription and product vary in case."""
    return tuple(_FOLDED.get(name, str)(case[name] or "") for name in GROUP)


def _group_name(key: Key) -> str:
    return _BETWEEN.join(key)


def _keyed(charges: pa.Table) -> pa.Table:
    """Charges with their groups' keys (`_key`) instead of how these are spelt."""
    for name, folded in _FOLDED.items():
        spelt = charges.column(name).combine_chunks().dictionary_encode()
        keys = pa.array([folded(text) for text in spelt.dictionary.to_pylist()], pa.string())
        charges = charges.set_column(charges.column_names.index(name), name, keys.take(spelt.indices))
    return charges


def _group_names(keyed: pa.Table) -> pa.Array:
    """The name of each row's group (`_group_name`)."""
    columns = [keyed.column(name).combine_chunks() for name in GROUP]
    return pc.binary_join_element_wise(*columns, _BETWEEN)


def _side_by_side(billed: pa.Table, used: pa.Table) -> pa.Table:
    """For each group what its lines charge, what its usage adds up to, and what they may differ by a day and meter.

    Columns: GROUP as keys, billed, used, is_used, least.
    """
    # No currency is not the first of several.
    currency = used.column("currency")
    told = pc.if_else(pc.equal(currency, ""), pa.scalar(None, pa.string()), currency)
    used = used.set_column(used.column_names.index("currency"), "currency", told)
    lines, usage = (
        _keyed(charges).group_by(list(GROUP), use_threads=False)
        .aggregate([("amount", "sum"), ("currency", "min"), ("rate", "max")])
        for charges in (billed, used)
    )  # fmt: skip
    usage = pa.table({
        **{name: usage.column(name) for name in GROUP},
        "used": usage.column("amount_sum").cast(_AMOUNT),
        "is_used": pa.repeat(True, usage.num_rows),
        "least": _least(usage.column("currency_min"), usage.column("rate_max")),
    })  # fmt: skip
    lines = pa.table({
        **{name: lines.column(name) for name in GROUP}, "billed": lines.column("amount_sum").cast(_AMOUNT),
    })  # fmt: skip
    both = lines.join(usage, list(GROUP), join_type="full outer", use_threads=False)
    nothing = pa.scalar(Decimal(0), _AMOUNT)
    return pa.table({
        **{name: both.column(name) for name in GROUP},
        **{name: both.column(name).fill_null(nothing) for name in ("billed", "used")},
        "is_used": both.column("is_used").fill_null(False),
        "least": both.column("least").fill_null(pa.scalar(Decimal(0), both.column("least").type)),
    })  # fmt: skip


def _least(currencies: pa.ChunkedArray, rates: pa.ChunkedArray) -> pa.Array:
    """What groups of usage may differ by from their lines for each day and meter: a coin, exchanged or not."""
    codes = currencies.combine_chunks().dictionary_encode("encode")
    coins = pa.array([_coin(currency) for currency in codes.dictionary.to_pylist()], pa.decimal256(5, 2))
    exchanged = pc.multiply(
        rates.combine_chunks().cast(pa.decimal256(38, 15)).fill_null(Decimal(1)), pa.scalar(PER_DAY_AND_METER)
    )
    own = coins.take(codes.indices).cast(exchanged.type)
    return pc.if_else(pc.greater(own, exchanged), own, exchanged)


def _count_meter_days(group_names: pa.Array, meter_days: Records) -> Integers:
    """How many days and meters each of these groups has."""
    names = text_hashes(group_names)[:, 0]
    order = np.argsort(names)
    counts = np.zeros(len(names), dtype=np.int64)
    for group in meter_days.by_key():
        found = group["group"][one_of_each(group["key"])]
        place = np.minimum(np.searchsorted(names, found, sorter=order), len(names) - 1)
        own = order[place]
        np.add.at(counts, own[names[own] == found], 1)
    return counts


def _coin(currency: str | None) -> Decimal:
    return max(PER_DAY_AND_METER, Decimal(1).scaleb(-currency_exponent(currency)))


def _of_groups(keys: Sequence[Key], charges: pa.Table) -> pa.Table:
    """The charges of some groups."""
    names = pa.array([_group_name(key) for key in keys], pa.string())
    return charges.filter(pc.is_in(_group_names(_keyed(charges)), names))


def _azure_lines_of(billed: pa.Table, fetch: Fetch) -> dict[Key, pa.Table]:
    """The stored Azure-plan lines of each group that is billed."""
    lines = fetch("invoice_recon", billed.select(list(GROUP)))
    lines = _azure_lines(lines, categorise(lines))
    rows: dict[Key, list[int]] = {}
    for row, case in enumerate(lines.select(list(GROUP)).to_pylist()):
        rows.setdefault(_key(case), []).append(row)
    return {key: lines.take(pa.array(places)) for key, places in rows.items()}


def _contexts(billed: pa.Table, used: pa.Table) -> dict[Key, dict[str, Any]]:
    """What findings say of each group, of the first of several spellings: by its lines, else by its usage."""
    contexts: dict[Key, dict[str, Any]] = {}
    for charges in (billed, used):
        for row in charges.sort_by([(name, "ascending") for name in GROUP]).to_pylist():
            told = dict(zip(_CUSTOMER, row["customer"].partition(_BETWEEN)[::2], strict=True))
            context = {name: text or None for name, text in {**{name: row[name] for name in GROUP}, **told}.items()}
            contexts.setdefault(_key(row), {**context, "currency": row["currency"]})
    return contexts


def _mismatch(apart: Apart, lines: pa.Table | None, context: Mapping[str, Any]) -> Finding:
    message = (
        f"The daily usage adds up to {money_text(apart.used)}, the invoice's Azure-plan lines to "
        f"{money_text(apart.billed)}: more apart than the {money_text(apart.tolerance)} that cutting each day and "
        "meter to coins explains."
    )
    if lines is not None and lines.num_rows == 1:
        reader = LineReader(lines)
        return reader.finding(0, "USAGE_MISMATCH", message, expected=apart.used, actual=apart.billed)
    return Finding("USAGE_MISMATCH", message, expected_amount=apart.used, actual_amount=apart.billed, **context)


def _matches(table: pa.Table, pattern: str, *names: str) -> Mask:
    found: Mask = np.zeros(table.num_rows, dtype=np.bool_)
    for name in names:
        found |= where(lowered(table, name), lambda texts: pc.match_substring_regex(texts, pattern))
    return found


def _sign(usage: pa.Table, name: str) -> np.ndarray[Any, Any]:
    return np.asarray(pc.fill_null(pc.sign(usage.column(name)), 0))
