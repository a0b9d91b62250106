-- The lines of the latest run of each period, with what became of them in HaloPSA: where a line was posted to several
-- (a sandbox first, say), the one it was sent to last.
with posted as (
    select
        natural_key,
        halo_id,
        state,
        row_number() over (partition by natural_key order by intended_at desc, halo_url) as recency
    from halo_postings
    where entity = 'line'
)
select
    lines.line_id,
    lines.run_id,
    lines.period,
    lines.source,
    lines.invoice_number,
    lines.customer_id,
    lines.customer_name,
    lines.subscription_id,
    lines.product_id,
    lines.sku_id,
    lines.sku_name,
    lines.charge_type,
    lines.charge_start_on,
    lines.charge_end_on,
    lines.quantity,
    lines.unit_price,
    lines.effective_unit_price,
    lines.list_unit_price,
    lines.erp_unit_price,
    lines.subtotal_amount,
    lines.tax_amount,
    lines.total_amount,
    lines.currency,
    lines.erp_amount,
    lines.margin_amount,
    lines.rounding_rule,
    posted.halo_id,
    coalesce(posted.state = 'billed', false) as is_billed,
    lines.source_file,
    lines.source_row
from lines
join latest_runs on latest_runs.run_id = lines.run_id
left join posted on posted.natural_key = lines.line_id and posted.recency = 1
