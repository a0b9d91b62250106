"""How the sandbox behaves where HaloPSA's own behaviour is not public, or varies."""

from __future__ import annotations

from dataclasses import dataclass

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret"  # noqa: S105


@dataclass(frozen=True)
class Options:
    """Switches; the defaults are what was measured or, failing that, what is most likely.

    Attributes:
        page_cap: most rows of a page, whatever is asked for.
        default_page: rows of a list that is not paged.
        newest_first: lists run from the highest id down.
        envelope: `data` for `{record_count, data}`, `bare` for an array, `named` for another list key.
        ignored_paging: empty, `repeat` (every page is the first), or `everything` (one page has all).
        count_honoured: `count` gives that many rows of a list that is not paged.
        answer: what a POST answers: `array`, `object` (for a single record), `envelope`, `empty` or `reversed`.
        cascades: marking an invoice marks its lines.
        invoice_flag: an invoice's flags are `computed` from its lines, or `stored` when it is marked.
        refusal_saves_rows_before: a row that a business rule refuses (400) leaves those before it saved.
        token_seconds: life of a token.
    """

    page_cap: int = 100
    default_page: int = 50
    newest_first: bool = False
    envelope: str = "data"
    ignored_paging: str = ""
    count_honoured: bool = False
    answer: str = "array"
    cascades: bool = True
    invoice_flag: str = "computed"
    refusal_saves_rows_before: bool = False
    token_seconds: int = 3600
