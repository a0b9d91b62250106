"""Leaving a process that has recorded commands as flow runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

#: Two recorded commands in one process, of flows that start something as Prefect starts its temporary server: once,
#: and to be ended with the process.
_TWICE = """
import atexit, sys, types
from pipelines import recording

ended = lambda: print("ended")
started = []

def flow(return_state):
    if not started:
        started.append(atexit.register(ended))
    return types.SimpleNamespace(state_details=types.SimpleNamespace(flow_run_id="1"))

flows = types.ModuleType("pipelines.flows")
flows.load, flows.outcome_of = flow, lambda state: {}
import pipelines
pipelines.flows = sys.modules["pipelines.flows"] = flows
recording.run_recorded("load")
recording.run_recorded("load")
recording.exit_with(3)
"""


def test_what_prefect_started_is_ended_also_after_a_second_command() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", _TWICE], cwd=root, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("ended\n", "", 3)
