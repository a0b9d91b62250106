"""Every hostile file ends in one line or in quarantine, within bounded time and memory.

The commands run one after the other in a process of their own, whose memory is limited and whose peak the kernel
counts anew for each. `CSP_BILLING_HOSTILE=all`, as in `make hostile`, takes also the cases that take longer, and runs
`reconcile` and `run` on each.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.exports.delivery import open_delivery
from tests.security.hostile_files import CASES, PERIOD, Case, write_sound_exports

ALL = os.environ.get("CSP_BILLING_HOSTILE") == "all"
CHOSEN = {name: case for name, case in CASES.items() if ALL or not case.slow}
#: What is refused is refused by the same readers as `identify` calls; a run adds that all of it is.
_RECONCILED = [
    CASES[name] for name in ("overlapping zip", "gzip bomb of rows", "a cell of 100 MB", "lines of empty objects",
                             "Parquet of one repeated text", "NUL bytes further on", "lone surrogates",
                             "a name of control characters", "a name that is no UTF-8", "a named pipe")
]  # fmt: skip
MOST_MEMORY = 1 << 30
#: Alone on a machine each takes a second or two.
MOST_SECONDS = 20 if ALL else 60
#: What may be reserved, not used: libraries reserve much more than they touch.
_RESERVED = 16 << 30


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What each command did with each case, by the case's name."""
    root = tmp_path_factory.mktemp("hostile")
    commands, owners = [["warehouse", "upgrade"]], [""]
    for number, (name, case) in enumerate(CHOSEN.items()):
        folder = root / f"case-{number}" / "exports"
        write_sound_exports(folder)
        case.write(folder)
        for command in _commands(case, folder):
            commands.append(command)
            owners.append(name)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CSP_BILLING_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.child"],
        input=json.dumps(commands), capture_output=True, text=True, timeout=len(commands) * MOST_SECONDS,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_RESERVED, _RESERVED)),
        env={**environment, "CSP_BILLING_HOME": str(root / "home"), "CSP_BILLING_SNAPSHOT": "false",
             "PYTHONIOENCODING": "utf-8:backslashreplace"},
    )  # fmt: skip
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(commands), done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for owner, command, answer in zip(owners, commands, answers, strict=True):
        found.setdefault(owner, []).append({**answer, "command": command[0]})
    return found


def _commands(case: Case, folder: Path) -> list[list[str]]:
    named = ["--period", PERIOD, "--exports", str(folder)]
    chosen = [["identify", str(folder), "--json"]]
    if ALL or case in _RECONCILED:
        chosen.append(["reconcile", *named])
    if ALL:
        chosen.append(["run", "--dry-run", *named])
    return chosen


@pytest.mark.parametrize("name", CHOSEN)
def test_a_hostile_file_is_told_of(outcomes: dict[str, list[dict[str, Any]]], name: str) -> None:
    case = CASES[name]
    for outcome in outcomes[name]:
        told = f"{outcome['command']}: {outcome['out'][-600:]} {outcome['err'][-600:]}"
        assert "Traceback" not in outcome["err"], told
        assert outcome["peak"] < MOST_MEMORY, told
        assert outcome["seconds"] < MOST_SECONDS, told
        _nothing_commands_the_terminal(outcome)
        if outcome["command"] == "identify":
            _identified(case, outcome)
        elif case.outcome == "refused":
            assert outcome["code"] == 2, told
            assert outcome["err"].count("\n") == 1, told
            assert case.named in outcome["err"], told
            assert case.words in outcome["err"], told
        else:
            assert outcome["code"] in (0, 1), told
            assert outcome["code"] == 1 or case.outcome != "quarantined", told
            assert case.named in outcome["err"] or case.outcome != "skipped", told


def _identified(case: Case, outcome: dict[str, Any]) -> None:
    if outcome["code"]:
        assert (outcome["code"], case.outcome) == (2, "refused")
        return
    (of_case, *_) = [one for one in json.loads(outcome["out"]) if case.named in one["path"]] or [None]
    assert of_case is not None or case.named == "again"
    if case.words and of_case is not None and case.outcome == "refused":
        assert of_case["kind"] == "unknown" or case.words not in (of_case["problem"] or "")


def _nothing_commands_the_terminal(outcome: dict[str, Any]) -> None:
    for text in (outcome["out"], outcome["err"]):
        commands = {one for one in text if not one.isprintable() and one != "\n"}
        assert commands == set()


def test_links_in_an_archive_are_texts(tmp_path: Path) -> None:
    """A link is a text like any other, and no name leads out of the archive."""
    folder = tmp_path / "exports"
    write_sound_exports(folder)
    CASES["links and paths in a zip"].write(folder)
    names = [one.path.partition("!")[2] for one in open_delivery(folder).skipped]
    assert "link.csv" in names
    assert not any(name.startswith("/") or ".." in name or "\n" in name for name in names)
    assert {path.name for path in tmp_path.rglob("*")} == {"exports", "recon-sound.csv", "invoices.json", "b.zip"}
