"""The page in headless Chromium: usable by keyboard, quick, accessible, printable. Skipped without one."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from connectors.reports.amounts import amount_text
from connectors.reports.contents import ReportContents, read_contents
from connectors.reports.page import write_page
from connectors.warehouse.engine import open_warehouse
from examples.month import generate_month
from pipelines.billing import reconcile_month
from pipelines.settings import load_settings
from tests.reports.hostile import HOSTILE, renamed
from transforms.finding_help import FINDING_HELP

#: What 50,000 findings may take, in milliseconds: several times what it takes on two slow cores (500, 500, 30).
LOAD, SEARCH, SORT = 3000, 2500, 500

_CHROMIUM = next(
    (found for name in ("chromium", "chromium-headless-shell", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="there is no Chromium on this machine")


@dataclass(frozen=True)
class Opened:
    """A page, and what it must not do: asking for anything but itself, complaining, opening a dialogue."""

    page: Page
    problems: list[str]

    @property
    def shown(self) -> Locator:
        return self.page.locator("#shown")

    def tab_to(self, selector: str) -> Locator:
        """Go on with Tab until an element has the focus, which is then to be seen."""
        for _ in range(400):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                assert self.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
                return self.page.locator(":focus")
        raise AssertionError(f"Tab never reaches {selector}")

    def column(self, place: int) -> list[str]:
        return self.page.locator(f"#findings-rows > tr > :nth-child({place})").all_inner_texts()


Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--disable-gpu"] +
                                             ["--no-sandbox"] * (os.geteuid() == 0))  # fmt: skip
        yield started
        started.close()


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> ReportContents:
    """The example month with a month before it, run twice: the second time with a margin floor that finds a lot."""
    folder = tmp_path_factory.mktemp("month")
    policy = folder / "policy.json"
    policy.write_text('{"margin_floor": "0.5"}')
    url = f"duckdb:///{folder / 'warehouse.duckdb'}"
    for period, plant, floor in (("2025-10", False, None), ("2025-11", True, None), ("2025-11", True, policy)):
        exports = folder / period
        if not exports.exists():
            generate_month(exports, period=period, plant=plant, customers=6)
        settings = load_settings(home=folder, exports=str(exports), warehouse_url=url, policy=floor)
        run = reconcile_month(settings, period)
    return read_contents(open_warehouse(settings.warehouse), run.run_id)


@pytest.fixture(scope="module")
def files(month: ReportContents, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages by name: the month, the month of hostile names, the month with 50,000 findings."""
    folder = tmp_path_factory.mktemp("pages")
    made = {"month": month, "hostile": renamed(month, HOSTILE), "many": with_findings(month, 50_000)}
    for name, contents in made.items():
        write_page(contents, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in made}


def with_findings(contents: ReportContents, count: int) -> ReportContents:
    """The same findings again and again, each with a line of its own."""
    findings = contents.findings.take(pa.array(place % contents.finding_count for place in range(count)))
    messages = findings["message"].to_pylist()
    for name, texts in (("line_id", (f"line-{place}" for place in range(count))),
                        ("message", (f"{text} ({place})" for place, text in enumerate(messages)))):
        findings = findings.set_column(findings.column_names.index(name), name, pa.array(texts, pa.string()))
    return replace(contents, findings=findings, finding_count=count)


@pytest.fixture
def opened(browser: Browser, files: dict[str, Path]) -> Open:
    @contextmanager
    def open_page(name: str, **options: Any) -> Iterator[Opened]:
        context = browser.new_context(**{"viewport": {"width": 1300, "height": 900}, **options})
        page, problems, url = context.new_page(), [], files[name].as_uri()
        page.on("request", lambda request: problems.extend([f"asked for {request.url}"] * (request.url != url)))
        page.on("console", lambda message: problems.append(f"said {message.text}"))
        page.on("pageerror", lambda error: problems.append(f"failed: {error}"))
        page.on("dialog", lambda dialog: problems.append(f"opened a dialogue: {dialog.message}"))
        page.goto(url)
        yield Opened(page, problems)
        assert problems == []
        context.close()

    return open_page


