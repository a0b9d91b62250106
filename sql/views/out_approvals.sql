-- Every decision about a run's results, and whether it is in force for the period's latest run: it was about the same
-- content, and none about that content came later.
select
    approvals.approval_id,
    approvals.run_id,
    approvals.period,
    approvals.decision,
    approvals.decided_by,
    approvals.decided_at,
    approvals.note,
    approvals.blocking_count,
    approvals.content_digest,
    approvals.recorded_by,
    latest.run_id is not null
    and approvals.decided_at = max(approvals.decided_at) over (
        partition by approvals.period, approvals.content_digest
    ) as is_in_force
from approvals
left join (
    select runs.run_id, runs.period, coalesce(runs.loaded_digest, runs.content_digest) as content_digest
    from runs
    join latest_runs on latest_runs.run_id = runs.run_id
) as latest
    on latest.period = approvals.period and latest.content_digest = approvals.content_digest
