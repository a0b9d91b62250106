"""What the parts of the page are made of: tables of texts, charts with their tables, figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Tone = Literal["good", "bad", "warn", "plain"]


class Cell(NamedTuple):
    """One cell: its text, how it is to be taken, and whether it leads to the findings of a code or customer."""

    text: str
    tone: Tone = "plain"
    leads_to: Literal["code", "customer", ""] = ""


class Column(NamedTuple):
    """A column's heading, and how its cells are set: numbers to the right, dates in one line."""

    heading: str
    kind: Literal["", "number", "date"] = ""


@dataclass(frozen=True)
class PageTable:
    """A table of the page; the first cell of a row is its heading.

    Attributes:
        caption: what it shows.
        columns: the headings.
        rows: a cell for each column.
        sums: rows of sums below it.
        left_out: how many rows are left out, for the page to say so.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    sums: Sequence[Sequence[Cell]] = ()
    left_out: int = 0


@dataclass(frozen=True)
class PageChart:
    """A chart of the page: an SVG, what it shows in words, and its figures where no other table has them."""

    title: str
    svg: str
    about: str
    figures: PageTable | None = None


class Figure(NamedTuple):
    """One figure below the headline: what it is, the amounts or numbers, and what is to be known of it."""

    label: str
    values: Sequence[str]
    about: str
    tone: Tone = "plain"


def cells(*texts: str) -> list[Cell]:
    """Plain cells."""
    return [Cell(text) for text in texts]
