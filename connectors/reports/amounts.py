"""How reports write figures: exact, with the currency's decimals, and never added up across currencies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal

from transforms.money import EXACT, currency_exponent, tidy


def number_text(value: Decimal | int | None, decimals: int = 0) -> str:
    """A number with all its digits, in groups of three, with at least so many decimals; empty for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    short = tidy(value)
    return f"{short:,.{max(decimals, -int(short.as_tuple().exponent))}f}"


def amount_text(amount: Decimal | None, currency: str | None) -> str:
    """An amount without its currency: at least the decimals of its smallest coin, none of those it has left out."""
    return number_text(amount, currency_exponent(currency))


def coin_text(amount: Decimal | None, currency: str | None) -> str:
    """An amount rounded to the currency's smallest coin, half away from zero; usage has many decimals."""
    if amount is None:
        return ""
    coin = Decimal(1).scaleb(-currency_exponent(currency))
    return amount_text(amount.quantize(coin, ROUND_HALF_UP, EXACT), currency)


def money_texts(sums: Mapping[str | None, Decimal]) -> list[str]:
    """Sums by currency to the coin, each with its currency; those without one last."""
    ordered = sorted(sums.items(), key=lambda one: (one[0] is None, one[0] or ""))
    return [f"{coin_text(amount, currency)} {currency or 'without currency'}" for currency, amount in ordered]


def added(amounts: Iterable[Decimal | None]) -> Decimal:
    """The exact sum of amounts of one currency; None counts nothing."""
    total = Decimal(0)
    for amount in amounts:
        if amount is not None:
            total = EXACT.add(total, amount)
    return total


def sums_by_currency(amounts: Iterable[tuple[str | None, Decimal | None]]) -> dict[str | None, Decimal]:
    """Exact sums of amounts, for each currency its own; nothing for a currency that has no amount."""
    sums: dict[str | None, Decimal] = {}
    for currency, amount in amounts:
        if amount is not None:
            sums[currency] = EXACT.add(sums.get(currency, Decimal(0)), amount)
    return sums


def percent(part: Decimal, whole: Decimal) -> Decimal | None:
    """A share in percent with two decimals; None of nothing."""
    if not whole:
        return None
    hundredfold, divisor = EXACT.multiply(part, Decimal(100)), whole
    return EXACT.divide(hundredfold, divisor).quantize(Decimal("0.01"), ROUND_HALF_UP, EXACT)


def percent_text(value: Decimal | None) -> str:
    """A percentage with two decimals; empty for None."""
    return "" if value is None else f"{value:,.2f} %"


def counted(count: int, one: str, several: str = "") -> str:
    """A number of things: `1 finding`, `2,000 findings`."""
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"


_SINGULAR = {
    "equal": "equals", "differ": "differs", "are": "is", "have": "has", "were": "was", "block": "blocks", "do": "does",
    "their": "its", "stay": "stays", "them": "it", "they": "it",
}  # fmt: skip


def verb(words: str, count: int) -> str:
    """Words about several things, said of one where there is one."""
    return " ".join(_SINGULAR.get(word, word) for word in words.split(" ")) if count == 1 else words
