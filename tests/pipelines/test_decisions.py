"""A month that waits for a person in a real Prefect server: suspended and begun anew, or paused, and billed once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from connectors.halopsa.sandbox.server import Sandbox, serve
from connectors.warehouse.engine import open_warehouse
from examples.month import generate_month
from tests.pipelines.prefect_server import PATIENCE_SECONDS, ROOT, Server, process, until

PERIOD = "2025-11"


def environment(server: Server, sandbox: Sandbox, warehouse: str, **more: str) -> dict[str, str]:
    """What a worker would be started with."""
    halo = {"URL": sandbox.base_url, "CLIENT_ID": sandbox.client_id, "CLIENT_SECRET": sandbox.client_secret}
    settings = {"CSP_BILLING_WAREHOUSE_URL": warehouse, **{f"CSP_BILLING_HALO_{name}": halo[name] for name in halo}}
    return {**os.environ, "PREFECT_API_URL": server.url, "PYTHONPATH": str(ROOT), **settings, **more}


def asked(warehouse: str, sql: str) -> list[tuple[Any, ...]]:
    with open_warehouse(warehouse).read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def test_a_month_waits_for_a_decision_and_goes_on(
    server: Server, halo: Sandbox, duckdb_url: str, postgresql_url: str
) -> None:
    """One flow run of a deployment, suspended and approved; beside it one without, paused and rejected."""
    generate_month(Path("exports"), period=PERIOD)
    parameters = {"period": PERIOD, "wait_for_approval": True}
    flow = server.post("flows/", name="monthly-billing")["id"]
    deployment = server.post("deployments/", name="monthly", flow_id=flow, path=str(Path.cwd()),
                             entrypoint=f"{ROOT}/pipelines/flows.py:monthly_billing")["id"]  # fmt: skip
    suspended = server.post(f"deployments/{deployment}/create_flow_run", parameters=parameters)["id"]
    worker = [sys.executable, "-m", "prefect.engine"]
    program = [sys.executable, "-c", f"from pipelines.flows import monthly_billing; monthly_billing(**{parameters})"]
    own = environment(server, halo, duckdb_url, PREFECT__FLOW_RUN_ID=suspended)
    with serve() as other, process(program, environment(server, other, postgresql_url)) as paused_process:
        assert subprocess.run(worker, env=own, timeout=PATIENCE_SECONDS, check=False).returncode == 0
        run = server.flow_run(suspended)
        assert (run["state_name"], run["name"]) == ("Suspended", f"monthly-billing {PERIOD}")
        assert not any(line.get("isbilled") for line in halo.lines())
        ((run_id, status),) = asked(duckdb_url, "select run_id, status from out_runs")
        assert status == "awaiting_approval"
        assert server.artifacts(suspended) == [
            (f"{key}-{PERIOD}", kind)
            for key, kind in (("progress", "progress"), ("summary", "markdown"), ("findings", "table"))
        ]

        assert "'decision' is a required property" in resume(server, suspended)
        assert "does not match" in resume(server, suspended, decision="approve", name=" ")
        resume(server, suspended, decision="approve", name="Ada Lovelace", note="checked")
        report = Path(".csp-billing", "reports", run_id, "reconciliation.html")
        report.parent.mkdir(parents=True)
        report.touch()
        posts = len(halo.lines())
        assert subprocess.run(worker, env=own, timeout=PATIENCE_SECONDS, check=False).returncode == 0
        assert server.flow_run(suspended)["state_name"] == "Completed"
        assert asked(duckdb_url, "select run_id, status from out_runs") == [(run_id, "billed")], "nothing is read again"
        assert len(halo.lines()) == posts == sum(line["isbilled"] for line in halo.lines())
        decided = asked(duckdb_url, "select decision, decided_by, note, recorded_by from out_approvals")
        assert decided == [("approved", "Ada Lovelace", "checked", f"Prefect flow run {suspended}")]
        assert report.absolute().as_uri() in server.artifact(f"report-{PERIOD}")
        assert server.artifact(f"summary-{PERIOD}").startswith(f"# {PERIOD}: billed")

        paused = waiting_run(server)
        resume(server, paused, decision="reject", name="Grace")
        assert paused_process.wait(PATIENCE_SECONDS) == 0
        assert server.flow_run(paused)["state_name"] == "Completed"
        assert asked(postgresql_url, "select status from out_runs") == [("awaiting_approval",)]
        assert asked(postgresql_url, "select decision, decided_by from out_approvals") == [("rejected", "Grace")]
        assert not any(line.get("isbilled") for line in other.lines())


def resume(server: Server, flow_run_id: str, **given: str) -> str:
    """Resume a flow run with this input; why not, where the server refuses."""
    answer = server.post(f"flow_runs/{flow_run_id}/resume", run_input=given)
    return str((answer["details"] or {}).get("reason"))


def waiting_run(server: Server) -> str:
    """The id of the flow run that is paused."""
    found: list[str] = []

    def look() -> bool:
        paused = server.post("flow_runs/filter", flow_runs={"state": {"name": {"any_": ["Paused"]}}})
        found.extend(run["id"] for run in paused)
        return bool(found)

    until(look, "no flow run is paused")
    return found[0]