def matching(contents: ReportContents, *words: str, **wanted: str) -> list[dict[str, Any]]:
    """Findings that hold all words somewhere and these values."""
    found = []
    for row in contents.findings.to_pylist():
        whole = "\n".join(str(value) for value in row.values() if isinstance(value, str)).lower()
        if all(word in whole for word in words) and all(row[name] == value for name, value in wanted.items()):
            found.append(row)
    return found


def test_findings_are_searched_filtered_sorted_and_opened_by_keyboard(month: ReportContents, opened: Open) -> None:
    count = month.finding_count
    assert count > 60
    with opened("month") as one:
        keys = one.page.keyboard
        assert one.tab_to(".skip").inner_text() == "Skip to the content"
        keys.press("Enter")
        one.tab_to("input[name=search]")
        keys.type("margin floor")
        few = matching(month, "margin", "floor")
        expect(one.shown).to_have_text(re.compile(rf"^{len(few)} of {count} findings"))
        keys.press("Control+A")
        keys.type("no such thing")
        expect(one.shown).to_have_text(f"None of {count} findings matches")
        one.tab_to("#filters button[type=reset]")
        keys.press("Enter")
        expect(one.shown).to_have_text(f"{count} findings, 1 to 50 shown")

        one.page.locator("#filters").press("Shift+Tab")
        one.page.locator("input[name=standing][value=warn]").focus()
        keys.press("Space")
        blocking = matching(month, severity="block")
        expect(one.shown).to_have_text(re.compile(rf"^{len(blocking)} of {count} findings"))
        one.tab_to("select[name=code]")
        keys.type("SUBTOTAL")
        expect(one.shown).to_have_text(
            re.compile(rf"^{len(matching(month, severity='block', code='SUBTOTAL_MISMATCH'))} of {count} findings")
        )
        one.tab_to("#filters button[type=reset]")
        keys.press("Enter")
        one.page.locator("select[name=size]").select_option("1000")

        one.tab_to("th[data-sort=difference_amount] button")
        for direction in ("descending", "ascending"):
            keys.press("Enter")
            expect(one.page.locator("th[data-sort=difference_amount]")).to_have_attribute("aria-sort", direction)
            amounts = sorted((row["currency"] or "", row["difference_amount"]) for row in month.findings.to_pylist()
                             if row["difference_amount"] is not None)  # fmt: skip
            texts = [f"{amount_text(amount, currency)} {currency}".strip() for currency, amount in amounts]
            empty = [""] * (count - len(texts))
            assert one.column(6) == [*(reversed(texts) if direction == "descending" else texts), *empty]
        one.tab_to("th[data-sort=standing] button")
        keys.press("Space")
        assert one.page.locator("th[aria-sort]").count() == 1
        assert one.column(2) == sorted(row["severity"] for row in month.findings.to_pylist())

        row = one.tab_to("#findings-rows button")
        keys.press("Enter")
        expect(row).to_have_attribute("aria-expanded", "true")
        details = one.page.locator("#findings-rows .details")
        assert FINDING_HELP[row.inner_text()].fires_when.split("`")[0] in details.inner_text()
        assert f"csp-billing explain {month.findings['line_id'][0].as_py() or ''}".strip() in details.inner_text()
        keys.press("Enter")
        expect(details).to_have_count(0)


def test_pages_are_turned_and_codes_lead_to_their_findings(month: ReportContents, opened: Open) -> None:
    with opened("month") as one:
        expect(one.page.get_by_role("button", name="Previous")).to_be_disabled()
        one.tab_to("[data-step='1']")
        one.page.keyboard.press("Enter")
        expect(one.shown).to_have_text(re.compile(r"51 to \d+ shown$"))
        assert one.page.locator("#findings-rows > tr").count() == min(50, month.finding_count - 50)
        one.page.locator("#codes a[data-value=TOTAL_MISMATCH]").press("Enter")
        expect(one.shown).to_have_text(re.compile(rf"^{len(matching(month, code='TOTAL_MISMATCH'))} of "))
        expect(one.page.locator("select[name=code]")).to_have_value("TOTAL_MISMATCH")


