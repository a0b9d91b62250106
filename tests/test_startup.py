"""What a command loads before it does anything: told by its modules, which no busy machine changes.

A command without figures must not load Arrow, identifying a file no database, and so on; each of these libraries
costs a tenth of a second or more. Times are only bounded, widely, and in processor time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_WATCHED = {
    "adlfs", "aiohttp", "alembic", "duckdb", "fastapi", "fsspec", "jinja2", "msal", "numpy", "pandas", "prefect",
    "pyarrow", "requests", "rich", "s3fs", "sqlalchemy", "starlette", "uvicorn", "vl_convert",
}  # fmt: skip
_ARROW = {"numpy", "pandas", "pyarrow"}
#: Runs a command and says last on stderr, whatever the command did, which of the watched modules it has loaded.
_PROGRAM = f"""
import sys
from pipelines.cli import main
sys.argv[0] = "csp-billing"
try:
    main()
finally:
    print(*sorted({_WATCHED!r} & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty current folder, and no setting from outside."""
    for name in list(os.environ):
        if name.startswith(("CSP_BILLING_", "PREFECT_", "TYPER_", "COV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)


def started(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, followed by what it has loaded."""
    return subprocess.run([sys.executable, "-c", _PROGRAM, *arguments],
                          capture_output=True, text=True, timeout=240, check=False)  # fmt: skip


def loaded(*arguments: str, code: int = 0) -> set[str]:
    """Which of the watched modules a command has loaded when it ends."""
    done = started(arguments)
    assert done.returncode == code, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.fixture
def export(tmp_path: Path) -> str:
    """A small price list: a kind of export that is read to its end."""
    names = ["ProductTitle", "ProductId", "SkuId", "SkuTitle", "Publisher", "SkuDescription", "UnitOfMeasure",
             "TermDuration", "BillingPlan", "Market", "Currency", "UnitPrice", "PricingTierRangeMin",
             "PricingTierRangeMax", "EffectiveStartDate", "EffectiveEndDate", "Tags", "ERP Price", "Segment",
             "PreviousValues"]  # fmt: skip
    row = ["Licence", "CFQ7TTC0LF8Q", "0001", "Licence", "Microsoft", "", "", "P1Y", "Monthly", "US", "USD", "10.00",
           "", "", "2025-11-01T00:00:00Z", "2025-11-30T23:59:59Z", "", "12.00", "Commercial", ""]  # fmt: skip
    path = tmp_path / "prices.csv"
    path.write_text(",".join(names) + "\n" + ",".join(row) + "\n")
    return str(path)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["warehouse", "--help"], ["orders", "--help"], ["landing", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded(*arguments) == set()


@pytest.mark.parametrize("arguments", [["nothing"], ["identify"], ["identify", "no_such_file", "--json"], ["run"]])
def test_a_mistake_is_told_without_a_database_or_a_remote(arguments: list[str]) -> None:
    assert loaded(*arguments, code=2) <= _ARROW


def test_completion_loads_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "csp-billing ident")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv("_CSP_BILLING_COMPLETE", "complete_bash")
    done = started([])
    assert done.stdout.split() == ["identify"]
    assert set(done.stderr.split()) <= {"rich"}


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_identify_loads_neither_database_nor_remote(export: str, options: list[str]) -> None:
    done = started(["identify", export, *options])
    assert "price_list" in done.stdout
    assert set(done.stderr.split()) <= _ARROW


def test_a_current_warehouse_is_asked_without_alembic_and_without_halopsa(tmp_path: Path) -> None:
    assert "alembic" in loaded("warehouse", "upgrade")
    needed = {*_ARROW, "duckdb", "sqlalchemy"}
    assert loaded("warehouse", "status") <= needed
    assert loaded("findings", code=2) <= needed
    assert loaded("explain", "no-such-line", code=2) <= needed


def test_prefect_is_loaded_only_where_a_profile_names_an_api(tmp_path: Path) -> None:
    profiles = tmp_path / "prefect" / "profiles.toml"
    profiles.parent.mkdir()
    profiles.write_text('active = "local"\n[profiles.local]\nPREFECT_LOGGING_LEVEL = "ERROR"\n')
    assert "prefect" not in loaded("reconcile", "--period", "2025-11", code=2)
    profiles.write_text('active = "other"\n[profiles.other]\n[profiles.local]\nPREFECT_API_URL = "http://[::1]:1"\n')
    assert "prefect" in loaded("reconcile", "--period", "2025-11", code=2)


def test_the_sandbox_needs_no_warehouse() -> None:
    program = f"import sys, pipelines.sandbox; print(*({_WATCHED!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=240, check=True)
    assert set(done.stdout.split()).isdisjoint({"alembic", "duckdb", "pandas", "prefect", "requests", "sqlalchemy"})


@pytest.mark.parametrize(("arguments", "seconds"), [(["--help"], 1.5), (["identify", "prices.csv"], 4)])
def test_processor_time_is_bounded(export: str, arguments: list[str], seconds: float) -> None:
    """Bounds are several times what it takes: 0.1 and 0.7 seconds on two slow cores."""
    command = [sys.executable, "-m", "pipelines.cli", *arguments]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_utime + usage.ru_stime < seconds
