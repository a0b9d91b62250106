-- How the lines of the run stand in HaloPSA: as the view of lines, by the posting that was sent last.
with posted as (
    select
        natural_key,
        state,
        row_number() over (partition by natural_key order by intended_at desc, halo_url) as recency
    from halo_postings
    where entity = 'line'
),
standing as (
    select
        lines.source,
        lines.currency,
        lines.total_amount,
        case
            when posted.state is not null then posted.state
            when tieout.status = 'voided' then 'voided'
            when lines.invoice_number is null or tieout.status = 'invoice_not_found' then 'without_invoice'
            else 'not_loaded'
        end as state
    from lines
    left join posted on posted.natural_key = lines.line_id and posted.recency = 1
    left join invoice_tieout as tieout
        on tieout.run_id = lines.run_id and tieout.invoice_number = lines.invoice_number
    where lines.run_id = :run_id
)
select
    source,
    currency,
    state,
    count(*) as line_count,
    cast(sum(total_amount) as decimal(38, 18)) as total_amount
from standing
group by source, currency, state
