-- fail: a run's number of lines or of blocking findings is not that of its rows
select
    runs.run_id,
    runs.line_count,
    coalesce(counted.line_rows, 0) as line_rows,
    runs.blocking_count,
    coalesce(blocking.finding_rows, 0) as finding_rows
from runs
left join (select run_id, count(*) as line_rows from lines group by run_id) as counted
    on counted.run_id = runs.run_id
left join (select run_id, count(*) as finding_rows from findings where severity = 'block' group by run_id) as blocking
    on blocking.run_id = runs.run_id
where
    runs.line_count <> coalesce(counted.line_rows, 0)
    or runs.blocking_count <> coalesce(blocking.finding_rows, 0)
