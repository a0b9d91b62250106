-- Reconciliation lines of each period's latest run by currency, those of voided invoices left out, and the margin of
-- those that have an ERP price.
with charges as (
    select
        lines.period,
        lines.currency,
        count(*) as line_count,
        cast(sum(lines.subtotal_amount) as decimal(38, 18)) as subtotal_amount,
        cast(sum(lines.total_amount) as decimal(38, 18)) as total_amount
    from lines
    join latest_runs on latest_runs.run_id = lines.run_id
    left join invoice_tieout as tieout
        on tieout.run_id = lines.run_id and tieout.invoice_number = lines.invoice_number and tieout.status = 'voided'
    where lines.source = 'invoice_recon' and tieout.run_id is null
    group by lines.period, lines.currency
),
margins as (
    select
        period,
        currency,
        cast(sum(cost_amount) as decimal(38, 18)) as cost_amount,
        cast(sum(erp_amount) as decimal(38, 18)) as erp_amount
    from out_customer_margin
    group by period, currency
)
select
    charges.period,
    charges.currency,
    charges.line_count,
    charges.subtotal_amount,
    charges.total_amount,
    margins.cost_amount,
    margins.erp_amount,
    cast(margins.erp_amount - margins.cost_amount as decimal(38, 18)) as margin_amount,
    cast(percentage(margins.erp_amount - margins.cost_amount, margins.erp_amount) as decimal(38, 15)) as margin_pct
from charges
left join margins
    on margins.period = charges.period and margins.currency is not distinct from charges.currency
