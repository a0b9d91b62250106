-- warn: a run is called billed, though findings that block were neither waived nor was the run approved
select runs.run_id, count(*) as finding_rows
from runs
join findings on findings.run_id = runs.run_id
where
    runs.status = 'billed'
    and findings.severity = 'block'
    -- Runs of versions that recorded neither have findings without an identity.
    and findings.finding_id is not null
    and not exists (select 1 from waivers where waivers.finding_id = findings.finding_id)
    and not exists (
        select 1
        from approvals
        where
            approvals.decision = 'approved'
            and approvals.period = runs.period
            and approvals.content_digest = coalesce(runs.loaded_digest, runs.content_digest)
    )
group by runs.run_id
