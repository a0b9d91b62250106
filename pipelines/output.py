"""What a command prints: one JSON document, or text with tables; rich on a terminal, plain in a pipe.

An error line must not wait for Arrow, so decimals bring their formatting along only when there is one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any


def print_json(document: Any) -> None:
    """Print the one JSON document of a command; decimals as text, so that no reader rounds them."""
    print(json.dumps(document, default=_plain, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their column names; numbers to the right."""
    texts = [[_text(value) for value in row] for row in rows]
    right = [
        bool(texts) and all(_is_number(row[place]) for row in texts if row[place]) for place in range(len(columns))
    ]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(header_style="bold")
        for name, align_right in zip(columns, right, strict=True):
            table.add_column(name, justify="right" if align_right else "left", overflow="fold")
        for row in texts:
            table.add_row(*(text.replace("[", "\\[") for text in row))
        Console().print(table)
        return
    widths = [max(len(name), *(len(row[place]) for row in texts), 0) for place, name in enumerate(columns)]
    for row in [list(columns), *texts]:
        cells = [
            text.rjust(width) if align_right else text.ljust(width)
            for text, width, align_right in zip(row, widths, right, strict=True)
        ]
        print("  ".join(cells).rstrip())


def note(text: str) -> None:
    """Say something beside the output, on stderr."""
    print(text, file=sys.stderr)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        from transforms.money import tidy

        return f"{tidy(value):f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        from transforms.findings import money_text

        return money_text(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return str(value).replace("\n", " ")


def _is_number(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()
