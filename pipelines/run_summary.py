"""What a run did."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class RunSummary:
    """What a run did, as the contract prints it.

    `blocking` counts the findings of severity block that are open, `waived` those that a waiver is in force for.
    `changes` counts lines and findings that are new, gone or changed since the period's last run, `changed` has the
    first of them; `reports` are the files that were written; `notices` and `error` are sentences for the user.
    """

    run_id: str
    period: str
    status: str
    lines: int
    invoices: int
    findings: dict[str, int]
    blocking: int
    waived: int = 0
    loaded: dict[str, int] = field(default_factory=lambda: {"prices": 0, "invoices": 0, "lines": 0})
    marked: dict[str, int] = field(default_factory=lambda: {"invoices": 0, "lines": 0})
    warehouse: str = ""
    seconds: int | float = 0
    changes: dict[str, dict[str, int]] = field(default_factory=dict)
    changed: tuple[dict[str, Any], ...] = ()
    reports: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `run` and `reconcile`."""
        document = asdict(self)
        if self.error is None:
            del document["error"]
        return document
