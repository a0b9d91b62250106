"""The first sheet of a workbook: is the month right, where does money leak, what awaits somebody, and the sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from connectors.reports.amounts import added
from connectors.reports.cells import Cells, number_format
from connectors.reports.contents import ReportContents
from connectors.reports.grid import BESIDE, Grid, set_up_print
from connectors.reports.headline import Headline
from transforms.columns import Column, Kind
from transforms.finding_help import FINDING_HELP

_RIGHT = {"font_color": "#006100", "bg_color": "#C6EFCE"}
_WRONG = {"font_color": "#9C0006", "bg_color": "#FFC7CE"}
_HEAD = {"bold": True, "bottom": 1, "font_color": "#1F3864"}
#: Headings over texts.
_TEXTS = ("Currency", "Meaning")
_LAST_COLUMN = 6
_MONEY = Column("amount", Kind.USAGE_AMOUNT, "Money.", unit="currency")
_COUNT = Column("count", Kind.INTEGER, "A number of things.")
_PERCENT = Column("percent", Kind.RATE, "Percent.", unit="percent")


@dataclass
class _Page:
    """A sheet that is written from the top."""

    sheet: Worksheet
    cells: Cells
    row: int = 0

    def heading(self, text: str) -> None:
        self.row += 1
        self.cells.text(self.sheet, self.row, 0, text, bold=True, font_size=12, font_color="#1F3864")
        self.row += 1

    def sentence(self, text: str, **properties: Any) -> None:
        """A sentence over the whole width."""
        style = self.cells.format(text_wrap=True, **properties)
        self.sheet.merge_range(self.row, 0, self.row, _LAST_COLUMN, "", style)
        self.cells.text(self.sheet, self.row, 0, text, text_wrap=True, **properties)
        self.sheet.set_row(self.row, 15 * (1 + len(text) // 130))
        self.row += 1

    def head(self, *names: str) -> None:
        for at, name in enumerate(names):
            place = BESIDE if name in _TEXTS else {"align": "right"} if at else {}
            self.cells.text(self.sheet, self.row, at, name, **_HEAD, **place)
        for at in range(len(names), _LAST_COLUMN + 1):
            self.sheet.write_blank(self.row, at, None, self.cells.format(**_HEAD))
        self.row += 1

    def figure(
        self, at: int, value: Decimal | int | None, declared: Column, currency: str | None, formula: str = ""
    ) -> None:
        """A figure in the current row, with the formula that gives it where there is one."""
        if value is None:
            return
        style: dict[str, Any] = {"num_format": number_format(value, declared, currency, shortened=True)}
        shown = value.scaleb(-2) if declared.unit == "percent" and isinstance(value, Decimal) else value
        if formula:
            self.cells.formula(self.sheet, self.row, at, formula, shown, **style)
        else:
            self.cells.number(self.sheet, self.row, at, shown, **style)


def write_summary(
    workbook: Workbook, cells: Cells, contents: ReportContents, said: Headline, lines: Mapping[str, Grid], margins: Grid
) -> None:
    """Add the summary as the workbook's first sheet.

    Args:
        workbook: the workbook.
        cells: its cells.
        contents: the run.
        said: its headline.
        lines: the sheets of lines that follow, by source, and
        margins: that of margins, which the sums refer to.
    """
    sheet = workbook.add_worksheet("Summary")
    sheet.hide_gridlines(2)
    for at, width in enumerate((30, 12, 14, 22, 22, 22, 22)):
        sheet.set_column(at, at, width)
    page = _Page(sheet, cells)
    page.sentence(said.title, bold=True, font_size=16, **(_RIGHT if said.is_right else _WRONG))
    sheet.set_row(0, 30)
    for note in said.notes:
        page.sentence(note, bold=True, **_WRONG)
    page.heading("What awaits")
    for sentence in said.awaits or ("Nothing.",):
        page.sentence(sentence)
    _write_leaks(page, said)
    page.heading("Invoices")
    for sentence in said.invoices or ("There is no invoice.",):
        page.sentence(sentence)
    _write_sums(page, contents, lines)
    _write_margins(page, contents, margins)
    _write_run(page, contents)
    set_up_print(sheet)
    sheet.set_portrait()
    sheet.activate()


def _write_run(page: _Page, contents: ReportContents) -> None:
    run = contents.run
    told = [
        ("Period", contents.period),
        ("Run", contents.run_id),
        ("Status", run["status"]),
        ("Started", f"{run['started_at']:%Y-%m-%d %H:%M} UTC, csp-billing {run['code_version']}"),
        ("As of", f"{contents.as_of:%Y-%m-%d %H:%M} UTC; what was decided, loaded or billed later is not in it"),
        ("Content digest", run["content_digest"]),
        ("Policy digest", run["policy_digest"]),
    ]
    if (decision := contents.decision) is not None:
        note = f": {decision['note']}" if decision["note"] else ""
        decided = f"{decision['decided_by']}, {decision['decided_at']:%Y-%m-%d %H:%M} UTC{note}"
        told.append((decision["decision"].capitalize(), decided))
    page.heading("This report")
    for name, text in told:
        page.cells.text(page.sheet, page.row, 0, name, bold=True)
        page.cells.text(page.sheet, page.row, 1, text)
        page.row += 1


def _write_leaks(page: _Page, said: Headline) -> None:
    page.heading("Where money leaks")
    if not said.leaks:
        page.sentence("No finding says that money is lost.")
        return
    page.head("Finding", "Findings", "Currency", "Leak", "Meaning")
    for leak in said.leaks:
        page.cells.text(page.sheet, page.row, 0, leak.code)
        page.figure(1, leak.findings, _COUNT, None)
        page.cells.text(page.sheet, page.row, 2, leak.currency, **BESIDE)
        page.figure(3, leak.amount, _MONEY, leak.currency)
        meaning = FINDING_HELP[leak.code].fires_when
        page.sheet.merge_range(page.row, 4, page.row, _LAST_COLUMN, "", page.cells.format(**BESIDE))
        page.cells.text(page.sheet, page.row, 4, meaning, text_wrap=True, **BESIDE)
        page.sheet.set_row(page.row, 15 * (1 + len(meaning) // 70))
        page.row += 1


def _write_sums(page: _Page, contents: ReportContents, lines: Mapping[str, Grid]) -> None:
    """What the lines add up to, by source and currency; formulas where the lines are in the workbook."""
    page.heading("Charges")
    page.head("Source", "Currency", "Lines", "Before tax", "Tax", "With tax", "With tax, void")
    for (source, currency), rows in _grouped(contents.totals.to_pylist(), "source", "currency").items():
        page.cells.text(page.sheet, page.row, 0, lines[source].sheet)
        page.cells.text(page.sheet, page.row, 1, currency or "none", **BESIDE)
        page.figure(2, sum(row["line_count"] for row in rows), _COUNT, None)
        grid = lines[source]
        for at, name in enumerate(("subtotal_amount", "tax_amount", "total_amount"), 3):
            total = added(row[name] for row in rows)
            asked = grid.sum_formula(name, currency or "", "Summary") if grid.can_be_asked and grid.totals else ""
            page.figure(at, total, _MONEY, currency, asked)
        void = [row["total_amount"] for row in rows if row["is_voided"]]
        page.figure(6, added(void) if void else None, _MONEY, currency)
        page.row += 1


def _write_margins(page: _Page, contents: ReportContents, margins: Grid) -> None:
    """Margin by currency."""
    page.heading("Margin of what has an ERP price")
    if not margins.totals:
        page.sentence("No line has an ERP price.")
        return
    page.head("", "Currency", "", "Cost before tax", "At ERP price", "Margin", "Margin %")
    for total in margins.totals:
        page.cells.text(page.sheet, page.row, 1, total.currency or "none", **BESIDE)
        for at, name in enumerate(("cost_amount", "erp_amount", "margin_amount"), 3):
            formula = margins.sum_formula(name, total.currency, "Summary") if margins.can_be_asked else ""
            page.figure(at, total.values[name], _MONEY, total.currency, formula)
        row = page.row + 1
        page.figure(6, total.values["margin_pct"], _PERCENT, None, f"=IF(E{row}=0,0,F{row}/E{row})")
        page.row += 1


def _grouped(rows: Sequence[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return groups
