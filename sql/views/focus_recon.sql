-- What FOCUS says of a reconciliation line besides its amounts: what sort of charge it is, as transforms/categories.py
-- tells it, and what was bought. Only out_focus reads this.
with told as (
    select
        recon.*,
        lower(concat_ws('|', product_category, product_name, sku_name)) as product_texts,
        coalesce(lower(trim(charge_type)), '') as event,
        coalesce(lower(trim(term_and_billing_cycle)), '') as term,
        coalesce(lower(trim(publisher_name)), '') in ('microsoft', 'microsoft corporation') as is_first_party
    from src_invoice_recon as recon
),
committed as (
    select
        told.*,
        case
            when product_texts like '%savings plan%' then 'Savings Plan'
            when product_texts like '%reservation%' then 'Reservation'
        end as commitment_type
    from told
),
categorised as (
    select
        committed.*,
        case
            when commitment_type is not null then 'commitment'
            when is_first_party and (
                upper(product_id) like 'CFQ7TTC0%'
                or term ~ '^.*(one|three|five|1|3|5)[ -]*(3|5)?[ -]*(month|year)s?[ -]*commitment.*$'
            ) then 'licence'
            when lower(trim(subscription_description)) = 'azure plan' then 'azure_plan'
            when meter_description <> '' then 'azure_plan'
            when
                upper(product_id) like 'DZH318Z0%' and term = '' and lower(product_category) like '%azure%'
            then 'azure_plan'
            else 'other'
        end as category
    from committed
)
select
    period,
    line_id,
    'invoice_recon' as source,
    coalesce(invoice_number, '') as invoice,
    coalesce(lower(trim(subscription_id)), '') as subscription,
    coalesce(product_id, '') as product,
    coalesce(sku_id, '') as sku,
    customer_id,
    customer_name,
    subscription_id,
    sku_name,
    charge_type,
    charge_start_date as charge_start_on,
    charge_end_date as charge_end_on,
    coalesce(billable_quantity, quantity) as quantity,
    unit_price,
    effective_unit_price,
    currency,
    cast(coalesce(subtotal, 0) as decimal(38, 18)) as subtotal,
    cast(coalesce(tax_total, 0) as decimal(38, 18)) as tax,
    -- What the invoice adds up is the total; a total that is wrong is a finding, and is charged all the same.
    cast(coalesce(total - coalesce(tax_total, 0), subtotal, 0) as decimal(38, 18)) as cost,
    category,
    event = 'customercredit' as is_credit,
    -- What daily usage is the detail of: a credit for another reason than an Azure credit is not in the usage.
    category = 'azure_plan'
    and (event <> 'customercredit' or coalesce(lower(credit_reason_code) like '%azure credit%', false)) as is_metered,
    partner_id,
    partner_name,
    customer_domain_name,
    tier2_mpn_id,
    publisher_name,
    case
        when category = 'azure_plan'
        then coalesce(nullif(trim(split_part(meter_description, ' - ', 1)), ''), product_name, sku_name, product_id)
        else coalesce(product_name, sku_name, product_id)
    end as service_name,
    case
        when category = 'azure_plan' then coalesce(nullif(meter_description, ''), sku_name, product_name)
        else coalesce(sku_name, product_name, product_id) || coalesce(' (' || charge_type || ')', '')
    end as description,
    case
        when event = 'customercredit' then 'One-Time'
        when category = 'azure_plan' then 'Usage-Based'
        when category = 'licence' or billing_frequency <> '' or event in ('cyclecharge', 'renew') then 'Recurring'
        else 'One-Time'
    end as frequency,
    case
        when event = 'customercredit' then null
        when category = 'azure_plan' and lower(concat_ws('|', meter_description, product_name, sku_name)) like '%spot%'
        then 'Dynamic'
        else 'Standard'
    end as pricing_category,
    coalesce(nullif(trim(unit_type), ''), case when category = 'licence' then 'Licenses' else 'Units' end) as unit,
    pricing_currency,
    pc_to_bc_exchange_rate as exchange_rate,
    cast(null as decimal(38, 18)) as pricing_charge,
    availability_id as price_of_sku,
    case
        when category = 'azure_plan' then nullif(meter_description, '')
        when category = 'commitment' then commitment_type
        when category = 'other' and subscription_end_date is not null then 'Subscriptions'
        else 'Licenses'
    end as sku_meter,
    '{"x_TermAndBillingCycle":' || cast(to_json(nullif(term_and_billing_cycle, '')) as text) || '}' as price_details,
    case when category = 'commitment' then nullif(reservation_order_id, '') end as resource_id,
    cast(null as text) as resource_type,
    cast(null as text) as resource_location,
    case when category = 'commitment' then nullif(reservation_order_id, '') end as commitment_id,
    commitment_type,
    -- What is bought: hours of a reservation's machines over the days it is charged for, or a savings plan's amount.
    case
        when commitment_type = 'Savings Plan' then product(effective_unit_price, coalesce(billable_quantity, quantity))
        else product(
            cast(24 * (charge_end_date - charge_start_date + 1) as decimal(38, 22)),
            coalesce(billable_quantity, quantity)
        )
    end as commitment_quantity,
    case when commitment_type = 'Savings Plan' then pricing_currency else 'Hours' end as commitment_unit,
    cast(null as text) as tags,
    cast(null as text) as azure_subscription_id,
    cast(null as text) as azure_subscription_name,
    cast(null as text) as resource_group,
    promotion_id,
    cast(null as decimal(38, 15)) as earned_credit
from categorised
