"""Cells of a workbook: exact figures, money in the format of its currency, and text that stays text.

A figure of a cell is a binary number by the file format, which keeps 15 decimal digits. It is rounded to these here, in
decimal, and never becomes a binary number in this program.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from transforms.columns import Column, Table
from transforms.money import currency_exponent, decimals_of, tidy

Properties = Mapping[str, Any]

#: What a cell keeps of a number.
_DIGITS = Context(prec=15, rounding=ROUND_HALF_EVEN)
#: Decimals that are shown beyond the currency's own, where an amount or a price has them.
_MORE_DECIMALS = 10
#: What a cell keeps of a text, in units of UTF-16.
_LONGEST_TEXT = 32_767
#: Day 0 of a spreadsheet; days are right from March 1900 on.
_DAY_ZERO = dt.date(1899, 12, 30)
_FIRST_DAY = dt.date(1900, 3, 1)
#: Characters that a workbook cannot hold, by what is shown instead: the pictures that Unicode has of them.
_UNHOLDABLE = str.maketrans(
    {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"}
    | {0x7F: "\u2421", 0xFFFE: "\ufffd", 0xFFFF: "\ufffd"}
)
#: What a spreadsheet would take for a formula, were the text typed in.
_LIKE_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
#: Without it such a text became a formula when somebody edits the cell.
_QUOTED = {"quote_prefix": True}
#: Unit of prices whose currency is in none of the columns.
PRICING_CURRENCY = "pricing currency"
_CURRENCY_CODE = re.compile(r"[A-Z]{3}")


class Cells:
    """Writes cells of one workbook and knows its formats."""

    def __init__(self, workbook: Workbook) -> None:
        self._workbook = workbook
        self._formats: dict[tuple[tuple[str, Any], ...], Format] = {}

    def format(self, **properties: Any) -> Format:
        """The format with these properties, always the same one."""
        key = tuple(sorted(properties.items()))
        if key not in self._formats:
            self._formats[key] = self._workbook.add_format({"valign": "top", **properties})
        return self._formats[key]

    def text(self, sheet: Worksheet, row: int, column: int, text: str, **properties: Any) -> None:
        """Write a text; nothing that it holds makes it a formula, a link or markup."""
        text = cell_text(text)
        if text.startswith(_LIKE_FORMULA):
            properties |= _QUOTED
        sheet.write_string(row, column, text, self.format(**properties))

    def number(self, sheet: Worksheet, row: int, column: int, number: Decimal | int, **properties: Any) -> None:
        """Write a number."""
        sheet.write_number(row, column, cell_number(number), self.format(**properties))

    def formula(
        self, sheet: Worksheet, row: int, column: int, formula: str, value: Decimal | int, **properties: Any
    ) -> None:
        """Write a formula of ours with the value that it has, for programs that do not calculate."""
        sheet.write_formula(row, column, formula, self.format(**properties), cell_number(value))

    def day(self, sheet: Worksheet, row: int, column: int, day: dt.date, **properties: Any) -> None:
        """Write a date; one that a spreadsheet cannot count is written as text."""
        if day < _FIRST_DAY:
            self.text(sheet, row, column, day.isoformat(), **properties)
        else:
            self.number(sheet, row, column, (day - _DAY_ZERO).days, num_format="yyyy-mm-dd", **properties)

    def moment(self, sheet: Worksheet, row: int, column: int, moment: dt.datetime, **properties: Any) -> None:
        """Write a point in time, in UTC and to the minute."""
        if moment.date() < _FIRST_DAY:
            self.text(sheet, row, column, moment.isoformat(" ", "minutes"), **properties)
            return
        minutes = Decimal(moment.hour * 60 + moment.minute)
        serial = (moment.date() - _DAY_ZERO).days + _DIGITS.divide(minutes, Decimal(24 * 60))
        self.number(sheet, row, column, serial, num_format="yyyy-mm-dd hh:mm", **properties)

    def column(
        self, sheet: Worksheet, column: int, declared: Column, marks: Mapping[str, Properties], **properties: Any
    ) -> Callable[[int, Any, str | None], None]:
        """What writes the cells of a declared column, given a row, a value and the currency of a column of money.

        Args:
            sheet: the sheet.
            column: its place.
            declared: the column.
            marks: more properties of cells that hold these texts.
            properties: of all its cells.
        """
        formats: dict[Any, Format] = {}

        def text(row: int, value: str) -> None:
            value = cell_text(value)
            quoted = value.startswith(_LIKE_FORMULA)
            key = (value if value in marks else None, quoted)
            if key not in formats:
                formats[key] = self.format(**properties, **marks.get(value, {}), **(_QUOTED if quoted else {}))
            sheet.write_string(row, column, value, formats[key])

        def number(row: int, value: Decimal | int, currency: str | None) -> None:
            key = (currency, decimals_of(value) if isinstance(value, Decimal) else 0)
            if key not in formats:
                formats[key] = self.format(num_format=number_format(value, declared, currency), **properties)
            shown = value.scaleb(-2) if declared.unit == "percent" and isinstance(value, Decimal) else value
            sheet.write_number(row, column, cell_number(shown), formats[key])

        def write(row: int, value: Any, currency: str | None) -> None:
            if value is None:
                return
            if isinstance(value, str):
                text(row, value)
            elif isinstance(value, bool):
                sheet.write_boolean(row, column, value, self.format(**properties))
            elif isinstance(value, dt.datetime):
                self.moment(sheet, row, column, value, **properties)
            elif isinstance(value, dt.date):
                self.day(sheet, row, column, value, **properties)
            else:
                number(row, value, currency)

        return write


def currency_column(table: Table, name: str) -> str | None:
    """The column with the currency of a column's figures; None where these are no money, or another table has it."""
    unit = table[name].unit
    return unit if unit in table.names else None


