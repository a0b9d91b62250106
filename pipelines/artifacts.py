"""What Prefect is told of a flow run besides its logs: progress, a summary, the top findings, the report, an event.

They only tell. Where one cannot be made the log says so, and the month goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.events import emit_event

from pipelines.inspection import list_findings
from pipelines.run_summary import RunSummary
from pipelines.settings import Settings
from transforms.findings import money_text

#: How many findings the table shows, the largest differences first.
SHOWN_FINDINGS = 20

#: Events are named by the status a run has come to: `csp-billing.month.billed`.
_EVENT = "csp-billing.month"

_COLUMNS = ("code", "invoice_number", "customer_name", "line_id", "message")


class Progress:
    """The progress of a flow run by its steps.

    Args:
        period: what the flow run is about, YYYY-MM.
        steps: its steps in their order, by the names of their functions.
    """

    def __init__(self, period: str, steps: Sequence[str]) -> None:
        self._steps = list(steps)
        self._artifact: UUID | None = None
        with _by_the_way():
            made = create_progress_artifact(0, f"progress-{period}", f"{period}: {', '.join(steps)}")
            self._artifact = made if isinstance(made, UUID) else None

    def done(self, step: str) -> None:
        """A step is done; one that is not among the steps does not count."""
        if self._artifact is None or step not in self._steps:
            return
        with _by_the_way():
            update_progress_artifact(self._artifact, 100 * (self._steps.index(step) + 1) // len(self._steps))


def tell(settings: Settings, summary: RunSummary) -> None:
    """Make the artifacts of a run: its summary, its top findings, and a link to its report where there is one.

    The event that automations wait for (`examples/automations`) comes last, so that who is alerted finds them.
    """
    with _by_the_way():
        create_markdown_artifact(_markdown(summary), f"summary-{summary.period}", f"Run {summary.run_id}")
    with _by_the_way():
        rows = _top_findings(settings, summary.run_id) if summary.findings else []
        if rows:
            create_table_artifact(rows, f"findings-{summary.period}", f"Top findings of run {summary.run_id}")
    with _by_the_way():
        report = settings.reports_of(summary.run_id).absolute() / "reconciliation.html"
        if report.exists():
            # Browsers do not follow a link from a server to a file: its text is the path.
            create_link_artifact(report.as_uri(), str(report), f"report-{summary.period}", f"Run {summary.run_id}")
    with _by_the_way():
        counts = {"lines": summary.lines, "blocking": summary.blocking, "waived": summary.waived}
        emit_event(
            f"{_EVENT}.{summary.status}",
            resource={"prefect.resource.id": f"{_EVENT}.{summary.period}", "prefect.resource.name": summary.period},
            payload={"period": summary.period, "run_id": summary.run_id, "status": summary.status, **counts},
        )


def _markdown(summary: RunSummary) -> str:
    """The summary; nothing in it is text of the partner's."""
    rows = [
        ("status", summary.status),
        ("lines", summary.lines),
        ("invoices", summary.invoices),
        ("findings that block", summary.blocking),
        ("waived", summary.waived),
        *((f"newly in HaloPSA: {name}", count) for name, count in summary.loaded.items()),
        *((f"newly marked as billed: {name}", count) for name, count in summary.marked.items()),
        *summary.findings.items(),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    commands = [f"csp-billing findings --run {summary.run_id}"]
    if summary.status == "awaiting_approval":
        commands += [f"csp-billing approve {summary.run_id} --by NAME", f"csp-billing mark-billed {summary.run_id}"]
    told = "\n".join(f"    {command}" for command in commands)
    return f"# {summary.period}: {summary.status}\n\n| | |\n|---|---|\n{table}\n\nRun `{summary.run_id}`\n\n{told}\n"


def _top_findings(settings: Settings, run_id: str) -> list[dict[str, Any]]:
    """The findings that matter most: open ones that block first, then by their difference."""
    found = list_findings(settings, run_id, None).findings
    found.sort(key=lambda one: (
        one["severity"] != "block", one["waived_by"] is not None, one["severity"], -abs(one["difference_amount"] or 0)
    ))  # fmt: skip
    return [
        {
            "severity": "waived" if one["waived_by"] else one["severity"],
            **{name: one[name] or "" for name in _COLUMNS},
            "difference": "" if one["difference_amount"] is None else money_text(
                one["difference_amount"], one["currency"]
            ),
        }
        for one in found[:SHOWN_FINDINGS]
    ]  # fmt: skip


@contextmanager
def _by_the_way() -> Iterator[None]:
    """What must not end the flow run when it fails."""
    try:
        yield
    except Exception as error:
        get_run_logger().warning("an artifact or event could not be made: %s", error)
