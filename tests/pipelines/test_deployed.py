"""`prefect deploy --all` on a real server: a worker bills a scheduled month, everybody else is refused meanwhile."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow, Task, task

from connectors.halopsa.sandbox.faults import Fault
from connectors.halopsa.sandbox.server import Sandbox
from examples.month import generate_month
from pipelines import flows
from pipelines.flows import last_month
from tests.loopback import listening
from tests.pipelines.prefect_server import PATIENCE_SECONDS, ROOT, Server, process, until


@contextmanager
def alerted() -> Iterator[tuple[str, list[str]]]:
    """A webhook on loopback: its address, and the texts that came."""
    texts: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(204)
            self.end_headers()

    with listening(Webhook) as port:
        yield f"http://127.0.0.1:{port}/alerts", texts


class Operator:
    """Who types commands, in a folder that is not the project's."""

    def __init__(self, server: Server, project: Path, elsewhere: Path) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        own = {"PREFECT_API_URL": server.url, "PYTHONPATH": path, "CSP_BILLING_PROJECT": str(project)}
        self.environment = {**os.environ, **own}
        self.project = project
        self.elsewhere = elsewhere

    def python(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """`python -m …`; how it ended."""
        return subprocess.run(
            [sys.executable, "-m", *arguments], cwd=cwd or self.elsewhere, env={**self.environment, **environment},
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip

    def must(self, *arguments: str) -> str:
        """The same, which must end well; what it printed."""
        outcome = self.python(*arguments)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return outcome.stdout


def deployed(operator: Operator, webhook: str) -> None:
    """The README's commands, then those of the alerts."""
    operator.must("prefect", "work-pool", "create", "billing", "--type", "process")
    operator.must("prefect", "deploy", "--all", "--prefect-file", str(ROOT / "prefect.yaml"))
    block = operator.must("pipelines.alert_block", webhook).strip()
    text = (ROOT / "examples" / "automations" / "alerts.yaml").read_text(encoding="utf-8")
    assert len(yaml.safe_load(text)["automations"]) == 4
    alerts = operator.elsewhere / "alerts.yaml"
    alerts.write_text(text.replace("ALERT_BLOCK_ID", block), encoding="utf-8")
    assert "Created 4 automation" in operator.must("prefect", "automation", "create", "--from-file", str(alerts))


def project(folder: Path, halo: Sandbox) -> Path:
    """A project with last month's exports, in which something blocks, and its settings in `.env`."""
    generate_month(folder / "exports", period=last_month(), customers=7)
    settings = {"URL": halo.base_url, "CLIENT_ID": halo.client_id, "CLIENT_SECRET": halo.client_secret}
    lines = [f"CSP_BILLING_HALO_{name}={value}\n" for name, value in settings.items()]
    (folder / ".env").write_text("".join(lines), encoding="utf-8")
    return folder


def test_a_scheduled_month_is_billed_by_a_worker_and_by_nobody_else(
    server: Server, halo: Sandbox, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"CSP_BILLING_HALO_{name}")
    elsewhere = working_folder / "elsewhere"
    elsewhere.mkdir()
    operator = Operator(server, project(working_folder / "project", halo), elsewhere)
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "billing"]
    with alerted() as (webhook, alerts):
        deployed(operator, webhook)
        found = server.post("deployments/filter")
        ids = {one["name"]: one["id"] for one in found}
        assert set(ids) == {"monthly", "orders", "ad-hoc", "load"}
        # HaloPSA asks to wait, again and again, until the others have been refused.
        halo.faults.append(Fault("POST cspinvoice", "429", times=0, retry_after=1))
        due = datetime.now(UTC) + timedelta(seconds=2)
        soon = {"interval": 30 * 86400, "anchor_date": due.isoformat()}
        server.post_rows(f"deployments/{ids['monthly']}/schedules", [{"active": True, "schedule": soon}])
        # What the server does by itself every minute.
        server.post(f"deployments/{ids['monthly']}/schedule", max_runs=1)
        with process(worker, {**operator.environment, "PREFECT_WORKER_QUERY_SECONDS": "1"}, cwd=elsewhere):
            until(lambda: "POST cspinvoice" in halo.requests, "the worker never begins to load")
            scheduled = server.runs(ids["monthly"], "Running")
            assert [run["auto_scheduled"] for run in scheduled] == [True]

            second = server.post(f"deployments/{ids['monthly']}/create_flow_run")["id"]
            typed = operator.python("pipelines.cli", "run", "--period", last_month(), cwd=operator.project,
                                    PREFECT_API_URL="")  # fmt: skip
            assert (typed.returncode, typed.stdout) == (2, "")
            assert re.fullmatch(rf"csp-billing: {last_month()} is being worked on already .*\n", typed.stderr)
            beside = server.post(f"deployments/{ids['ad-hoc']}/create_flow_run")["id"]
            until(lambda: server.state(second) == "Cancelled", "the second run is not cancelled")
            until(lambda: server.state(beside) == "Failed", "a reconciliation beside it is not refused")
            assert "is being worked on already" in server.flow_run(beside)["state"]["message"]

            halo.faults.clear()
            first = scheduled[0]["id"]
            until(lambda: server.state(first) in ("Completed", "Failed"), "the month never ends")
            assert server.state(first) == "Completed", server.flow_run(first)["state"]
            kinds = {key.rpartition(f"-{last_month()}")[0] for key, _ in server.artifacts(first)}
            assert kinds == {"progress", "summary", "findings", "report"}
            assert server.artifact(f"summary-{last_month()}").startswith(f"# {last_month()}: awaiting_approval")
            until(lambda: len(alerts) >= 2, f"no alert comes, but {alerts}")
            assert sorted(text.splitlines()[0] for text in alerts) == [
                f"csp-billing: {last_month()} awaits approval", f"csp-billing: reconcile {last_month()} Failed",
            ]  # fmt: skip
            assert "csp-billing approve " in "".join(alerts)

    posted = halo.summary()
    again = operator.python("pipelines.cli", "run", "--period", last_month(), "--json", cwd=operator.project,
                            PREFECT_API_URL="")  # fmt: skip
    document = json.loads(again.stdout)
    assert (document["status"], document["loaded"]) == ("awaiting_approval", {"prices": 0, "invoices": 0, "lines": 0})
    assert halo.summary() == posted, "the second run, typed or scheduled, posted nothing"


def test_retries_are_in_the_http_client_alone() -> None:
    """A flow or task that ran again by itself would repeat what the client has given up, or do it in another order."""
    found = [one for one in vars(flows).values() if isinstance(one, Flow)]
    assert {one.name for one in found} == {"monthly-billing", "reconcile", "load", "orders-sync"}
    assert all(not one.retries for one in found)
    made: list[Task[Any, Any]] = []
    with pytest.MonkeyPatch.context() as patched:
        real = task

        def spying(**options: Any) -> Any:
            def make(function: Any) -> Any:
                made.append(real(**options)(function))
                return made[-1]

            return make

        patched.setattr(flows, "task", spying)
        patched.setattr(flows, "outcome_of", lambda state: state)
        patched.setattr(Task, "__call__", lambda self, *args, **kwargs: None)
        flows.as_task(last_month)
    assert [(one.name, one.retries, one.retry_condition_fn) for one in made] == [("last-month", 0, None)]
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    assert "retr" not in json.dumps(deployments)
