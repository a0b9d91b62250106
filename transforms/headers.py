"""Matching the column names of a delivered file to the declared columns of a table.

The same field has several names (`Total`, `totalForCustomer`) and spellings (`MPNID`, `MpnId`, `mpnId`, `ERP Price`),
so names are compared without regard to case, spaces and underscores, and never by position (documented: column sets
grow and their order changes).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from transforms.columns import Column, Table

_IGNORED = re.compile(r"[\s_\ufeff]+")


def fold(name: str) -> str:
    """The spelling by which two column names are compared: `ERP Price` and `erp_price` are the same."""
    return _IGNORED.sub("", name).casefold()


@dataclass(frozen=True)
class HeaderMatch:
    """Which delivered columns feed which declared ones.

    Attributes:
        found: by declared column name the delivered names, the newest source name first; the first that has a value
            in a row gives it.
        extra: delivered names that must be kept besides: undeclared ones, and all but the first of several names of
            one column.
        missing: required columns that the file lacks.
    """

    found: dict[str, tuple[str, ...]]
    extra: tuple[str, ...]
    missing: tuple[Column, ...]

    @property
    def missing_names(self) -> str:
        """The missing columns as their newest export names, for a message."""
        return ", ".join(column.sources[0] for column in self.missing)


def match_headers(names: Sequence[str], table: Table) -> HeaderMatch:
    """Match delivered column names to the columns of `table`.

    Args:
        names: the delivered names; two that differ only in spelling are taken as two names of one column.
        table: a table of `transforms.tables.EXPORT_TABLES`.
    """
    delivered: dict[str, list[str]] = {}
    for name in names:
        delivered.setdefault(fold(name), []).append(name)
    found: dict[str, tuple[str, ...]] = {}
    for column in table.columns:
        sources = dict.fromkeys(fold(source) for source in column.sources)
        matching = [name for source in sources for name in delivered.get(source, [])]
        if matching:
            found[column.name] = tuple(matching)
    first = {matching[0] for matching in found.values()}
    return HeaderMatch(
        found=found,
        extra=tuple(name for name in names if name not in first),
        missing=tuple(column for column in table.columns if column.required and column.name not in found),
    )


def is_fraction(column: Column, delivered_name: str) -> bool:
    """Whether that delivered column gives a fraction where the declared one is in percent."""
    return fold(delivered_name) in {fold(source) for source in column.fraction_sources}
