-- fail: the latest run of a period does not have the lines, and the amount, of the period's source rows
select
    latest_runs.period,
    latest_runs.run_id,
    sourced.source,
    sourced.line_count as source_lines,
    lined.line_count as run_lines,
    sourced.amount as source_amount,
    lined.amount as run_amount
from latest_runs
join (
    -- Cast alike: DuckDB rounds a union of decimals to the smaller scale.
    select
        period,
        'invoice_recon' as source,
        count(*) as line_count,
        cast(sum(subtotal) as decimal(38, 18)) as amount
    from src_invoice_recon
    group by period
    union all
    select
        period,
        'daily_usage' as source,
        count(*) as line_count,
        cast(sum(billing_pre_tax_total) as decimal(38, 18)) as amount
    from src_daily_usage
    group by period
) as sourced on sourced.period = latest_runs.period
left join (
    select run_id, source, count(*) as line_count, cast(sum(subtotal_amount) as decimal(38, 18)) as amount
    from lines
    group by run_id, source
) as lined on lined.run_id = latest_runs.run_id and lined.source = sourced.source
where lined.line_count is distinct from sourced.line_count or lined.amount is distinct from sourced.amount
