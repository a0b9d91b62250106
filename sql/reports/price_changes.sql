-- Prices that changed in the period or later, of what the run's lines are priced by.
with priced as (
    select
        prices.product_id,
        prices.sku_id,
        prices.term_duration,
        prices.billing_plan,
        prices.market,
        prices.currency,
        prices.segment,
        prices.pricing_tier_range_min,
        sum(used.line_count) as line_count
    from (
        select price_file_sha256, price_source_file, price_source_row, count(*) as line_count
        from lines
        where run_id = :run_id and price_file_sha256 is not null
        group by price_file_sha256, price_source_file, price_source_row
    ) as used
    join src_price_list as prices
        on prices.file_sha256 = used.price_file_sha256
        and prices.source_file = used.price_source_file
        and prices.source_row = used.price_source_row
    group by
        prices.product_id,
        prices.sku_id,
        prices.term_duration,
        prices.billing_plan,
        prices.market,
        prices.currency,
        prices.segment,
        prices.pricing_tier_range_min
)
select
    changes.product_id,
    changes.sku_id,
    changes.product_title,
    changes.sku_title,
    changes.publisher,
    changes.term_duration,
    changes.billing_plan,
    changes.market,
    changes.currency,
    changes.segment,
    changes.pricing_tier_range_min,
    changes.effective_start_date,
    changes.previous_unit_price,
    changes.unit_price,
    changes.unit_price_change,
    changes.previous_erp_price,
    changes.erp_price,
    changes.erp_price_change,
    changes.previous_source_file,
    changes.source_file,
    changes.source_row,
    cast(priced.line_count as bigint) as line_count
from out_price_changes as changes
join priced
    on priced.product_id = changes.product_id
    and priced.sku_id = changes.sku_id
    and priced.term_duration is not distinct from changes.term_duration
    and priced.billing_plan is not distinct from changes.billing_plan
    and priced.market is not distinct from changes.market
    and priced.currency is not distinct from changes.currency
    and priced.segment is not distinct from changes.segment
    and priced.pricing_tier_range_min is not distinct from changes.pricing_tier_range_min
where changes.effective_start_date >= :period_start
