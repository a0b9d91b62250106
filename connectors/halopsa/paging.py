"""Reading HaloPSA's lists whole, or from their newest end.

A list is a bare array, or `{record_count, data: […]}`, or an object with one list in it. Paging needs
`pageinate=true` (sic) and a page number from 1; the server caps a page whatever size is asked for, and some lists
ignore paging altogether (all measured in public). So the number of rows that came counts, never the size asked for,
and a list that ends short of its record_count is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from connectors.halopsa.errors import DisagreementError

Fetch = Callable[[Mapping[str, str]], Any]
Row = dict[str, Any]

#: Lengths at which a list that ignores paging may have been cut: HaloPSA's default page and its usual cap.
_USUAL_CUTS = (50, 100)
_COUNT_ASKED = 1_000_000


class Page(NamedTuple):
    """One answer: its rows, and how many the list has (None where it is not said)."""

    rows: list[Row]
    total: int | None


def read_page(answer: Any, path: str) -> Page:
    """The rows of a list's answer, in whatever envelope; raises DisagreementError where there is no list in it."""
    if answer is None:
        return Page([], 0)
    total = None
    rows: Any = answer
    if isinstance(answer, Mapping):
        count = answer.get("record_count")
        total = count if isinstance(count, int) else None
        lists = [value for value in answer.values() if isinstance(value, list)]
        rows = answer["data"] if isinstance(answer.get("data"), list) else lists[0] if len(lists) == 1 else None
        if rows is None and total == 0:
            rows = []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DisagreementError(f"HaloPSA answered {path} without a list of records", mend="check its version")
    return Page(rows, total)


def newest_first(
    fetch: Fetch, path: str, id_property: str, page_size: int, floor: int | None = None
) -> Iterator[Row]:
    """Yield the rows of a list by descending id, each once, fetching pages only as they are consumed.

    Args:
        fetch: sends a GET with these query parameters.
        path: the list, for messages.
        id_property: the property that identifies a row and grows with every new one.
        page_size: rows to ask for in a page; the server may cap it.
        floor: rows with this id or a lower one are not wanted; the walk ends there where the list is ordered.

    Raises:
        DisagreementError: the list ends short of its record_count, or cannot be read whole.
    """
    walk = _Walk(fetch, path, id_property, page_size)
    for row in walk.rows(floor):
        if floor is None or row[id_property] > floor:
            yield row


class _Walk:
    def __init__(self, fetch: Fetch, path: str, id_property: str, page_size: int) -> None:
        self._fetch = fetch
        self._path = path
        self._id = id_property
        self._page_size = page_size
        self._seen: set[int] = set()
        self._total = 0
        self._lowest: int | None = None
        self._ordered = True

    def rows(self, floor: int | None) -> Iterator[Row]:
        first = self._page(1)
        ids = [row[self._id] for row in first.rows]
        if first.total is None:
            yield from self._newest(self._bare(first))
        elif len(first.rows) >= first.total:
            yield from self._newest(self._fresh(first.rows))
        elif len(ids) > 1 and ids == sorted(ids, reverse=True):
            yield from self._descending(first, floor)
        elif len(ids) > 1 and ids == sorted(ids):
            yield from self._ascending(first, floor)
        else:
            yield from self._newest(self._all_pages(first))

    def _descending(self, first: Page, floor: int | None) -> Iterator[Row]:
        """Newest page first already. Rows added meanwhile only push known ones onto later pages."""
        page, number = first, 1
        while page.rows:
            yield from self._newest(self._take(page))
            if self._below(floor):
                return
            number += 1
            page = self._next_page(number, page)
        self._check_whole()

    def _ascending(self, first: Page, floor: int | None) -> Iterator[Row]:
        """Oldest page first: walk from the last page backwards. Rows added meanwhile only lengthen the end."""
        number = -(-self._total // len(first.rows))
        previous = first
        while number > 1:
            page = self._next_page(number, previous)
            yield from self._newest(self._take(page))
            if self._below(floor):
                return
            previous, number = page, number - 1
        yield from self._newest(self._take(first))
        self._check_whole()

    def _take(self, page: Page) -> list[Row]:
        """The page's new rows; notes how far down the walk is, and whether the pages are ordered at all."""
        fresh = self._fresh(page.rows)
        ids = [row[self._id] for row in fresh]
        if self._lowest is not None and any(each > self._lowest for each in ids):
            self._ordered = False
        self._lowest = min([*ids, *([] if self._lowest is None else [self._lowest])], default=None)
        return fresh

    def _below(self, floor: int | None) -> bool:
        """Whether nothing wanted can follow: the whole list was seen, or an ordered one down to the floor."""
        if len(self._seen) >= self._total:
            return True
        return self._ordered and floor is not None and self._lowest is not None and self._lowest <= floor + 1

    def _all_pages(self, first: Page) -> list[Row]:
        rows, page, number = self._fresh(first.rows), first, 1
        while len(self._seen) < self._total and page.rows:
            number += 1
            page = self._next_page(number, page)
            rows += self._fresh(page.rows)
        self._check_whole()
        return rows

    def _next_page(self, number: int, previous: Page) -> Page:
        """Another page; the same one again means that the list ignores paging, and `count` is tried instead."""
        page = self._page(number)
        if page.rows and [row[self._id] for row in page.rows] == [row[self._id] for row in previous.rows]:
            page = self._read({"count": str(max(self._total, len(page.rows)))})
            if len(page.rows) < self._total:
                raise DisagreementError(
                    f"HaloPSA gives {len(page.rows)} of {self._total} records of {self._path} and ignores paging; "
                    "nothing can be checked against such a list"
                )
        return page

    def _bare(self, first: Page) -> list[Row]:
        """All rows of a list that does not say how many it has: page on until a page brings nothing new."""
        rows, number = self._fresh(first.rows), 1
        while first.rows:
            number += 1
            page = self._page(number)
            if not page.rows:
                return rows
            fresh = self._fresh(page.rows)
            if not fresh:
                return rows + self._past_the_cut(page)
            rows += fresh
        return rows

    def _past_the_cut(self, repeated: Page) -> list[Row]:
        """What `count` adds to a list that repeats its page: nothing, where the page was the whole list."""
        more = self._fresh(self._read({"count": str(_COUNT_ASKED)}).rows)
        if not more and len(repeated.rows) in (*_USUAL_CUTS, self._page_size):
            raise DisagreementError(
                f"HaloPSA gives {len(repeated.rows)} records of {self._path} without saying how many there are, and "
                "ignores paging; nothing can be checked against such a list"
            )
        return more

    def _page(self, number: int) -> Page:
        return self._read({"pageinate": "true", "page_no": str(number), "page_size": str(self._page_size)})

    def _read(self, params: Mapping[str, str]) -> Page:
        page = read_page(self._fetch(params), self._path)
        if not all(isinstance(row.get(self._id), int) for row in page.rows):
            told = f"HaloPSA listed records of {self._path} without {self._id}"
            raise DisagreementError(told, mend="check its version")
        if page.total is not None:
            self._total = page.total
        return page

    def _fresh(self, rows: list[Row]) -> list[Row]:
        fresh = [row for row in rows if row[self._id] not in self._seen]
        self._seen.update(row[self._id] for row in fresh)
        return fresh

    def _newest(self, rows: list[Row]) -> list[Row]:
        return sorted(rows, key=lambda row: row[self._id], reverse=True)

    def _check_whole(self) -> None:
        if len(self._seen) < self._total:
            raise DisagreementError(
                f"HaloPSA listed {len(self._seen)} of {self._total} records of {self._path}", mend="repeat the command"
            )
