"""The documentation is true: its commands, settings, findings and links exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from pipelines.cli import app
from pipelines.settings import PREFIX, Settings
from transforms.finding_help import FINDING_HELP
from transforms.policy import SEVERITIES, Policy, parse_policy

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> dict[str, set[str]]:
    """Every command, a sub-command with its group, and its options."""
    found: dict[str, set[str]] = {}

    def visit(group: object, prefix: str) -> None:
        for name, command in group.commands.items():  # type: ignore[attr-defined]
            if hasattr(command, "commands"):
                visit(command, f"{name} ")
            else:
                found[prefix + name] = {option for one in command.params for option in one.opts}

    visit(typer.main.get_command(app), "")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_shown_exist_with_their_options(page: Path) -> None:
    known = commands()
    for shown in re.findall(r"csp-billing ([a-z][a-z-]*(?:[ \\|a-z-]+)?[^`\n|]*)", page.read_text(encoding="utf-8")):
        words = shown.split()
        in_group = len(words) > 1 and any(name.startswith(f"{words[0]} ") for name in known)
        name = f"{words[0]} {re.split(r'[^a-z]', words[1])[0]}" if in_group else words[0]
        if name not in known:
            # "csp-billing closes the gap": a sentence, not a command.
            assert not any(word.startswith("-") for word in words), shown
            continue
        assert {word for word in words if word.startswith("--")} <= known[name], shown


def test_every_command_is_in_the_readme_and_takes_json() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, options in commands().items():
        assert "--json" in options, name
        assert name.split()[-1] in readme, name


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        assert f"`{PREFIX}{name.upper()}`" in text, name
    assert set(re.findall(PREFIX + r"[A-Z_]+", text)) == {PREFIX + name.upper() for name in Settings.model_fields}


def test_every_finding_is_documented_with_its_severity_and_as_reports_explain_it() -> None:
    text = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z_]+)` \| (\w+)[^|]* \| ([^|]+) \| ([^|]+) \|$", text, re.M)
    assert {code: severity for code, severity, *_ in rows} == SEVERITIES
    assert {code: tuple(help_) for code, _, *help_ in rows} == FINDING_HELP


def test_the_documented_policy_file_is_read() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.S)
    assert example is not None
    policy = parse_policy(example[1], "example")
    assert policy.customers
    for name in Policy.model_fields:
        assert name in text
