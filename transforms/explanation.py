"""Why a line was judged as it was: every rule with its figures, recomputed from the stored rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pyarrow as pa

from transforms.columns import Kind
from transforms.findings import money_text, plain_number
from transforms.line_numbers import Coins
from transforms.money import Fixed, divide, tidy
from transforms.policy import Policy
from transforms.price_match import with_fee
from transforms.price_rows import full_cycle, per_cycle
from transforms.pricing import charge_dates, extended_term_fee
from transforms.rounding import RULES
from transforms.terms import Cycle, cycles_of

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


def explain_line(line: Row, source: Row, price: Row | None, policy: Policy, codes: Collection[str]) -> list[Rule]:
    """Recompute what was concluded of a line.

    Args:
        line: a row of the lines table.
        source: the row it came from, of the reconciliation or usage table.
        price: the price list row it was priced by, None where there is none.
        policy: the policy its run was judged by.
        codes: codes of the findings about it.
    """
    is_usage = line["source"] == "daily_usage"
    rules = [_usage(line)] if is_usage else [*_subtotals(line, source), _total(line)]
    if price is None:
        return [*rules, Rule("price", "no price list row was applied to this line")]
    cycle = _cycle(source, line, price)
    if cycle is None:
        return [*rules, _applied(source, price), _metered_price(line, codes)]
    priced = [_applied(source, price, _SEGMENTS[line["segment_source"]]), _unit_price(line, price, cycle, codes)]
    return [*rules, *priced, *_retail(line, cycle, policy, codes)]


def _usage(line: Row) -> Rule:
    figures = (
        f"effective unit price {plain_number(line['effective_unit_price'])} × quantity {plain_number(line['quantity'])}"
        f" × rate = {plain_number(line['expected_subtotal_amount'])}; charged {plain_number(line['subtotal_amount'])}"
    )
    return Rule("usage charge", figures, line["rounding_rule"] == "U")


def _subtotals(line: Row, source: Row) -> list[Rule]:
    """The three documented roundings with their results; where one explains the subtotal the others decide nothing."""
    rate = source["pc_to_bc_exchange_rate"] or Decimal(1)
    price, quantity = line["effective_unit_price"], line["quantity"]
    if price is None or quantity is None:
        return [Rule("subtotal", "the line has no effective unit price or quantity to recompute it from", False)]
    columns = (_one(price, Kind.PRICE), _one(quantity, Kind.QUANTITY), _one(rate, Kind.RATE))
    pricing_currency = source["pricing_currency"] or line["currency"]
    coins = Coins.of(pa.array([line["currency"]], pa.string()), pa.array([pricing_currency], pa.string()))
    rules = []
    for name, formula in _FORMULAS.items():
        result = RULES[name](*columns, coins).decimal(0)
        figures = (
            f"{formula} with {plain_number(price)}, {plain_number(quantity)}, {plain_number(rate)} = "
            f"{money_text(result)}; Subtotal {money_text(line['subtotal_amount'], line['currency'])}"
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


def _applied(source: Row, price: Row, segment: str = "") -> Rule:
    on = source.get("usage_date") or source.get("subscription_start_date") or source["charge_start_date"]
    plan = f"{price['term_duration']}/{price['billing_plan']} " if price["billing_plan"] else ""
    figures = (
        f"{price['source_file']} row {price['source_row']}: {plan}{price['market']} {price['currency']} "
        f"{price['segment'] or ''} at {money_text(price['unit_price'])}, ERP {money_text(price['erp_price'])}, valid "
        f"{_day(price['effective_start_date'])} to {_day(price['effective_end_date'])}; the price of {on}"
    )
    return Rule("price list row", f"{figures}; segment: {segment}" if segment else figures)


def _metered_price(line: Row, codes: Collection[str]) -> Rule:
    figures = f"listed {plain_number(line['list_unit_price'])}; UnitPrice {plain_number(line['unit_price'])}"
    return Rule("list price", figures, "UNIT_PRICE_MISMATCH" not in codes)


def _unit_price(line: Row, price: Row, cycle: Cycle, codes: Collection[str]) -> Rule:
    fee = f" × {plain_number(1 + cycle.fee)} in an Extended Service Term" if cycle.fee else ""
    figures = (
        f"{money_text(price['unit_price'])}{fee} ÷ {cycle.per_term} charge cycles = "
        f"{money_text(line['list_unit_price'])}; UnitPrice {money_text(line['unit_price'])}"
    )
    holds = "UNIT_PRICE_MISMATCH" not in codes
    if holds and tidy(line["unit_price"] or Decimal(0)) != tidy(line["list_unit_price"]):
        figures += ", which is that price as printed, or the list's of the day while the term's is charged"
    return Rule("list price", figures, holds)


def _retail(line: Row, cycle: Cycle, policy: Policy, codes: Collection[str]) -> list[Rule]:
    """The full cycle's price against the ERP price, and the margin against the floor; nothing for a refund."""
    erp, effective = line["erp_unit_price"], line["effective_unit_price"]
    if not erp or not effective or line["subtotal_amount"] < 0:
        return []
    full = full_cycle(effective, cycle)
    scaled = f"{plain_number(effective)} ÷ {cycle.billed} × {cycle.full} {cycle.unit} = "
    prorated = scaled if cycle.billed != cycle.full else ""
    floor = policy.of(line["customer_id"]).margin_floor
    percent = divide((erp - full) / erp * 100, 1, 2, ROUND_HALF_UP)
    above, below = "ABOVE_ERP" in codes, "MARGIN_BELOW_FLOOR" in codes
    return [
        Rule("ERP price", f"{prorated}{money_text(full)} for a full cycle; ERP {money_text(erp)}", not above),
        Rule("margin", f"({money_text(erp)} - {money_text(full)}) ÷ {money_text(erp)} = {percent} %; floor "
             f"{plain_number(floor * 100)} %", not above and not below),
    ]  # fmt: skip


def _cycle(source: Row, line: Row, price: Row) -> Cycle | None:
    """The cycle that the price row was applied to: of its term and plan, at the listed price per cycle."""
    if not price["billing_plan"]:
        return None
    adjustment = (source["price_adjustment_description"] or "").strip().lower()
    dates = charge_dates(source, (source["charge_type"] or "").strip().lower())
    cycles = cycles_of(
        (source["term_and_billing_cycle"] or "").strip().lower(),
        (source["billing_frequency"] or "").strip().lower(),
        dates,
        extended_term_fee(adjustment),
    )
    listed = tidy(line["list_unit_price"])
    return next(
        (
            cycle for cycle in cycles
            if (cycle.term, cycle.plan) == (price["term_duration"], price["billing_plan"])
            and per_cycle(with_fee(price["unit_price"], cycle), cycle.per_term) == listed
        ),
        None,
    )  # fmt: skip


def _one(value: Decimal, kind: Kind) -> Fixed:
    return Fixed.from_arrow(pa.array([value], kind.arrow_type))


def _day(at: Any) -> str:
    return "always" if at is None else f"{at:%Y-%m-%d}"
