"""Charts as SVG, drawn by Vega-Lite without a browser: pictures that need no script, no network and no second drawing.

Colours are CSS variables, so that one picture does for light, dark and paper. Labels are texts that were made of exact
figures; only the length of a bar is a number in the plotting library.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

#: Letters of a name beside a bar, and how wide one may be in whatever font; a table has the whole name.
_NAME_LENGTH, _LETTER_WIDTH = 34, 7
_BARS_WIDTH, _LINES_WIDTH = 380, 500
_TICKS = 5
_ISOLATE, _POP = "\u2068", "\u2069"

_CONFIG: dict[str, Any] = {
    "background": None,
    "padding": {"left": 4, "right": 24, "top": 4, "bottom": 4},
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--line)",
        "domainColor": "var(--line)", "tickColor": "var(--line)",
        "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
    },
    "axisY": {"labelLimit": 0},
    "axisQuantitative": {"tickCount": _TICKS, "domain": False, "format": ",~f"},
    "legend": {"labelColor": "var(--text)", "labelFontSize": 12, "title": None, "orient": "top"},
    "text": {"color": "var(--text)", "fontSize": 11},
}  # fmt: skip


class Bar(NamedTuple):
    """One bar: what it stands for, of which series, its length, and the figure beside it."""

    name: str
    series: str
    value: Decimal
    text: str


class Point(NamedTuple):
    """One point of a line: its place from left to right, of which series, its height, and the figure it stands for."""

    at: str
    series: str
    value: Decimal
    text: str


def bar_chart(bars: Sequence[Bar], colours: dict[str, str], title: str) -> str:
    """Horizontal bars under each other, in the order given; those of one name stand together, a colour for each series.

    Args:
        bars: what is drawn.
        colours: CSS colours by series; with more than one, a legend says which is which.
        title: what is measured, below the axis.
    """
    labels = _labels([bar.name for bar in bars])
    several = len(bars) > len(labels)
    extent = _LETTER_WIDTH * max(map(len, labels.values()), default=0)
    values = [
        {"name": labels[bar.name], "series": bar.series, "value": str(bar.value), "text": bar.text,
         "end": str(max(bar.value, Decimal(0))), "about": _printable(f"{bar.name}, {bar.series}: {bar.text}")}
        for bar in bars
    ]  # fmt: skip
    colour = _colour(colours)
    axis = {"title": None, "ticks": False, "minExtent": extent}
    length = {"type": "quantitative", "axis": {"title": title, **_steps(bars)}}
    encoding: dict[str, Any] = {
        "y": {"field": "name", "type": "nominal", "sort": None, "axis": axis},
        "x": {"field": "value", **length},
    }
    if several:
        encoding["yOffset"] = {"field": "series", "sort": list(colours)}
    beside = {**encoding, "x": {"field": "end", **length}, "text": {"field": "text"}}
    return _svg(
        values,
        {
            "width": _BARS_WIDTH,
            "height": {"step": 15 if several else 24},
            "layer": [
                {"mark": "bar", "encoding": {**encoding, "color": colour, "description": {"field": "about"}}},
                {"mark": {"type": "text", "align": "left", "dx": 4, "aria": False}, "encoding": beside},
            ],
        },
        ("value", "end"),
    )


def line_chart(points: Sequence[Point], colours: dict[str, str], title: str) -> str:
    """A line with points for each series, from left to right in the order given.

    Args:
        points: what is drawn.
        colours: CSS colours by series.
        title: what is measured, above the axis.
    """
    values = [
        {"at": point.at, "series": point.series, "value": str(point.value),
         "about": f"{point.at}, {point.series}: {point.text}"}
        for point in points
    ]  # fmt: skip
    axis = {"title": None, "labelAngle": -45, "grid": False}
    encoding = {
        "x": {"field": "at", "type": "ordinal", "sort": None, "axis": axis},
        "y": {"field": "value", "type": "quantitative", "axis": {"title": title, **_steps(points)}},
        "color": _colour(colours),
        "shape": {"field": "series", "scale": {"domain": list(colours)}},
    }
    return _svg(
        values,
        {
            "width": _LINES_WIDTH,
            "height": 220,
            "layer": [
                {"mark": {"type": "line", "strokeWidth": 2, "aria": False},
                 "encoding": {name: one for name, one in encoding.items() if name != "shape"}},
                {"mark": {"type": "point", "filled": True, "size": 60, "opacity": 1},
                 "encoding": {**encoding, "description": {"field": "about"}}},
            ],
        },
        ("value",),
    )  # fmt: skip


def _svg(values: list[dict[str, str]], spec: dict[str, Any], numbers: Sequence[str]) -> str:
    # 0.4 seconds when it is first asked, so it is not loaded before.
    import vl_convert

    parsed = dict.fromkeys(numbers, "number")
    whole = {"data": {"values": values, "format": {"parse": parsed}}, "config": _CONFIG, **spec}
    return vl_convert.vegalite_to_svg(whole, vl_version="5.21", allowed_base_urls=[])


def _colour(colours: dict[str, str]) -> dict[str, Any]:
    scale = {"domain": list(colours), "range": list(colours.values())}
    return {"field": "series", "scale": scale, "legend": {} if len(colours) > 1 else None}


def _steps(values: Sequence[Bar | Point]) -> dict[str, list[int]]:
    """The ticks of an axis where few things are counted: no half of them."""
    ends = [int(one.value) for one in values]
    is_count = all(0 <= one.value <= _TICKS and one.value == end for one, end in zip(values, ends, strict=True))
    return {"values": list(range(max(ends, default=0) + 1))} if is_count else {}


def _labels(names: Sequence[str]) -> dict[str, str]:
    """Names short enough to stand beside a bar, still told apart; isolated, so that none turns the text about it."""
    labels: dict[str, str] = {}
    for name in dict.fromkeys(names):
        printable = _printable(name)
        short = printable if len(printable) <= _NAME_LENGTH else f"{printable[: _NAME_LENGTH - 1].rstrip()}…"
        again = sum(label.startswith(short, 1) for label in labels.values())
        labels[name] = f"{_ISOLATE}{short}{f' ({again + 1})' * bool(again)}{_POP}"
    return labels


def _printable(text: str) -> str:
    """A text without control characters: measuring one ends the whole process, whoever called it a name."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
