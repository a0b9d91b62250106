"""Log lines and spans: about which run and step, never with a secret, and nothing imported where nobody asks for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa.sandbox.server import Sandbox
from examples.month import generate_month
from pipelines import telemetry
from tests.loopback import listening
from tests.pipelines.conftest import Command
from tests.pipelines.prefect_server import ROOT
from transforms.hidden import keep_secret

PERIOD = "2025-11"
STEPS = ["extract", "reconcile", "load_run", "mark_run", "publish"]


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The logging of the other tests as it was."""
    yield
    telemetry.be_verbose("")
    telemetry.configure("text", "warning")


def test_every_line_is_json_and_says_what_it_is_about(
    halo: Sandbox, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSP_BILLING_LOG_FORMAT", "json")
    monkeypatch.setenv("CSP_BILLING_LOG_LEVEL", "debug")
    generate_month(Path("exports"), period=PERIOD, plant=False, customers=7)
    outcome = command("run", "--period", PERIOD, "--json")
    assert outcome.code == 0, outcome.err
    lines = [json.loads(line) for line in outcome.err.splitlines()]
    run_id = outcome.document["run_id"]
    ended = [line for line in lines if line["message"] == "step ended"]
    assert [line["step"] for line in ended] == STEPS
    assert [line for line in lines if line.get("period") != PERIOD] == []
    assert {line.get("run_id") for line in ended[1:]} == {run_id}
    assert ended[1]["lines"] == outcome.document["lines"]
    (end,) = [line for line in lines if line["message"] == "run ended"]
    assert (end["status"], end["blocking"], end["run_id"]) == ("billed", 0, run_id)
    assert {"posting lines", "reading the run"} <= {line["message"] for line in lines if line["level"] == "debug"}

    failed = command("reconcile", "--period", "2025-10")
    (line,) = [json.loads(line) for line in failed.err.splitlines() if json.loads(line)["level"] == "error"]
    assert (failed.code, failed.out) == (2, "")
    assert "2025-11" in line["message"]


def test_without_a_setting_a_run_that_is_in_order_says_nothing(halo: Sandbox, command: Command) -> None:
    generate_month(Path("exports"), period=PERIOD, plant=False, customers=7)
    assert command("reconcile", "--period", PERIOD).err == ""
    told = command("-v", "reconcile", "--period", PERIOD).err
    assert f"step ended period={PERIOD} run_id=" in told
    assert "reading the run" not in told


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_gets_into_a_line(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    secret = 'canary"\\ü-1'
    keep_secret([secret])
    telemetry.configure(log_format, "info")
    telemetry.log("error", f"login with {secret} failed", url=f"https://user:{secret}@example.com")
    line = capsys.readouterr().err
    assert "canary" not in line
    assert line.count("********") == 2


def test_a_password_and_a_client_secret_are_hidden_as_settings_are_read(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CSP_BILLING_WAREHOUSE_URL", "postgresql+psycopg://anna:canary%2Fone@127.0.0.1:9/none")
    monkeypatch.setenv("CSP_BILLING_HALO_CLIENT_SECRET", "canary-two")
    assert command("warehouse", "status").code == 2
    telemetry.log("warning", "canary/one canary-two canary%2Fone")
    assert "******** ******** ********" in capsys.readouterr().err


@contextmanager
def collecting() -> Iterator[tuple[str, list[Any]]]:
    """An OTLP collector on loopback: its address, and the spans that came."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    spans: list[Any] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            import gzip

            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            request = ExportTraceServiceRequest.FromString(body)
            assert self.path == "/v1/traces"
            spans.extend(span for of in request.resource_spans for scope in of.scope_spans for span in scope.spans)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

    with listening(Collector) as port:
        yield f"http://127.0.0.1:{port}", spans


_PROGRAM = """
import sys
from pipelines.cli import main
from transforms.hidden import keep_secret
try:
    main()
finally:
    print(*sorted(name for name in sys.modules if name.startswith("opentelemetry")), file=sys.stderr)
"""


def _run(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run([sys.executable, "-c", _PROGRAM, "run", "--period", PERIOD, "--json"], cwd=folder,
                          env=environment, capture_output=True, text=True, timeout=240, check=False)  # fmt: skip


def test_steps_are_spans_where_the_environment_names_a_collector(halo: Sandbox, working_folder: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    generate_month(Path("exports"), period=PERIOD, plant=False, customers=7)
    with collecting() as (address, spans):
        outcome = _run(working_folder, OTEL_EXPORTER_OTLP_ENDPOINT=address)
    assert outcome.returncode == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    told = {span.name: {one.key: one.value for one in span.attributes} for span in spans}
    assert set(told) == {"month", *STEPS}
    (root,) = [span for span in spans if span.name == "month"]
    assert all(span.parent_span_id == root.span_id for span in spans if span is not root)
    loaded = told["load_run"]
    assert loaded["csp_billing.run_id"].string_value == document["run_id"]
    assert loaded["csp_billing.count.lines"].int_value == document["loaded"]["lines"] > 0

    quiet = _run(working_folder)
    assert quiet.returncode == 0
    assert quiet.stderr.strip() == "", "OpenTelemetry is not imported where nobody asks for it"
