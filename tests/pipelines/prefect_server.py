"""A real Prefect server on loopback, and processes that end with their test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).parents[2]
#: A busy machine takes its time to start a process that imports Prefect.
PATIENCE_SECONDS = 120


class Server:
    """A Prefect server, asked through its API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, to: str, **body: Any) -> Any:
        """POST; waits while the server's SQLite file is locked, which it answers 503."""
        for _ in range(PATIENCE_SECONDS):
            answer = requests.post(f"{self.url}/{to}", json=body, timeout=60)
            if answer.status_code != 503:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json()

    def flow_run(self, flow_run_id: str) -> dict[str, Any]:
        found: dict[str, Any] = requests.get(f"{self.url}/flow_runs/{flow_run_id}", timeout=30).json()
        return found

    def post_rows(self, to: str, rows: list[dict[str, Any]]) -> None:
        """POST an array."""
        requests.post(f"{self.url}/{to}", json=rows, timeout=30).raise_for_status()

    def state(self, flow_run_id: str) -> str:
        """The name of a flow run's state."""
        return str(self.flow_run(flow_run_id)["state_name"])

    def runs(self, deployment_id: str, state: str) -> list[dict[str, Any]]:
        """The flow runs of a deployment that are in a state."""
        where = {"deployment_id": {"any_": [deployment_id]}, "state": {"name": {"any_": [state]}}}
        found: list[dict[str, Any]] = self.post("flow_runs/filter", flow_runs=where)
        return found

    def artifacts(self, flow_run_id: str) -> list[tuple[str, str]]:
        """Keys and types of a flow run's artifacts, in the order in which they were made."""
        found = self.post("artifacts/filter", artifacts={"flow_run_id": {"any_": [flow_run_id]}})
        return [(one["key"], one["type"]) for one in sorted(found, key=lambda one: str(one["created"]))]

    def artifact(self, key: str) -> Any:
        return requests.get(f"{self.url}/artifacts/{key}/latest", timeout=30).json()["data"]


@contextmanager
def started_server(folder: Path) -> Iterator[Server]:
    """A server on loopback that keeps its records in that folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_UI_ENABLED": "false"}
    with (folder / "server.log").open("w") as log, \
            subprocess.Popen(command, env=environment, stdout=log, stderr=log) as started:
        try:
            found = Server(f"http://127.0.0.1:{port}/api")
            until(lambda: answers(found.url), "the server never answers")
            yield found
        finally:
            started.terminate()


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=5).ok
    except requests.ConnectionError:
        return False


def until(condition: Callable[[], bool], complaint: str) -> None:
    for _ in range(PATIENCE_SECONDS * 5):
        if condition():
            return
        time.sleep(0.2)
    raise AssertionError(complaint)


@contextmanager
def process(
    program: Sequence[str], environment: dict[str, str], cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is gone at the end, whatever happens."""
    with subprocess.Popen(program, env=environment, cwd=cwd) as started:
        try:
            yield started
        finally:
            started.kill()
