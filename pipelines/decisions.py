"""A Prefect flow run that waits for a person: suspended where a worker can start it again, else paused."""

from __future__ import annotations

from typing import Literal

from prefect.context import FlowRunContext
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from connectors.reports.amounts import counted, verb
from connectors.warehouse.approvals import APPROVED, REJECTED
from pipelines.approval import decide
from pipelines.run_summary import RunSummary
from pipelines.settings import Settings
from transforms.errors import InputError

_PREFIX = "decide-"
#: How often a paused process looks for the answer.
_POLL_SECONDS = 5


class Decision(RunInput):
    """What the approver fills in when the flow run is resumed."""

    decision: Literal["approve", "reject"] = Field(description="Whether the month may be marked as billed.")
    name: str = Field(description="Who decides.", pattern=r"\S", max_length=200)
    note: str = Field(default="", description="Why, or what is to be done.", max_length=2000)


def run_waited_for() -> str | None:
    """The run whose decision this flow run was suspended for; None where it was not.

    A suspended flow run begins anew from its top when it is resumed: this tells it so.
    """
    context = FlowRunContext.get()
    policy = context.flow_run.empirical_policy if context and context.flow_run else None
    keys = (policy.pause_keys if policy else None) or set()
    # Prefect's keys are in lower case; of a run's id only the T between day and time is not.
    return next((key.removeprefix(_PREFIX).replace("t", "T") for key in keys if key.startswith(_PREFIX)), None)


def wait_for_decision(settings: Settings, summary: RunSummary, hours: int) -> None:
    """Wait until a person has decided upon a run, and record the decision.

    A flow run of a deployment is suspended: its process ends, and it begins anew, from its top, when it is resumed. Any
    other one is paused: its process stays.

    Args:
        settings: name the warehouse.
        summary: the run.
        hours: how long the flow run can be resumed.

    Raises:
        InputError: nobody decided in time, or the run cannot be decided upon any more.
    """
    wanted = Decision.with_initial_data(description=_description(summary))
    key, seconds = f"{_PREFIX}{summary.run_id.lower()}", hours * 3600
    context = FlowRunContext.get()
    if context and context.flow_run and context.flow_run.deployment_id:
        given = suspend_flow_run(wait_for_input=wanted, timeout=seconds, key=key)
    else:
        try:
            given = pause_flow_run(wait_for_input=wanted, timeout=seconds, poll_interval=_POLL_SECONDS, key=key)
        except FlowPauseTimeout:
            raise InputError(
                f"nobody decided upon run {summary.run_id} within {hours} hours: do it with `csp-billing approve "
                f"{summary.run_id} --by NAME`, then `csp-billing mark-billed {summary.run_id}`"
            ) from None
    decision = APPROVED if given.decision == "approve" else REJECTED
    decide(settings, summary.run_id, decision, by=given.name, note=given.note.strip() or None)


def _description(summary: RunSummary) -> str:
    """What is to be decided, as Markdown above the form."""
    waived = f", {summary.waived} more {verb('are', summary.waived)} waived" if summary.waived else ""
    blocking = f"{counted(summary.blocking, 'finding')} {verb('block', summary.blocking)}"
    return (
        f"**{summary.period}**: {blocking}{waived}, of {sum(summary.findings.values())} in "
        f"{counted(summary.lines, 'line')}. The month is loaded and not marked as billed. Look at the findings with\n\n"
        f"    csp-billing findings --run {summary.run_id}\n\n"
        "*approve* marks everything as billed, *reject* leaves it as it is."
    )
