"""The flows on a real temporary Prefect server, and the deployments that name them."""

from __future__ import annotations

import importlib
import json
import os
import sqlite3
import subprocess
import sys
import zoneinfo
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

from connectors.halopsa.sandbox.server import Sandbox
from examples.month import generate_month

ROOT = Path(__file__).parents[2]


def recorded(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command as a flow run of a temporary Prefect server, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *arguments, "--prefect", "--json"],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def stored(home: Path, table: str) -> list[tuple[str, str]]:
    """Names and states that Prefect has stored."""
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        return database.execute(f"select name, state_name from {table}").fetchall()


def test_a_month_is_recorded_with_its_steps(halo: Sandbox, working_folder: Path) -> None:
    generate_month(Path("exports"), period="2025-11", plant=False)
    outcome = recorded("run", "--period", "2025-11", "--report", cwd=working_folder)
    assert outcome.returncode == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert (document["status"], document["blocking"]) == ("billed", 0)
    home = working_folder / "prefect"
    assert stored(home, "flow_run") == [("monthly-billing 2025-11", "Completed")]
    steps = {(name.rpartition("-")[0], state) for name, state in stored(home, "task_run")}
    names = ("extract", "reconcile", "load-run", "mark-run", "write-reports", "publish")
    assert steps == {(step, "Completed") for step in names}
    assert all((working_folder / file).stat().st_size for file in document["reports"])
    assert document["reports"]
    assert "leaked" not in outcome.stderr

    failed = recorded("reconcile", "--period", "2025-10", cwd=working_folder)
    assert failed.returncode == 2
    assert "2025-11" in json.loads(failed.stdout)["error"]
    assert "Traceback" not in failed.stderr
    assert ("reconcile 2025-10", "Failed") in stored(home, "flow_run")


def test_a_sync_of_orders_is_recorded_with_its_steps(halo: Sandbox, working_folder: Path) -> None:
    outcome = recorded("orders", "sync", cwd=working_folder)
    assert outcome.returncode == 0, outcome.stderr
    assert json.loads(outcome.stdout)["halo_url"] == halo.base_url
    home = working_folder / "prefect"
    assert [(name.split()[0], state) for name, state in stored(home, "flow_run")] == [("orders-sync", "Completed")]
    steps = {(name.rpartition("-")[0], state) for name, state in stored(home, "task_run")}
    assert steps == {(step, "Completed") for step in ("list-orders", "confirm-deleted", "store-orders")}


def deployments() -> list[dict[str, Any]]:
    document = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = document["deployments"]
    return found


@pytest.mark.parametrize("deployment", deployments(), ids=lambda one: str(one["name"]))
def test_every_deployment_names_a_flow_that_takes_its_parameters(deployment: dict[str, Any]) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    assert isinstance(flow, Flow)
    given = deployment["parameters"]
    if "run_id" not in flow.parameters.required:
        flow.validate_parameters(given)
    assert set(given) <= set(flow.parameters.properties)
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    for schedule in deployment.get("schedules", []):
        assert len(schedule["cron"].split()) == 5
        zoneinfo.ZoneInfo(schedule["timezone"])


def test_the_month_and_the_orders_run_on_a_schedule_with_a_time_zone() -> None:
    assert [one["name"] for one in deployments() if one.get("schedules")] == ["monthly", "orders"]