def cell_text(text: str) -> str:
    """A text as a cell can hold it: without control characters, and cut where it is too long, which is shown."""
    if not text.isprintable():
        text = text.replace("\r\n", "\n").translate(_UNHOLDABLE)
    if len(text) > _LONGEST_TEXT // 2:
        units = text.encode("utf-16-le")
        if len(units) > 2 * _LONGEST_TEXT:
            text = units[: 2 * (_LONGEST_TEXT - 1)].decode("utf-16-le", errors="ignore") + "…"
    if text.startswith("<r>") and text.endswith("</r>"):
        # XlsxWriter takes such a text for markup of its own.
        text += " "
    return text


def cell_number(number: Decimal | int) -> Decimal | int:
    """A number as a cell can hold it."""
    return tidy(_DIGITS.plus(number)) if isinstance(number, Decimal) else number


def number_format(value: Decimal | int, declared: Column, currency: str | None, *, shortened: bool = False) -> str:
    """The number format of a declared column's figure: its currency's decimals, and more where it has more.

    What is `shortened` is shown to the currency's smallest coin, whatever it has; the cell keeps it.
    """
    if declared.unit == "percent":
        return "0.0%;[Red]-0.0%"
    if not isinstance(value, Decimal):
        return "#,##0"
    # A price whose currency stands elsewhere; a figure without any is a rate or a number of seats.
    unnamed_price = declared.unit == PRICING_CURRENCY
    own = currency_exponent(currency) if currency or unnamed_price else 0
    more = 0 if shortened else max(0, min(decimals_of(value) - own, _MORE_DECIMALS))
    # A number without decimals would end in a point.
    pattern = "#,##0" + (f".{'0' * own}{'#' * more}" if own + more else "")
    if is_plain_code(currency):
        pattern += f" [${currency}]"
    return f"{pattern};[Red]-{pattern}"


def is_plain_code(currency: str | None) -> bool:
    """Whether a currency is one that a formula can ask for: three capitals, as ISO 4217 has them."""
    return bool(currency and _CURRENCY_CODE.fullmatch(currency))

