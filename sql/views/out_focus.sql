-- The charges of the latest run of each period as FOCUS 1.2 has them; docs/focus.md explains every column. The cost of
-- an invoice adds up to its reconciliation lines: daily usage stands for the Azure-plan lines that it is the detail of,
-- with a row for what they differ by, and only where it is their detail. Tax has rows of its own. A voided invoice has
-- none, because the rebill charges its lines again.
with run as (
    select period, run_id from latest_runs
),
run_lines as not materialized (
    select
        run.period,
        lines.run_id,
        lines.line_id,
        lines.source,
        coalesce(lines.invoice_number, '') as invoice,
        lines.list_unit_price,
        lines.erp_unit_price,
        lines.erp_amount
    from lines
    join run on run.run_id = lines.run_id
    left join invoice_tieout as voided
        on voided.run_id = lines.run_id and voided.invoice_number = lines.invoice_number and voided.status = 'voided'
    where voided.run_id is null
),
recon as not materialized (
    select run_lines.run_id, list_unit_price, erp_unit_price, erp_amount, focus_recon.*
    from focus_recon
    join run_lines on run_lines.period = focus_recon.period and run_lines.line_id = focus_recon.line_id
),
-- Usage is asked whether it is a line of the run, and not joined: there may be millions of it.
usage as not materialized (
    select
        run.run_id,
        cast(null as decimal(38, 22)) as list_unit_price,
        cast(null as decimal(38, 22)) as erp_unit_price,
        cast(null as decimal(38, 18)) as erp_amount,
        focus_usage.*
    from focus_usage
    join run on run.period = focus_usage.period
    where focus_usage.line_id in (select line_id from run_lines where source = 'daily_usage')
),
used as (
    select
        run_id, invoice, subscription, product, sku,
        min(line_id) as first_line,
        min(currency) as currency,
        max(currency) as last_currency,
        cast(sum(cost) as decimal(38, 18)) as cost
    from usage
    group by run_id, invoice, subscription, product, sku
),
metered as (
    select
        run_id, invoice, subscription, product, sku,
        min(line_id) as first_line,
        min(currency) as currency,
        max(currency) as last_currency,
        cast(sum(cost) as decimal(38, 18)) as cost,
        cast(sum(subtotal) as decimal(38, 18)) as subtotal
    from recon
    where is_metered
    group by run_id, invoice, subscription, product, sku
),
apart as (
    select distinct
        findings.run_id,
        coalesce(invoice_number, '') as invoice,
        coalesce(lower(trim(subscription_id)), '') as subscription,
        coalesce(product_id, '') as product,
        coalesce(sku_id, '') as sku
    from findings
    join run on run.run_id = findings.run_id
    where code = 'USAGE_MISMATCH'
),
-- Groups of usage that stand for the lines they are the detail of: no USAGE_MISMATCH says that they are not, and the
-- lines' totals are right. Of an invoice without reconciliation lines there is nothing but the usage. What usage and
-- lines differ by is put to one line of the group.
detailed as (
    select
        used.run_id, used.invoice, used.subscription, used.product, used.sku,
        coalesce(metered.first_line, used.first_line) as rounded_line,
        case when invoices.run_id is null then 0 else coalesce(metered.cost, 0) - used.cost end as rounding
    from used
    left join metered
        on metered.run_id = used.run_id and metered.invoice = used.invoice
        and metered.subscription = used.subscription and metered.product = used.product and metered.sku = used.sku
    left join (select distinct run_id, invoice from run_lines where source = 'invoice_recon') as invoices
        on invoices.run_id = used.run_id and invoices.invoice = used.invoice
    left join apart
        on apart.run_id = used.run_id and apart.invoice = used.invoice
        and apart.subscription = used.subscription and apart.product = used.product and apart.sku = used.sku
    where
        apart.run_id is null
        and (metered.run_id is null or metered.cost = metered.subtotal)
        and (metered.run_id is null or metered.currency = used.last_currency and metered.last_currency = used.currency)
),
-- The lines that are shown, with the signs of FOCUS: a refund, which bills its seats with a negative price, has the
-- sign in its quantity.
shown as (
    select
        charges.*,
        charges.source = 'invoice_recon' and is_metered and detailed.run_id is not null as has_detail,
        case when charges.line_id = detailed.rounded_line then detailed.rounding else 0 end as rounding,
        coalesce(charges.exchange_rate, 1) as rate,
        case
            when quantity is null or effective_unit_price is null then case when charges.cost < 0 then -1 else 1 end
            when charges.cost < 0 then -abs(quantity)
            when charges.cost > 0 then abs(quantity)
            else quantity
        end as signed_quantity,
        -- In the pricing currency; of a licence or another purchase it is the price of the days that are charged for.
        cast(abs(case
            when quantity is null or effective_unit_price is null then null
            when category in ('usage', 'azure_plan') then coalesce(unit_price, effective_unit_price)
            else effective_unit_price
        end) as decimal(38, 18)) as price
    from (select * from recon union all select * from usage) as charges
    left join detailed
        on detailed.run_id = charges.run_id and detailed.invoice = charges.invoice
        and detailed.subscription = charges.subscription and detailed.product = charges.product
        and detailed.sku = charges.sku
    where charges.source = 'invoice_recon' or detailed.run_id is not null
),
-- Unit prices in the billing currency. A price list tells the ERP price, prorated like the charge, and what a promotion
-- is taken off from; without one it is the line's own price.
listed as (
    select
        shown.*,
        case when price is null then abs(cost) when rate = 1 then price else product(price, rate) end as own_price,
        quotient(abs(erp_amount), abs(signed_quantity)) as erp_price
    from shown
),
priced as (
    select
        listed.*,
        coalesce(product(own_price, signed_quantity), cost) as own_cost,
        case when promotion_id <> '' then quotient(product(erp_price, list_unit_price), erp_unit_price) end
            as price_without_promotion
    from listed
),
costed as (
    select
        priced.*,
        coalesce(erp_price, own_price) as list_price,
        coalesce(price_without_promotion, own_price) as contracted_price,
        case
            when erp_price is null then own_cost
            when signed_quantity < 0 then -abs(erp_amount)
            else abs(erp_amount)
        end as list_cost,
        case
            when price_without_promotion is null then own_cost
            else coalesce(product(price_without_promotion, signed_quantity), cost)
        end as contracted_cost
    from priced
),
-- A row for each charge, for its tax, and for what usage and lines differ by.
entries as (
    select
        costed.*,
        entry,
        case
            when entry = 'tax' then 'Tax'
            when entry = 'rounding' then 'Adjustment'
            when is_credit then 'Credit'
            when category in ('usage', 'azure_plan') then 'Usage'
            else 'Purchase'
        end as charge_category,
        cast(cast(period || '-01' as date) as timestamp) as period_start,
        cast(coalesce(charge_start_on, cast(period || '-01' as date)) as timestamp) as charge_start,
        case entry when 'tax' then tax when 'rounding' then rounding else cost end as billed_cost,
        coalesce(pricing_currency, currency) as own_pricing_currency,
        coalesce(service_name, 'Microsoft') as own_service,
        lower(replace(resource_location, ' ', '')) as location
    from costed
    cross join (values ('charge'), ('tax'), ('rounding')) as kinds (entry)
    where case entry when 'tax' then tax <> 0 when 'rounding' then rounding <> 0 else not has_detail end
),
charged as (
    select
        entries.*,
        charge_category in ('Usage', 'Purchase') as has_price,
        -- As FOCUS writes units: 1 Hour is Hours, 1 GB/Month is GB-Months, 10K is 10000 Units.
        case
            when unit ~ '^1$' then 'Units'
            when unit ~ '^[0-9]+$' then unit || ' Units'
            when unit ~ '^[0-9]+K$' then replace(unit, 'K', '000 Units')
            when unit ~ '^[0-9]+M$' then replace(unit, 'M', '000000 Units')
            when unit ~ '^1 [A-Za-z]+[/ ](Second|Minute|Hour|Day|Month|Year)$'
            then replace(replace(substr(unit, 3), '/', '-'), ' ', '-') || 's'
            when unit ~ '^1/(Second|Minute|Hour|Day|Month|Year)$' then 'Unit-' || substr(unit, 3) || 's'
            when unit ~ '^1 (Second|Minute|Hour|Day|Month|Year)$' then substr(unit, 3) || 's'
            when unit ~ '^1 [A-Za-z]+$' then substr(unit, 3)
            else coalesce(unit, 'Units')
        end as own_unit,
        charge_category in ('Usage', 'Purchase') and commitment_id is not null as has_commitment,
        charge_category in ('Usage', 'Purchase', 'Credit') as has_sku,
        charge_category = 'Usage' and location not in ('global', 'unassigned', 'unknown', '') as has_region,
        case
            when billed_cost < 0 and charge_start < period_start and charge_category <> 'Adjustment'
            and not is_credit
            then 'Correction'
        end as charge_class
    from entries
),
described as not materialized (
    select run.period, partner_id, partner_name, service_name
    from focus_recon join run on run.period = focus_recon.period
    union all
    select run.period, partner_id, partner_name, service_name
    from focus_usage join run on run.period = focus_usage.period
),
partners as (
    select period, max(partner_id) as partner_id, max(partner_name) as partner_name from described group by period
),
services as (
    select service_name, service_category, service_subcategory
    from (
        select
            names.service_name,
            service_category,
            service_subcategory,
            row_number() over (partition by names.service_name order by position) as place
        from (select distinct service_name from described) as names
        join focus_services on lower(names.service_name) like pattern
    ) as fitting
    where place = 1
)
select
    cast(null as text) as "AvailabilityZone",
    cast(billed_cost as decimal(38, 18)) as "BilledCost",
    coalesce(charged.partner_id, partners.partner_id) as "BillingAccountId",
    coalesce(
        charged.partner_name,
        case when coalesce(charged.partner_id, partners.partner_id) = partners.partner_id then partners.partner_name end,
        charged.partner_id,
        partners.partner_id
    ) as "BillingAccountName",
    case when coalesce(charged.partner_id, partners.partner_id) is not null then 'Partner' end as "BillingAccountType",
    coalesce(currency, own_pricing_currency) as "BillingCurrency",
    (period_start + interval '1 month') at time zone 'UTC' as "BillingPeriodEnd",
    period_start at time zone 'UTC' as "BillingPeriodStart",
    cast(null as text) as "CapacityReservationId",
    cast(null as text) as "CapacityReservationStatus",
    charge_category as "ChargeCategory",
    charge_class as "ChargeClass",
    case
        when charge_category = 'Tax' then 'Tax: '
        when charge_category = 'Adjustment' then 'Invoice less daily usage: '
        else ''
    end || coalesce(description, own_service) as "ChargeDescription",
    case when charge_category = 'Adjustment' then 'One-Time' else frequency end as "ChargeFrequency",
    case
        when charge_category = 'Adjustment' then period_start + interval '1 month'
        else greatest(cast(charge_end_on as timestamp), charge_start) + interval '1 day'
    end at time zone 'UTC' as "ChargePeriodEnd",
    case when charge_category = 'Adjustment' then period_start else charge_start end at time zone 'UTC'
        as "ChargePeriodStart",
    case
        when has_commitment and commitment_type = 'Savings Plan' then 'Spend'
        when has_commitment then 'Usage'
    end as "CommitmentDiscountCategory",
    case when has_commitment then commitment_id end as "CommitmentDiscountId",
    cast(null as text) as "CommitmentDiscountName",
    cast(case when has_commitment and charge_class is null then commitment_quantity end as decimal(38, 15))
        as "CommitmentDiscountQuantity",
    case when has_commitment and charge_category = 'Usage' then 'Used' end as "CommitmentDiscountStatus",
    case when has_commitment then commitment_type end as "CommitmentDiscountType",
    case
        when has_commitment and charge_class is null and commitment_quantity is not null
        then coalesce(commitment_unit, own_unit)
    end as "CommitmentDiscountUnit",
    cast(case when charge_category = 'Usage' then signed_quantity end as decimal(38, 15)) as "ConsumedQuantity",
    case when charge_category = 'Usage' then own_unit end as "ConsumedUnit",
    cast(case
        when has_price then contracted_cost
        when charge_category = 'Tax'
        then coalesce(cast(round(product(tax, quotient(contracted_cost, cost)), 6) as decimal(38, 18)), tax)
        else billed_cost
    end as decimal(38, 18)) as "ContractedCost",
    cast(case when has_price then contracted_price end as decimal(38, 18)) as "ContractedUnitPrice",
    cast(billed_cost as decimal(38, 18)) as "EffectiveCost",
    nullif(invoice, '') as "InvoiceId",
    'Microsoft' as "InvoiceIssuerName",
    cast(case
        when has_price then list_cost
        when charge_category = 'Tax'
        then coalesce(cast(round(product(tax, quotient(list_cost, cost)), 6) as decimal(38, 18)), tax)
        else billed_cost
    end as decimal(38, 18)) as "ListCost",
    cast(case when has_price then list_price end as decimal(38, 18)) as "ListUnitPrice",
    case when has_price then pricing_category end as "PricingCategory",
    own_pricing_currency as "PricingCurrency",
    cast(case
        when has_price and rate = 1 then contracted_price
        when has_price and (price_without_promotion is not null or price is null)
        then quotient(contracted_price, rate)
        when has_price then price
    end as decimal(38, 18)) as "PricingCurrencyContractedUnitPrice",
    cast(case
        when charge_category = 'Usage' and pricing_charge is not null then pricing_charge
        when rate = 1 then billed_cost
        else coalesce(quotient(billed_cost, rate), billed_cost)
    end as decimal(38, 18)) as "PricingCurrencyEffectiveCost",
    cast(case
        when has_price and rate = 1 then list_price
        when has_price and (erp_price is not null or price is null) then quotient(list_price, rate)
        when has_price then price
    end as decimal(38, 18)) as "PricingCurrencyListUnitPrice",
    cast(case when has_price then signed_quantity end as decimal(38, 15)) as "PricingQuantity",
    case when has_price then own_unit end as "PricingUnit",
    'Microsoft' as "ProviderName",
    coalesce(nullif(publisher_name, ''), 'Microsoft') as "PublisherName",
    case when has_region then location end as "RegionId",
    case when has_region then coalesce(region_name, resource_location) end as "RegionName",
    case when has_price then resource_id end as "ResourceId",
    case when has_price and category = 'usage' then nullif(regexp_replace(resource_id, '^.*/', ''), resource_id) end
        as "ResourceName",
    case when has_price and resource_id is not null then coalesce(resource_type, commitment_type) end as "ResourceType",
    coalesce(service_category, 'Other') as "ServiceCategory",
    own_service as "ServiceName",
    coalesce(service_subcategory, 'Other (Other)') as "ServiceSubcategory",
    case when has_sku then nullif(concat_ws(':', nullif(product, ''), nullif(sku, '')), '') end as "SkuId",
    case when has_sku then sku_meter end as "SkuMeter",
    case when has_sku then price_details end as "SkuPriceDetails",
    case when has_sku then nullif(concat_ws(':', nullif(product, ''), nullif(sku, ''), price_of_sku), '') end
        as "SkuPriceId",
    customer_id as "SubAccountId",
    case when customer_id is not null then coalesce(nullif(customer_name, ''), customer_domain_name, customer_id) end
        as "SubAccountName",
    case when customer_id is not null then 'Customer' end as "SubAccountType",
    case when has_price then tags end as "Tags",
    run_id as "x_RunId",
    line_id as "x_LineId",
    source as "x_LineSource",
    charge_type as "x_ChargeType",
    subscription_id as "x_SubscriptionId",
    azure_subscription_id as "x_AzureSubscriptionId",
    azure_subscription_name as "x_AzureSubscriptionName",
    resource_group as "x_ResourceGroup",
    customer_domain_name as "x_CustomerDomainName",
    tier2_mpn_id as "x_ResellerMpnId",
    promotion_id as "x_PromotionId",
    cast(earned_credit as decimal(38, 15)) as "x_PartnerEarnedCreditPercentage",
    cast(rate as decimal(38, 15)) as "x_ExchangeRate",
    case when has_price then case when erp_price is null then 'line' else 'price_list' end end as "x_ListPriceSource"
from charged
left join partners on partners.period = charged.period
left join services on services.service_name = charged.own_service
left join azure_regions on azure_regions.region_id = charged.location
