"""A working folder of its own, a local HaloPSA, and the command line as a user calls it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.halopsa.sandbox.server import Sandbox, serve
from pipelines.cli import main
from tests.pipelines.prefect_server import Server, started_server


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and no setting from outside."""
    for name in list(os.environ):
        if name.startswith(("CSP_BILLING_", "PREFECT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def halo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A local HaloPSA that the settings name."""
    with serve() as sandbox:
        monkeypatch.setenv("CSP_BILLING_HALO_URL", sandbox.base_url)
        monkeypatch.setenv("CSP_BILLING_HALO_CLIENT_ID", sandbox.client_id)
        monkeypatch.setenv("CSP_BILLING_HALO_CLIENT_SECRET", sandbox.client_secret)
        yield sandbox


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `csp-billing` with these arguments, in this process."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["csp-billing", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def server(working_folder: Path) -> Iterator[Server]:
    """A Prefect server on loopback that keeps its records in the working folder."""
    with started_server(working_folder) as found:
        yield found
