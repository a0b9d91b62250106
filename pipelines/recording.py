"""Running a command as a Prefect flow run, and leaving the process cleanly afterwards."""

from __future__ import annotations

import atexit
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

#: What a process ends with that an unforeseen exception ends, such as a Prefect server that does not start.
_exit_code = 1


def api_configured() -> bool:
    """Whether a Prefect API is configured by environment or profile; imports Prefect only where a profile names one."""
    if os.environ.get("PREFECT_API_URL"):
        return True
    profiles = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect") / "profiles.toml"
    if not profiles.exists() or b"PREFECT_API_URL" not in profiles.read_bytes():
        return False
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value())


def run_recorded(flow: str, **parameters: Any) -> tuple[dict[str, Any], str]:
    """Run the flow of that name in `pipelines.flows`; returns its document and the id of its flow run.

    Raises:
        BillingError: what ended the flow.
    """
    # A temporary server reports its use, which logs an error where the network is closed.
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    # On a busy machine it takes longer than the 20 seconds that Prefect waits.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
    _leave_last()
    from pipelines import flows

    state = getattr(flows, flow)(**parameters, return_state=True)
    return flows.outcome_of(state), str(state.state_details.flow_run_id)


def exit_with(code: int) -> None:
    """End the process with this exit code."""
    global _exit_code
    _exit_code = code
    sys.exit(code)


@cache
def _leave_last() -> None:
    """Leave after everything that Prefect has to end: what is registered first, before it starts anything, runs last.

    Once in a process: a second time it would come before the end of the temporary server, which would live on, with
    the streams of this process open.
    """
    atexit.register(_leave)


def _leave() -> None:
    """Skip the tear-down of the interpreter: Prefect's threads still hold DuckDB, which would print pages of leaks."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(_exit_code)
