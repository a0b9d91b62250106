-- Each subscription as its last charge left it. A change of seats is a refund of all old seats and a charge of all new
-- ones, so the last line that does not refund carries the seats; they are never added up. Only the lines of the last
-- months that count are put in order, not those of all months.
with spans as (
    select
        subscription_id,
        min(period) as first_period,
        max(period) as last_period,
        max(case when subtotal < 0 then null else period end) as charged_period,
        max(charge_end_date) as last_charge_end
    from src_invoice_recon
    where subscription_id is not null
    group by subscription_id
),
ranked as (
    select
        recon.*,
        spans.first_period,
        spans.last_period,
        spans.last_charge_end,
        row_number() over (
            partition by recon.subscription_id
            order by
                case when subtotal < 0 then 1 else 0 end,
                period desc,
                charge_start_date desc,
                order_date desc nulls last,
                source_file,
                source_row desc
        ) as as_charge,
        first_value(charge_type) over (
            partition by recon.subscription_id
            order by
                period desc,
                charge_start_date desc,
                order_date desc nulls last,
                case when subtotal < 0 then 1 else 0 end,
                source_file,
                source_row desc
        ) as last_charge_type
    from src_invoice_recon as recon
    join spans
        on spans.subscription_id = recon.subscription_id
        and recon.period in (spans.last_period, spans.charged_period)
)
select
    subscription_id,
    customer_id,
    customer_name,
    subscription_description,
    product_id,
    product_name,
    sku_id,
    sku_name,
    publisher_name,
    term_and_billing_cycle,
    billing_frequency,
    subscription_start_date as term_start_on,
    subscription_end_date as term_end_on,
    coalesce(billable_quantity, quantity) as quantity,
    unit_price,
    effective_unit_price,
    pricing_currency,
    first_period,
    last_period,
    last_charge_type,
    last_charge_end as last_charge_end_on
from ranked
where as_charge = 1
