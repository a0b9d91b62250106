-- Cost, ERP amount and margin of each customer by period and currency, in the latest run of each period. Reconciliation
-- lines only, since daily usage repeats them; a line without an ERP price counts into neither side, and one of a voided
-- invoice is charged again by the rebill.
with sums as (
    select
        lines.period,
        lines.customer_id,
        max(lines.customer_name) as customer_name,
        lines.currency,
        cast(sum(lines.subtotal_amount) as decimal(38, 18)) as cost_amount,
        cast(sum(lines.erp_amount) as decimal(38, 18)) as erp_amount
    from lines
    join latest_runs on latest_runs.run_id = lines.run_id
    left join invoice_tieout as tieout
        on tieout.run_id = lines.run_id and tieout.invoice_number = lines.invoice_number and tieout.status = 'voided'
    where
        lines.source = 'invoice_recon' and lines.erp_amount is not null and lines.subtotal_amount is not null
        and tieout.run_id is null
    group by lines.period, lines.customer_id, lines.currency
)
select
    period,
    customer_id,
    customer_name,
    currency,
    cost_amount,
    erp_amount,
    cast(erp_amount - cost_amount as decimal(38, 18)) as margin_amount,
    cast(percentage(erp_amount - cost_amount, erp_amount) as decimal(38, 15)) as margin_pct
from sums
