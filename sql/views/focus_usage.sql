-- What FOCUS says of a daily usage line besides its amounts, in the columns of focus_recon. Only out_focus reads this.
with covered as (
    select
        usage.*,
        -- A savings plan is named by its order, a reservation by what the additional information says.
        coalesce(
            nullif(benefit_order_id, ''),
            matched(additional_info, '"ReservationOrderId" *: *"([^"]+)"'),
            nullif(benefit_id, '')
        ) as commitment_id
    from src_daily_usage as usage
)
select
    period,
    line_id,
    'daily_usage' as source,
    coalesce(invoice_number, '') as invoice,
    coalesce(lower(trim(subscription_id)), '') as subscription,
    coalesce(product_id, '') as product,
    coalesce(sku_id, '') as sku,
    customer_id,
    customer_name,
    subscription_id,
    sku_name,
    charge_type,
    usage_date as charge_start_on,
    usage_date as charge_end_on,
    quantity,
    unit_price,
    effective_unit_price,
    billing_currency as currency,
    cast(coalesce(billing_pre_tax_total, 0) as decimal(38, 18)) as subtotal,
    cast(0 as decimal(38, 18)) as tax,
    cast(coalesce(billing_pre_tax_total, 0) as decimal(38, 18)) as cost,
    'usage' as category,
    false as is_credit,
    true as is_metered,
    partner_id,
    partner_name,
    customer_domain_name,
    tier2_mpn_id,
    publisher_name,
    coalesce(nullif(meter_category, ''), product_name, sku_name, product_id) as service_name,
    coalesce(
        nullif(concat_ws(' - ', nullif(meter_category, ''), nullif(meter_name, ''), nullif(meter_region, '')), ''),
        sku_name,
        product_name
    ) as description,
    'Usage-Based' as frequency,
    case
        when commitment_id is not null then 'Committed'
        when lower(concat_ws('|', meter_name, meter_sub_category, sku_name)) like '%spot%' then 'Dynamic'
        else 'Standard'
    end as pricing_category,
    coalesce(nullif(trim(unit_type), ''), nullif(trim(unit), '')) as unit,
    pricing_currency,
    pc_to_bc_exchange_rate as exchange_rate,
    pricing_pre_tax_total as pricing_charge,
    coalesce(nullif(meter_id, ''), availability_id) as price_of_sku,
    nullif(meter_name, '') as sku_meter,
    cast(null as text) as price_details,
    nullif(resource_uri, '') as resource_id,
    coalesce(
        matched(resource_uri, '^.*/providers/([^/]+/[^/]+)/'),
        nullif(consumed_service, ''),
        nullif(meter_category, ''),
        product_name
    ) as resource_type,
    nullif(resource_location, '') as resource_location,
    commitment_id,
    case
        when commitment_id is null then null
        when lower(benefit_type) like '%saving%' then 'Savings Plan'
        else 'Reservation'
    end as commitment_type,
    -- How much of a savings plan's amount a usage takes is not told.
    case when lower(benefit_type) like '%saving%' then null else cast(quantity as decimal(38, 18)) end
        as commitment_quantity,
    cast(null as text) as commitment_unit,
    flat_json(tags) as tags,
    entitlement_id as azure_subscription_id,
    entitlement_description as azure_subscription_name,
    resource_group,
    cast(null as text) as promotion_id,
    partner_earned_credit_percentage as earned_credit
from covered
