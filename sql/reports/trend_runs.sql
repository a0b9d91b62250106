-- Each period's latest run and its findings.
select
    runs.period,
    runs.run_id,
    runs.status,
    runs.started_at,
    runs.line_count,
    count(case when findings.severity = 'block' then 1 end) as block_count,
    count(case when findings.severity = 'warn' then 1 end) as warn_count,
    count(case when findings.severity = 'info' then 1 end) as info_count
from runs
join latest_runs on latest_runs.run_id = runs.run_id
left join findings on findings.run_id = runs.run_id
group by runs.period, runs.run_id, runs.status, runs.started_at, runs.line_count