@pytest.mark.parametrize("options", [
    {"color_scheme": "light"}, {"color_scheme": "dark", "viewport": {"width": 360, "height": 700}},
], ids=["light", "dark and narrow"])  # fmt: skip
def test_axe_finds_nothing(opened: Open, options: dict[str, Any]) -> None:
    # Axe is a script of its own, which the page's policy keeps out.
    with opened("hostile", bypass_csp=True, **options) as one:
        one.page.locator("#findings-rows button").first.click()
        one.page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        report = Axe().run(one.page, options={"resultTypes": ["violations"]})
        assert report.violations_count == 0, report.generate_report()
        assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the window"


def test_what_partner_data_say_does_nothing(opened: Open) -> None:
    with opened("hostile") as one:
        one.page.locator("select[name=size]").select_option("1000")
        for button in one.page.locator("#findings-rows button").all()[: len(HOSTILE)]:
            button.click()
        assert one.page.evaluate("window.hacked") is None
        assert one.page.locator("script").count() == 2
        assert one.page.locator("img, #findings-rows u, b").count() == 0
        visible = {text for text in HOSTILE if one.page.get_by_text(text, exact=True).count()}
        assert len(visible) >= len(HOSTILE) - 1  # white space is shown as a browser shows it
        hebrew = one.page.locator("#findings-rows bdi", has_text="שלום").first
        assert hebrew.evaluate("one => getComputedStyle(one).direction") == "rtl"
        assert hebrew.evaluate("one => getComputedStyle(one.closest('tr')).direction") == "ltr"


def test_dark_and_light_are_changed_and_kept(opened: Open) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    with opened("month", color_scheme="light") as one:
        light = one.page.evaluate(background)
        one.tab_to("#theme")
        one.page.keyboard.press("Space")
        expect(one.page.locator("#theme")).to_have_attribute("aria-pressed", "true")
        dark = one.page.evaluate(background)
        assert dark != light
        one.page.reload()
        assert one.page.evaluate(background) == dark
        one.page.emulate_media(media="print")
        assert one.page.evaluate(background) == light


def test_printing_shows_every_finding_or_says_how_many(month: ReportContents, opened: Open) -> None:
    count_rows = """addEventListener("beforeprint", () => {
        window.printed = [document.querySelectorAll("#findings-rows > tr").length, document.getElementById("printed").textContent];
    })"""  # noqa: E501
    for name, rows, said in (
        ("month", month.finding_count, f"All {month.finding_count} findings"),
        ("many", 2000, "2,000 of the 50,000 findings that match, of 50,000 in all; reconciliation.xlsx has every one"),
    ):
        with opened(name) as one:
            one.page.evaluate(count_rows)
            if name == "month":
                assert one.page.pdf(format="A4").count(b"/Type /Page\n") > 2
            else:
                one.page.evaluate("dispatchEvent(new Event('beforeprint'))")
            assert one.page.evaluate("window.printed") == [rows, said]


def test_fifty_thousand_findings_are_used_at_once(opened: Open) -> None:
    with opened("many") as one:
        loaded = "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"
        timed = "act => { const began = performance.now(); act(); return performance.now() - began; }"

        def click(selector: str) -> float:
            return float(one.page.evaluate(f"({timed})(() => document.querySelector('{selector}').click())"))

        times = {"load": one.page.evaluate(loaded)}
        one.page.locator("input[name=search]").evaluate("one => { one.value = 'line-4999'; }")
        times["search"] = click("#filters button[type=submit]")
        expect(one.shown).to_have_text("11 of 50,000 findings, 1 to 11 shown")
        one.page.locator("input[name=search]").evaluate("one => { one.value = ''; }")
        times["again"] = click("#filters button[type=submit]")
        for name in ("difference_amount", "customer", "code"):
            times[name] = click(f"th[data-sort={name}] button")
        print({name: round(Decimal(str(time))) for name, time in times.items()})
        assert times["load"] < LOAD
        assert max(times["search"], times["again"]) < SEARCH
        assert max(times["difference_amount"], times["customer"], times["code"]) < SORT
