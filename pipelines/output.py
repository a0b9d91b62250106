"""What a command prints: one JSON document, or text with tables; rich on a terminal, plain in a pipe.

In a pipe nothing is cut and nothing is broken over lines. On a terminal sentences are broken between words, and a table
that is too wide for it is told row by row. An error line must not wait for Arrow or rich, so these are loaded only
where there are decimals, or a table on a terminal.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pipelines import telemetry
from transforms.shown import json_escaped, one_line

_COMMAND = re.compile(r"`[^`]*`")
_CURRENCIES = ("currency", "billing_currency", "currency_code")
_NOT_MONEY = ("quantity", "rate", "pct")


def print_json(document: Any) -> None:
    """Print the one JSON document of a command; decimals as text, so that no reader rounds them."""
    print(json_escaped(json.dumps(document, default=_plain, ensure_ascii=False, indent=2)))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their column names; numbers to the right, amounts with the decimals of their row's currency."""
    place = next((columns.index(name) for name in _CURRENCIES if name in columns), None)
    texts = [
        [
            cell_text(value, name, None if place is None else row[place])
            for name, value in zip(columns, row, strict=True)
        ]
        for row in map(list, rows)
    ]
    right = [
        bool(texts) and all(_is_number(row[place]) for row in texts if row[place]) for place in range(len(columns))
    ]
    if sys.stdout.isatty():
        from pipelines.terminal_table import print_on_terminal

        print_on_terminal(columns, texts, right)
        return
    widths = [max(len(name), *(len(row[place]) for row in texts), 0) for place, name in enumerate(columns)]
    for row in [list(columns), *texts]:
        cells = [
            text.rjust(width) if align_right else text.ljust(width)
            for text, width, align_right in zip(row, widths, right, strict=True)
        ]
        print("  ".join(cells).rstrip())


def print_records(
    columns: Sequence[str], records: Sequence[Mapping[str, Any]], as_json: bool, none: str = ""
) -> None:
    """Print records: as JSON all of them, as a table these columns; `none` tells beside it that there are none."""
    if as_json:
        print_json(records)
    elif not records and sys.stdout.isatty():
        say(none)
    else:
        if not records and none:
            note(none)
        print_table(columns, [[_listed(record.get(name)) for name in columns] for record in records])


def say(text: str) -> None:
    """Print a sentence; on a terminal broken between words, and never inside a command in backticks."""
    print(_wrapped(text) if sys.stdout.isatty() else one_line(text))


def note(text: str, level: str = "warning", **about: str) -> None:
    """Say something beside the output, on stderr; where that is for JSON lines as one of them, and about what."""
    if telemetry.writes_json():
        telemetry.log(level, one_line(text), **about)
        return
    print(_wrapped(text) if sys.stderr.isatty() else one_line(text), file=sys.stderr)


def _wrapped(text: str) -> str:
    width = shutil.get_terminal_size().columns
    indent = " " * (len(text) - len(text.lstrip(" ")))
    whole = _COMMAND.sub(lambda command: command[0].replace(" ", "\0"), one_line(text))
    lines = textwrap.wrap(whole, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\0", " ")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        from transforms.money import tidy

        return f"{tidy(value):f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def cell_text(value: Any, column: str, currency: Any) -> str:
    """A cell; no line breaks, and nothing that a terminal takes for a command."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return _amount(value, column, currency)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return one_line(str(value))


def _amount(value: Decimal, column: str, currency: Any) -> str:
    """An amount with at least its currency's decimals, and all that it has; any other number as it is."""
    from transforms.money import currency_exponent, decimals_of, tidy

    short = tidy(value)
    least = 0 if column.endswith(_NOT_MONEY) else currency_exponent(str(currency) if currency else None)
    return f"{short:.{max(least, decimals_of(short))}f}"


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
