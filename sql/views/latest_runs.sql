-- The latest full run of each period that did not fail: an ad hoc run of some customers is never the period's result.
select period, run_id
from (
    select
        period,
        run_id,
        row_number() over (partition by period order by started_at desc, run_id desc) as recency
    from runs
    where scope is null and status <> 'failed'
) as ranked
where recency = 1
