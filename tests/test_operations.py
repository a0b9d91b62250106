"""The runbook knows every exit code, finding and status; the examples of a deployment are what they say."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from transforms import errors
from transforms.policy import SEVERITIES

ROOT = Path(__file__).parents[1]
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
DEPLOY = ROOT / "examples" / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
IMAGE_PREFECT = re.compile(r"prefecthq/prefect:([\d.]+)-python3\.11")


def _section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", RUNBOOK, re.M | re.S)
    assert found is not None
    return found[1]


def test_the_runbook_has_every_finding_once() -> None:
    assert sorted(re.findall(r"^\| `([A-Z_]+)` \|", _section("Runbook: findings"), re.M)) == sorted(SEVERITIES)


def test_the_runbook_has_every_exit_code() -> None:
    ours = {each.exit_code for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "exit_code")}
    documented = set(map(int, re.findall(r"^\| `(\d+)` \|", _section("Runbook: exit codes"), re.M)))
    assert documented == ours | {0, 1, 130}


def test_the_messages_that_the_runbook_quotes_are_said() -> None:
    source = "\n".join(
        file.read_text(encoding="utf-8") for part in ("connectors", "pipelines") for file in (ROOT / part).rglob("*.py")
    )
    source = re.sub(r'"\s*\n\s*f?"', "", source)
    for quoted in re.findall(r'"([^"\n]+…?[^"\n]+)"', _section("Runbook: exit codes") + _section("Stuck runs.*")):
        for part in re.split(r"\s*…\s*", quoted):
            assert part in source, part


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_takes_the_units() -> None:
    command = ["systemd-analyze", "verify", "--man=no", *map(str, UNITS)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # What other units of this machine have wrong is not ours.
    assert [line for line in outcome.stderr.splitlines() if "csp-billing" in line] == []
    assert outcome.returncode == 0, outcome.stderr


def test_the_timer_bills_the_month_before_on_whatever_day_it_comes_late() -> None:
    unit = (DEPLOY / "systemd" / "csp-billing.service").read_text(encoding="utf-8")
    started = re.search(r"^ExecStart=/bin/sh -c '(.*)'$", unit, re.M)
    assert started is not None
    command = started[1].replace("$$", "$").replace("%%", "%").replace("exec csp-billing", "echo")
    for today, month in (("2026-11-09", "2026-10"), ("2026-10-31", "2026-09"), ("2026-01-09", "2025-12"),
                         ("2028-03-31", "2028-02")):  # fmt: skip
        then = command.replace("date -u +", f"date -u -d {today} +")
        out = subprocess.run(["sh", "-c", then], capture_output=True, text=True, check=True).stdout
        assert out.split() == ["run", "--report", "--period", month]


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [tuple(line.split(None, 1)) for line in lines.splitlines() if line.strip()]  # type: ignore[misc]


def test_the_container_is_pinned_unprivileged_and_watched() -> None:
    instructions = _instructions()
    known = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "ENV", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in instructions} == known
    assert all(rest.startswith("python:3.11-slim") for name, rest in instructions if name == "FROM")
    installs = [rest for name, rest in instructions if name == "RUN" and "pip install" in rest]
    assert all("--constraint constraints.txt" in rest for rest in installs)
    assert installs
    assert [rest for name, rest in instructions if name == "USER"] == ["10001"]
    ignored = (ROOT / ".containerignore").read_text(encoding="utf-8")
    for name, rest in instructions:
        sources = shlex.split(rest)[:-1] if name == "COPY" and "--from" not in rest else []
        for source in sources:
            assert (ROOT / source).exists(), source
            assert f"!{source}\n" in ignored, f"{source} is not sent to the build"
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    assert set(wheel["wheel"]["packages"]) <= {rest.split()[0] for name, rest in instructions if name == "COPY"}


def test_the_compose_file_keeps_secrets_out_and_names_what_there_is() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    services = document["services"]
    assert set(services) == {"postgres", "server", "deploy", "worker"}
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        assert not service.get("privileged")
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), "nothing is open to the network"
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in document["volumes"] or source.startswith("./"), volume
    assert not re.search(r"(?i)(password|secret|auth\w*): *[\w\"']+ *$", text, re.M), "a secret is in the file"
    context = (DEPLOY / services["worker"]["build"]["context"]).resolve()
    assert (context, (context / services["worker"]["build"]["dockerfile"]).exists()) == (ROOT, True)
    pinned = re.search(r"^prefect==([\d.]+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    assert pinned is not None
    assert IMAGE_PREFECT.findall(text) == [pinned[1]], "the server is of the client's version"
    assert "/usr/local/share/csp-billing/prefect.yaml" in " ".join(services["deploy"]["command"])
