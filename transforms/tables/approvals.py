"""What people decided: approvals of a run's results, and waivers of single findings. Rows are only ever added."""

from __future__ import annotations

from transforms.columns import Column, Kind, Table
from transforms.tables.results import FINDINGS, RUNS

TEXT, DATE, TIMESTAMP, INTEGER = Kind.TEXT, Kind.DATE, Kind.TIMESTAMP, Kind.INTEGER

_RECORDED_BY = Column("recorded_by", TEXT, "What recorded it: user and host of the operating system, or a Prefect flow "
                      "run.", nullable=False)  # fmt: skip

APPROVALS = Table(
    "approvals",
    "One decision about a run's results. It holds for that content, also when another run of the period comes to it "
    "again; of several decisions about one content the last counts.",
    (
        Column("approval_id", TEXT, "The decision.", nullable=False),
        Column("run_id", TEXT, "Run that was looked at.", nullable=False),
        RUNS["period"],
        Column("content_digest", TEXT, "What was decided upon: the run's `loaded_digest`, else its `content_digest`.",
               nullable=False),
        Column("decision", TEXT, "approved or rejected.", nullable=False),
        Column("decided_by", TEXT, "Who decided.", nullable=False),
        Column("decided_at", TIMESTAMP, "When, UTC; later than any decision about the period before.", nullable=False),
        Column("note", TEXT, "Why, or what is to be done."),
        Column("blocking_count", INTEGER, "Findings that blocked then; waived ones not counted.", nullable=False),
        _RECORDED_BY,
    ),
    key=("approval_id",),
    indexes=(("period", "content_digest"),),
)  # fmt: skip

#: What of a finding its waiver keeps, so that it can be read by itself.
WAIVED_COLUMNS = (
    "code", "severity", "invoice_number", "customer_id", "customer_name", "line_id", "expected_amount",
    "actual_amount", "difference_amount", "currency", "message",
)  # fmt: skip

WAIVERS = Table(
    "waivers",
    "One step in the life of a waiver: that it was granted, or that it was ended before its last day.",
    (
        Column("waiver_id", TEXT, "The waiver.", nullable=False),
        Column("action", TEXT, "granted or ended.", nullable=False),
        Column("finding_id", TEXT, "The finding, with its figures, that does not block while the waiver holds.",
               nullable=False),
        Column("run_id", TEXT, "Run in which it was seen.", nullable=False),
        RUNS["period"],
        *(FINDINGS[name] for name in WAIVED_COLUMNS),
        Column("reason", TEXT, "Why.", nullable=False),
        Column("valid_until", DATE, "Last day on which it holds, UTC.", nullable=False),
        Column("decided_by", TEXT, "Who did it.", nullable=False),
        Column("decided_at", TIMESTAMP, "When, UTC.", nullable=False),
        _RECORDED_BY,
    ),
    key=("waiver_id", "action"),
    indexes=(("finding_id",),),
)  # fmt: skip

APPROVAL_TABLES = (APPROVALS, WAIVERS)
