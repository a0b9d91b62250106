"""Tables on a terminal: with rich, as wide as the terminal, and row by row where that is too narrow."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

#: Words that are seen at a glance.
_STYLES = {
    "block": "red", "fail": "red", "failed": "red", "rejected": "red", "warn": "yellow",
    "awaiting_approval": "yellow", "billed": "green",
}  # fmt: skip
#: Sentences are broken over lines where that leaves them as many columns.
_LEAST_SENTENCE = 30


def print_on_terminal(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    """Print texts under their column names.

    Args:
        columns: their names.
        rows: the cells of each row.
        right: which columns are aligned to the right.
    """
    console = Console()
    table = _table(columns, rows, right)
    if Measurement.get(console, console.options, table).minimum <= console.width:
        console.print(table)
        return
    for row in rows:
        pairs = [(name, text) for name, text in zip(columns, row, strict=True) if text]
        console.print(_record(pairs, console.width))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, (name, align_right) in enumerate(zip(columns, right, strict=True)):
        texts = [row[place] for row in rows]
        widest = max(map(cell_len, texts), default=0)
        is_sentence = widest > _LEAST_SENTENCE and any(" " in text for text in texts)
        table.add_column(
            Text(name), justify="right" if align_right else "left", overflow="fold", no_wrap=not is_sentence,
            min_width=_LEAST_SENTENCE if is_sentence else max(widest, cell_len(name)),
        )  # fmt: skip
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
            lines.append(Text.assemble("  " if lines else "", pair))
    return Text("\n").join([*lines, Text()])


def _styled(text: str) -> Text:
    return Text(text, style=_STYLES.get(text, ""))
