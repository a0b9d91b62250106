-- Each subscription as its last charge left it. A change of seats is a refund of all old seats and a charge of all new
-- ones, so the last line that does not refund carries the seats; they are never added up.
with ranked as (
    select
        recon.*,
        row_number() over (
            partition by subscription_id
            order by
                case when subtotal < 0 then 1 else 0 end,
                period desc,
                charge_start_date desc,
                order_date desc nulls last,
                source_file,
                source_row desc
        ) as as_charge,
        row_number() over (
            partition by subscription_id
            order by
                period desc,
                charge_start_date desc,
                order_date desc nulls last,
                case when subtotal < 0 then 1 else 0 end,
                source_file,
                source_row desc
        ) as as_event,
        min(period) over (partition by subscription_id) as first_period,
        max(period) over (partition by subscription_id) as last_period,
        max(charge_end_date) over (partition by subscription_id) as last_charge_end
    from src_invoice_recon as recon
    where subscription_id is not null
)
select
    charge.subscription_id,
    charge.customer_id,
    charge.customer_name,
    charge.subscription_description,
    charge.product_id,
    charge.product_name,
    charge.sku_id,
    charge.sku_name,
    charge.publisher_name,
    charge.term_and_billing_cycle,
    charge.billing_frequency,
    charge.subscription_start_date as term_start_on,
    charge.subscription_end_date as term_end_on,
    coalesce(charge.billable_quantity, charge.quantity) as quantity,
    charge.unit_price,
    charge.effective_unit_price,
    charge.pricing_currency,
    charge.first_period,
    charge.last_period,
    event.charge_type as last_charge_type,
    charge.last_charge_end as last_charge_end_on
from ranked as charge
join ranked as event on event.subscription_id = charge.subscription_id and event.as_event = 1
where charge.as_charge = 1
