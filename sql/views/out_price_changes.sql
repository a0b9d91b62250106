-- Where a price changed from one price list to the next. Every list repeats the rows that still hold, so each row is
-- compared with the one before it of the same key, in the order of effective start and of the age of the list. The
-- age is told by the newest effective start in a list and not by when it was loaded: an old list may come later.
with price_lists as (
    select
        prices.file_sha256,
        prices.source_file,
        max(prices.effective_start_date) as newest_start,
        min(source_files.landed_at) as landed_at
    from src_price_list as prices
    left join source_files
        on source_files.file_sha256 = prices.file_sha256 and source_files.source_file = prices.source_file
    group by prices.file_sha256, prices.source_file
),
in_order as (
    select
        prices.*,
        lag(prices.unit_price) over following as previous_unit_price,
        lag(prices.erp_price) over following as previous_erp_price,
        lag(prices.source_file) over following as previous_source_file,
        row_number() over following as position
    from src_price_list as prices
    join price_lists
        on price_lists.file_sha256 = prices.file_sha256 and price_lists.source_file = prices.source_file
    window following as (
        partition by
            prices.product_id,
            prices.sku_id,
            prices.term_duration,
            prices.billing_plan,
            prices.market,
            prices.currency,
            prices.segment,
            prices.pricing_tier_range_min
        order by
            prices.effective_start_date,
            price_lists.newest_start,
            price_lists.landed_at,
            prices.file_sha256,
            prices.source_file,
            prices.source_row
    )
)
select
    product_id,
    sku_id,
    product_title,
    sku_title,
    publisher,
    term_duration,
    billing_plan,
    market,
    currency,
    segment,
    pricing_tier_range_min,
    effective_start_date,
    cast(previous_unit_price as decimal(38, 22)) as previous_unit_price,
    unit_price,
    cast(unit_price - previous_unit_price as decimal(38, 22)) as unit_price_change,
    cast(previous_erp_price as decimal(38, 22)) as previous_erp_price,
    erp_price,
    cast(erp_price - previous_erp_price as decimal(38, 22)) as erp_price_change,
    previous_source_file,
    source_file,
    source_row
from in_order
where
    position > 1
    and (unit_price is distinct from previous_unit_price or erp_price is distinct from previous_erp_price)
