"""Rules of the project that no other tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.warehouse.dictionary import dictionary

ROOT = Path(__file__).parent.parent
PACKAGES = ("connectors", "pipelines", "transforms")
LONGEST_FILE = 400

#: Where a binary float is made on purpose, by file and function, and why no money is in it.
FLOATS_ALLOWED = {
    ("connectors/exports/parquet_text.py", "_text"): "a 16-bit float of a delivered file is widened to get its text",
}


def _tracked(*patterns: str) -> list[Path]:
    """Files under version control, or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in listed if (ROOT / name).is_file()]


def _calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Every call, with the name of the function it stands in."""

    def walk(node: ast.AST, within: str) -> Iterator[tuple[str, ast.Call]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            within = node.name
        if isinstance(node, ast.Call):
            yield within, node
        for child in ast.iter_child_nodes(node):
            yield from walk(child, within)

    yield from walk(tree, "")


def _banned(call: ast.Call) -> str | None:
    """What is wrong with a call that could make a decimal a binary float; None when nothing is."""
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in ("to_sql", "read_sql", "read_sql_query", "read_sql_table", "float"):
        return name
    if name in ("astype", "cast", "array", "asarray"):
        given = [*call.args, *(keyword.value for keyword in call.keywords)]
        if any(
            re.fullmatch(r"(\w+\.)?'?(float|float_|float32|float64|double)'?(\(\))?", ast.unparse(one)) for one in given
        ):
            return f"{name} to a float"
    return None


@pytest.mark.parametrize(
    "code",
    [
        "frame.to_sql('t')",
        "pd.read_sql(q, c)",
        "float(x)",
        "a.astype(float)",
        "a.astype('float64')",
        "np.asarray(x, dtype=np.float64)",
        "pc.cast(a, pa.float64())",
    ],
)
def test_the_ban_on_floats_sees_them(code: str) -> None:
    assert [_banned(call) for _, call in _calls(ast.parse(code)) if _banned(call)]


def test_no_money_passes_through_a_float() -> None:
    found = []
    for file in _tracked(*(f"{package}/*.py" for package in PACKAGES)):
        name = file.relative_to(ROOT).as_posix()
        for within, call in _calls(ast.parse(file.read_text(encoding="utf-8"))):
            banned = _banned(call)
            if banned and (name, within) not in FLOATS_ALLOWED:
                found.append(f"{name}:{call.lineno} {banned}")
    assert found == []


def test_no_file_is_too_long_to_read() -> None:
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in _tracked("*.py", "*.sql")}
    assert lengths
    assert {str(file.relative_to(ROOT)): n for file, n in lengths.items() if n > LONGEST_FILE} == {}


def test_the_project_names_no_machine_and_no_registry() -> None:
    """Paths of one machine and hosts of package registries do not belong into a project that others install."""
    machine = re.compile(r"(?<![\w.~>}])/(work|root|home|Users|tmp|opt)/\w")
    registry = re.compile(r"(?i)(pypi[.]org|python[h]osted|--(extra-)?[i]ndex-url|--[f]ind-links|@ [f]ile:|[.]whl\b)")
    found = []
    for file in _tracked():
        if file.suffix in (".xlsx", ".parquet", ".gz", ".zip"):
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if machine.search(line) or registry.search(line):
                found.append(f"{file.relative_to(ROOT)}:{number} {line.strip()}")
    assert found == []


def test_constraints_pin_every_dependency_and_nothing_but_versions() -> None:
    import tomllib

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", pin) for pin in pins)
    pinned = {_plain(pin.partition("==")[0]) for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = [re.match(r"[\w.-]+", one) for one in wanted]
    assert {_plain(name[0]) for name in names if name} - pinned == set()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_make_explains_itself() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in shown.splitlines()} >= {"demo", "test", "lint", "format", "clean"}


def test_the_data_dictionary_is_up_to_date() -> None:
    written = (ROOT / "docs" / "data-dictionary.md").read_text(encoding="utf-8")
    assert written == dictionary(), "run `make dictionary`"
