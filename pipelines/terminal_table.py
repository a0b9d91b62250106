"""Tables on a terminal: with rich, as wide as the terminal, and row by row where that is too narrow."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

#: Words that are seen at a glance.
_STYLES = {
    "block": "red", "fail": "red", "failed": "red", "rejected": "red", "warn": "yellow",
    "awaiting_approval": "yellow", "billed": "green",
}  # fmt: skip
#: Sentences are broken over lines where that leaves them as many columns.
_LEAST_SENTENCE = 24
#: Between two columns.
_GAP = 3


def print_on_terminal(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    """Print texts under their column names.

    Args:
        columns: their names.
        rows: the cells of each row.
        right: which columns are aligned to the right.
    """
    console = Console()
    widths = _widths(columns, rows, console.width)
    if widths is not None:
        console.print(_table(columns, rows, right, widths))
        return
    for row in rows:
        pairs = [(name, text) for name, text in zip(columns, row, strict=True) if text]
        console.print(_record(pairs, console.width))


def _widths(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[int] | None:
    """How wide each column is; None where they do not fit. Only sentences are broken over lines."""
    names = [cell_len(name) for name in columns]
    wanted = [max([width, *(cell_len(row[place]) for row in rows)]) for place, width in enumerate(names)]
    given = [
        max(width, min(want, _LEAST_SENTENCE)) if any(" " in row[place] for row in rows) else want
        for place, (width, want) in enumerate(zip(names, wanted, strict=True))
    ]
    left = room - sum(given) - _GAP * (len(columns) - 1)
    if left < 0:
        return None
    # Those that need least first, so that what they leave is there for the others.
    places = sorted(range(len(columns)), key=lambda place: wanted[place] - given[place])
    for done, place in enumerate(places):
        more = min(wanted[place] - given[place], left // (len(places) - done))
        given[place] += more
        left -= more
    return given


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], widths: Sequence[int]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for name, align_right, width in zip(columns, right, widths, strict=True):
        table.add_column(Text(name), justify="right" if align_right else "left", overflow="fold", width=width)
    for row in rows:
        table.add_row(*(_styled(text) for text in row))
    return table


def _record(pairs: Sequence[tuple[str, str]], width: int) -> Text:
    """Names and values of one row, as many on a line as there is room for; its first line stands out."""
    lines: list[Text] = []
    for name, text in pairs:
        pair = Text.assemble((f"{name} ", "dim"), _styled(text))
        if lines and lines[-1].cell_len + 3 + pair.cell_len <= width:
            lines[-1] = Text("   ").join([lines[-1], pair])
        else:
            lines += _broken(pair, width, indent=2 if lines else 0)
    return Text("\n").join([*lines, Text()])


def _broken(pair: Text, width: int, indent: int) -> list[Text]:
    """A name and value that may be longer than a line."""
    room = max(width - 4, 1)
    lines = pair.wrap(Console(width=room), room)
    return [Text.assemble(" " * (indent if place == 0 else 4), line) for place, line in enumerate(lines)]


def _styled(text: str) -> Text:
    return Text(text, style=_STYLES.get(text, ""))
