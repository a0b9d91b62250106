-- Every waiver, whether it is in force today (UTC), and whether the period's latest run has the finding it is for.
select
    granted.waiver_id,
    granted.finding_id,
    granted.period,
    granted.code,
    granted.severity,
    granted.invoice_number,
    granted.customer_id,
    granted.customer_name,
    granted.line_id,
    granted.expected_amount,
    granted.actual_amount,
    granted.difference_amount,
    granted.currency,
    granted.message,
    granted.reason,
    granted.decided_by as waived_by,
    granted.decided_at as waived_at,
    granted.valid_until,
    ended.decided_by as ended_by,
    ended.decided_at as ended_at,
    ended.reason as end_reason,
    case
        when ended.waiver_id is not null then 'ended'
        when granted.valid_until < cast(current_timestamp at time zone 'UTC' as date) then 'expired'
        else 'in_force'
    end as state,
    exists (
        select 1
        from findings
        join latest_runs on latest_runs.run_id = findings.run_id
        where findings.finding_id = granted.finding_id
    ) as is_found
from waivers as granted
left join waivers as ended
    on ended.waiver_id = granted.waiver_id and ended.action = 'ended'
where granted.action = 'granted'
