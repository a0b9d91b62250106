"""How the commands feel: progress and tables on a terminal, plain text in a pipe, JSON, completion, mistakes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from decimal import Decimal
from pathlib import Path

import pytest
import typer

from connectors.warehouse.checks import read_checks
from examples.month import generate_month
from pipelines.cli import app
from pipelines.completion import complete_codes, complete_periods, complete_runs
from pipelines.output import note, print_table, say
from tests.pipelines.conftest import Command

ROOT = Path(__file__).parents[2]
#: Do not end by themselves, or do the whole job, which other tests do.
_AT_WORK = {"demo", "sandbox"}
#: Tells progress at once, not after a second.
_IMPATIENT = """
import sys
from pipelines import progress
from pipelines.cli import main
progress.PATIENCE_SECONDS = 0
sys.argv[0] = "csp-billing"
main()
"""


class Terminal(io.StringIO):
    """What is printed to a terminal."""

    def isatty(self) -> bool:
        return True


def commands() -> list[str]:
    """Every command, a sub-command with its group."""
    found: list[str] = []

    def visit(group: object, prefix: str) -> None:
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                visit(command, f"{prefix}{name} ")
            else:
                found.append(prefix + name)

    visit(typer.main.get_command(app), "")
    return found


def test_every_command_has_help_and_answers_in_json_also_when_it_fails(command: Command) -> None:
    assert len(commands()) > 25
    for name in commands():
        shown = command(*name.split(), "--help")
        assert shown.code == 0, name
        assert "--json" in shown.out, name
        if name in _AT_WORK:
            continue
        # Without arguments, in an empty folder and without HaloPSA, many cannot do anything.
        done = command(*name.split(), "--json")
        document = done.document
        # What is wrong with the set-up is what `doctor` has to tell.
        if done.code > 1 and name != "doctor":
            assert document == {"error": document["error"], "exit_code": done.code}, name
            assert done.err == f"csp-billing: {document['error']}\n", name


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["findigs"], "Did you mean 'findings'"),
        (["run"], "`csp-billing run --help`"),
        (["run", "--period", "2026-13"], "write it as YYYY-MM"),
        (["reconcile", "--period", "2025-11"], "--exports"),
        (["findings"], "csp-billing reconcile --period"),
        (["findings", "--code", "nope"], "the codes are ABOVE_ERP"),
        (["load", "nope"], "csp-billing status"),
        (["status", "--period", "2025-11"], "csp-billing run --period 2025-11"),
        (["warehouse", "query", "select * from out_rns"], 'Did you mean "out_runs"'),
        (["sandbox", "--port", "99999999"], "65535"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_what_to_do(command: Command, arguments: list[str], told: str) -> None:
    command("warehouse", "upgrade")
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert done.err.count("\n") == 1


def test_a_group_without_a_command_prints_its_help(command: Command) -> None:
    done = command("waivers")
    assert done.code == 2
    assert len(done.err.splitlines()) > 5


def on_terminal(*arguments: str) -> tuple[str, str, int]:
    """Run a command with a terminal of 80 columns as stderr: its stdout, which is a pipe, its stderr, its exit code."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "80"}
    shown: list[bytes] = []

    def watch() -> None:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                return
            if not data:
                return
            shown.append(data)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with subprocess.Popen(
        [sys.executable, "-c", _IMPATIENT, *arguments], stdout=subprocess.PIPE, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        out = process.stdout.read().decode()
    watcher.join(10)
    os.close(ours)
    return out, b"".join(shown).decode(), process.returncode


def test_progress_is_shown_on_a_terminal_and_nowhere_else(tmp_path: Path) -> None:
    generate_month(tmp_path / "exports", period="2025-11")
    arguments = ("reconcile", "--period", "2025-11", "--json")
    out, shown, code = on_terminal(*arguments)
    assert code == 1, shown
    assert json.loads(out)["lines"] > 2000
    counted = re.findall(r"judging lines.*?([\d,]+)(?: of [\d,]+)?, [\d,.]+/s", shown)
    assert int(counted[-1].replace(",", "")) > 2000
    # The last thing that is done is to wipe the line away and show the cursor again.
    assert shown.rstrip().endswith("\x1b[2K")
    assert "\x1b[?25h" in shown
    piped = subprocess.run([sys.executable, "-c", _IMPATIENT, *arguments], capture_output=True, text=True, check=False,
                           env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert "judging" not in piped.stdout + piped.stderr
    assert "\x1b" not in piped.stdout + piped.stderr
    json.loads(piped.stdout)


def shown_table(monkeypatch: pytest.MonkeyPatch, width: int, columns: list[str], rows: list[list[object]]) -> str:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(columns, rows)
    monkeypatch.undo()
    return terminal.getvalue()


_COLUMNS = ["line_id", "severity", "amount", "currency", "message"]
_ROWS: list[list[object]] = [
    ["3514608d3336962a15839ac8", "block", Decimal("1234.50"), "JPY", "A full charge cycle costs more than it does."],
    ["32c2f2b6f0b6aec4f3599bdb", "warn", Decimal("7"), "USD", "[red]Bäckerei\x1b[31m und Söhne[/red] 会社 is no tag"],
    ["32c2f2b6f0b6aec4f3599bdc", "info", Decimal("-7000"), "JPY", None],
]


@pytest.mark.parametrize("width", [20, 40, 80, 100, 200])
def test_a_table_fits_its_terminal_and_loses_nothing(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    from rich.cells import cell_len

    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    text = shown_table(monkeypatch, width, _COLUMNS, _ROWS)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert max(cell_len(line.rstrip()) for line in plain.splitlines()) <= width
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", text)
    together = re.sub(r"\s", "", plain)
    for id_, *_ in _ROWS:
        assert str(id_) in together
    for word in ("costs", "[red]Bäckerei", "Söhne[/red]", "会社", "1234.5", "7.00", "-7000"):
        assert word in together
    assert "7000.0" not in together


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[31mblock" in shown_table(monkeypatch, 200, _COLUMNS, _ROWS)


def test_a_pipe_gets_aligned_text_that_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 200 + "end"
    print_table(_COLUMNS, [*_ROWS, ["a", "info", Decimal("1.005"), "KWD", long]])
    say(long)
    note(long)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert len(lines) == len(_ROWS) + 3
    assert lines[-2].endswith(long)
    assert lines[-1] == long == printed.err.rstrip("\n")
    assert "\x1b" not in printed.out
    ends = {line.index(value) + len(value) for line, value in zip(
        lines, ["amount", "1234.5", "7.00", "-7000", "1.005"], strict=False)}  # fmt: skip
    assert len(ends) == 1


def test_a_sentence_is_broken_between_words_and_not_inside_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    command = "`csp-billing findings --run 2025-11-20261125T042849-53dc`"
    say(f"  next: look at the 18 findings that block with {command} and then approve them")
    lines = terminal.getvalue().splitlines()
    assert [line for line in lines if command in line]
    assert all(line.startswith("  ") and len(line) <= 60 for line in lines)


def test_runs_periods_and_codes_are_completed_and_a_missing_warehouse_is_left_missing(
    command: Command, tmp_path: Path
) -> None:
    assert complete_runs("") == complete_periods("2") == []
    assert not (tmp_path / ".csp-billing").exists()
    generate_month(Path("exports"), period="2025-11")
    run_id = command("reconcile", "--period", "2025-11", "--json").document["run_id"]
    assert complete_runs("2025") == [(run_id, "2025-11, reconciled")]
    assert complete_runs("2026") == []
    assert complete_periods("") == [("2025-11", "runs: 1")]
    assert complete_codes("above") == [("ABOVE_ERP", "block")]


def test_a_query_is_read_from_a_file_and_prints_exact_numbers_that_no_column_hides(command: Command) -> None:
    command("warehouse", "upgrade")
    sql = "select cast('0.10' as decimal(38, 18)) as n, 2 as n, 'a, \"b\"' as t, true as b, null as e"
    Path("month.sql").write_text(f"\ufeff{sql};\n", encoding="utf-8")
    asked = ("warehouse", "query", "--file", "month.sql")
    assert command(*asked, "--csv").out == 'n,n,t,b,e\n0.1,2,"a, ""b""",true,\n'
    assert command(*asked, "--json").document == [{"n": "0.1", "n_2": 2, "t": 'a, "b"', "b": True, "e": None}]
    for wrong in (["warehouse", "query"], [*asked, "select 1"], ["warehouse", "query", "--file", "none.sql"]):
        refused = command(*wrong)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    cut = command("warehouse", "query", "select * from out_runs union all select * from out_runs", "--limit", "1")
    assert (cut.code, cut.err) == (0, "")
    cut = command("warehouse", "query", "select unnest([1, 2])", "--limit", "1")
    assert cut.err == "1 row, and there are more: --limit N gives N of them, --limit 0 all\n"


def test_checks_and_views_say_what_they_mean(command: Command) -> None:
    command("warehouse", "upgrade")
    checked = command("warehouse", "check")
    count = len(read_checks())
    assert (checked.code, checked.out.splitlines()[-1]) == (0, f"{count} checks: {count} ok")
    single = command("warehouse", "check", "halo_id_once")
    assert "halo_id_once (fail): two things of the ledger share one id" in single.out
    assert single.out.endswith("1 check: 1 ok\n")
    assert "the checks are billed_run_is_all_billed" in command("warehouse", "check", "nope").err
    views = command("warehouse", "views", "--json").document
    assert "out_focus" in {view["view"] for view in views}
    columns = command("warehouse", "views", "OUT_RUNS", "--json").document
    assert columns[0] == {"column": "run_id", "type": "text", "unit": "", "means": "The run."}


def test_a_doctor_shows_what_holds_and_what_nobody_set(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSP_BILLING_HALO_RATE", "5/1")
    told = command("doctor").out
    assert re.search(r"^CSP_BILLING_WAREHOUSE_URL +duckdb:///\.csp-billing/warehouse\.duckdb +default$", told, re.M)
    assert re.search(r"^CSP_BILLING_HALO_RATE +5/1$", told, re.M)
    assert re.search(r"^CSP_BILLING_APPROVER +who is logged in +default$", told, re.M)
