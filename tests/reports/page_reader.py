"""What a page says: its tables as texts, its figures, and every element with its attributes."""

from __future__ import annotations

from html.parser import HTMLParser

Element = tuple[str, dict[str, str]]
_VOID = {"br", "input", "link", "meta"}


class PageReader(HTMLParser):
    """Reads a page.

    Attributes:
        tables: rows of cell texts by the table's caption, headings and sums included.
        figures: the values below the headline by their label.
        elements: every element with its attributes, in their order.
        data: the text of elements that hold no markup, by name: style, script.
        open_at_end: elements that are never closed.
    """

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, list[list[str]]] = {}
        self.figures: dict[str, list[str]] = {}
        self.elements: list[Element] = []
        self.data: list[tuple[Element, str]] = []
        self.open_at_end: list[str] = []
        self._rows: list[list[str]] = []
        self._text = ""
        self._label = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open_at_end.append(tag)
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        if tag in ("caption", "td", "th", "dt", "dd", "style", "script"):
            self._text = ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_at_end.pop() == tag
        text = self._text.strip()
        if tag == "caption":
            self.tables[text] = self._rows
        elif tag in ("td", "th"):
            self._rows[-1].append(text)
        elif tag == "dt":
            self._label = text
        elif tag == "dd":
            self.figures.setdefault(self._label, []).append(text)
        elif tag in ("style", "script"):
            self.data.append((self.elements[-1], self._text))

    def handle_data(self, data: str) -> None:
        self._text += data
