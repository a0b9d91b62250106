-- fail: for an invoice, the latest run of its period does not have the lines, or the amounts, of the period's source rows
select
    period,
    source,
    invoice_number,
    currency,
    sum(rows_more) as lines_missing,
    sum(subtotal_more) as subtotal_missing,
    sum(total_more) as total_missing
from (
    -- Cast alike: DuckDB rounds a union of decimals to the smaller scale.
    select
        src_invoice_recon.period,
        'invoice_recon' as source,
        invoice_number,
        currency,
        count(*) as rows_more,
        cast(sum(subtotal) as decimal(38, 18)) as subtotal_more,
        cast(sum(total) as decimal(38, 18)) as total_more
    from src_invoice_recon
    join latest_runs on latest_runs.period = src_invoice_recon.period
    group by src_invoice_recon.period, invoice_number, currency
    union all
    select
        src_daily_usage.period,
        'daily_usage' as source,
        invoice_number,
        billing_currency as currency,
        count(*) as rows_more,
        cast(sum(billing_pre_tax_total) as decimal(38, 18)) as subtotal_more,
        cast(sum(billing_pre_tax_total) as decimal(38, 18)) as total_more
    from src_daily_usage
    join latest_runs on latest_runs.period = src_daily_usage.period
    group by src_daily_usage.period, invoice_number, billing_currency
    union all
    select
        lines.period,
        lines.source,
        invoice_number,
        currency,
        -count(*) as rows_more,
        cast(-sum(subtotal_amount) as decimal(38, 18)) as subtotal_more,
        cast(-sum(total_amount) as decimal(38, 18)) as total_more
    from lines
    join latest_runs on latest_runs.run_id = lines.run_id
    group by lines.period, lines.source, invoice_number, currency
) as compared
group by period, source, invoice_number, currency
having sum(rows_more) <> 0 or coalesce(sum(subtotal_more), 0) <> 0 or coalesce(sum(total_more), 0) <> 0
