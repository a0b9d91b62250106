"""Why a line was judged as it was: every rule with its figures, recomputed from the stored rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.columns import Kind
from transforms.findings import money_text
from transforms.money import Fixed, currency_exponent, divide, tidy
from transforms.policy import Policy
from transforms.price_match import same_unit_price
from transforms.rounding import RULES
from transforms.terms import Cycle, cycle_of

Row = Mapping[str, Any]

_FORMULAS = {
    "A": "cut(cut(price × quantity) × rate)",
    "B": "cut(price × rate) × quantity",
    "C": "round(price × quantity × rate)",
}
_SEGMENTS = {
    "policy": "the policy's for this customer",
    "only": "the only one that is listed",
    "price": "the only one whose price matches",
    "default": "the policy's default",
}


@dataclass(frozen=True)
class Rule:
    """One rule as it was applied to a line: its name, the figures in a sentence, and whether it holds.

    `holds` is None for a figure that decides nothing by itself.
    """

    rule: str
    figures: str
    holds: bool | None = None


def explain_line(line: Row, source: Row, price: Row | None, policy: Policy) -> list[Rule]:
    """Recompute what was concluded of a line.

    Args:
        line: a row of the lines table.
        source: the row it came from, of the reconciliation or usage table.
        price: the price list row it was priced by, None where there is none.
        policy: the policy its run was judged by.
    """
    if line["source"] == "daily_usage":
        return [_usage(line)]
    rules = [*_subtotals(line, source), _total(line)]
    cycle = _cycle(source)
    if price is None or cycle is None:
        return [*rules, Rule("price", "no price list row was applied to this line")]
    priced = [_applied(line, source, price), _unit_price(line, price, cycle)]
    return [*rules, *priced, *_retail(line, price, cycle, policy)]


def _usage(line: Row) -> Rule:
    figures = (
        f"effective unit price {_number(line['effective_unit_price'])} × quantity {_number(line['quantity'])} × rate = "
        f"{_number(line['expected_subtotal_amount'])}; charged {_number(line['subtotal_amount'])}"
    )
    return Rule("usage charge", figures, line["rounding_rule"] == "U")


def _subtotals(line: Row, source: Row) -> list[Rule]:
    """The three documented roundings with their results; where one explains the subtotal the others decide nothing."""
    rate = source["pc_to_bc_exchange_rate"] or Decimal(1)
    price, quantity = line["effective_unit_price"], line["quantity"]
    if price is None or quantity is None:
        return [Rule("subtotal", "the line has no effective unit price or quantity to recompute it from", False)]
    columns = (_one(price, Kind.PRICE), _one(quantity, Kind.QUANTITY), _one(rate, Kind.RATE))
    places = np.array([currency_exponent(line["currency"])])
    rules = []
    for name, formula in _FORMULAS.items():
        result = RULES[name](*columns, places).decimal(0)
        figures = (
            f"{formula} with {_number(price)}, {_number(quantity)}, {_number(rate)} = {money_text(result)}; "
            f"Subtotal {money_text(line['subtotal_amount'], line['currency'])}"
        )
        if line["rounding_rule"] is None:
            rules.append(Rule(f"subtotal, rounding {name}", figures, False))
        elif result == line["subtotal_amount"]:
            rules.append(Rule(f"subtotal, rounding {name}", figures, True))
        elif line["rounding_rule"] == name:
            rules.append(Rule(f"subtotal, rounding {name}", f"{figures}, as near as the printed price tells", True))
        else:
            rules.append(Rule(f"subtotal, rounding {name}", figures))
    return rules


def _total(line: Row) -> Rule:
    tax = line["tax_amount"] or Decimal(0)
    total = line["subtotal_amount"] + tax
    figures = f"{money_text(line['subtotal_amount'])} + {money_text(tax)} = {money_text(total)}; Total " + money_text(
        line["total_amount"]
    )
    return Rule("total", figures, total == line["total_amount"])


def _applied(line: Row, source: Row, price: Row) -> Rule:
    on = source["subscription_start_date"] or source["charge_start_date"]
    figures = (
        f"{price['source_file']} row {price['source_row']}: {price['term_duration']}/{price['billing_plan']} "
        f"{price['market']} {price['currency']} {price['segment'] or ''} at {money_text(price['unit_price'])}, ERP "
        f"{money_text(price['erp_price'])}, valid {_day(price['effective_start_date'])} to "
        f"{_day(price['effective_end_date'])}; the term started on {on}; segment: {_SEGMENTS[line['segment_source']]}"
    )
    return Rule("price list row", figures)


def _unit_price(line: Row, price: Row, cycle: Cycle) -> Rule:
    figures = (
        f"{money_text(price['unit_price'])} ÷ {cycle.per_term} charge cycles = {money_text(line['list_unit_price'])}; "
        f"UnitPrice {money_text(line['unit_price'])}"
    )
    same = same_unit_price(line["unit_price"], tidy(price["unit_price"]), cycle.per_term, price["currency"])
    return Rule("list price", figures, same)


def _retail(line: Row, price: Row, cycle: Cycle, policy: Policy) -> list[Rule]:
    """The full cycle's price against the ERP price, and the margin against the floor; nothing for a refund."""
    erp, effective = line["erp_unit_price"], line["effective_unit_price"]
    if not erp or not effective or line["subtotal_amount"] < 0:
        return []
    full = divide(effective * cycle.cycle_days, cycle.billed_days, 10, ROUND_HALF_UP)
    scaled = f"{_number(effective)} ÷ {cycle.billed_days} × {cycle.cycle_days} days = "
    prorated = scaled if cycle.billed_days != cycle.cycle_days else ""
    own = policy.customers.get((line["customer_id"] or "").lower())
    floor = own.margin_floor if own and own.margin_floor is not None else policy.margin_floor
    share = (erp - full) / erp
    percent = divide(share * 100, 1, 2, ROUND_HALF_UP)
    return [
        Rule("ERP price", f"{prorated}{money_text(full)} for a full cycle; ERP {money_text(erp)}", full <= erp),
        Rule("margin", f"({money_text(erp)} - {money_text(full)}) ÷ {money_text(erp)} = {percent} %; floor "
             f"{_number(floor * 100)} %", share >= floor),
    ]  # fmt: skip


def _cycle(source: Row) -> Cycle | None:
    return cycle_of(
        (source["term_and_billing_cycle"] or "").strip().lower(),
        (source["billing_frequency"] or "").strip().lower(),
        source["charge_start_date"],
        source["charge_end_date"],
        source["subscription_start_date"],
        source["subscription_end_date"],
    )


def _one(value: Decimal, kind: Kind) -> Fixed:
    return Fixed.from_arrow(pa.array([value], kind.arrow_type))


def _number(value: Decimal | None) -> str:
    return "nothing" if value is None else f"{tidy(value):f}"


def _day(at: Any) -> str:
    return "always" if at is None else f"{at:%Y-%m-%d}"
