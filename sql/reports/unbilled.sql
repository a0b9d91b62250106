-- What of a run's charges cannot be billed through HaloPSA, by the reason: lines that no document stands for, documents
-- and parts of them that no line stands for, rows that could not be read, and lines that HaloPSA or its limits refused,
-- or whose invoice they refused. Lines of voided invoices are billed by what replaces these.
with lost as (
    select
        case when lines.invoice_number is null then 'no_invoice' else 'no_document' end as reason,
        lines.invoice_number,
        lines.currency,
        1 as line_count,
        cast(lines.total_amount as decimal(38, 18)) as amount
    from lines
    where
        lines.run_id = :run_id
        and lines.source = 'invoice_recon'
        and (
            lines.invoice_number is null
            or lines.invoice_number in (
                select tieout.invoice_number
                from invoice_tieout as tieout
                where tieout.run_id = :run_id and tieout.status = 'invoice_not_found'
            )
        )
    union all
    select
        case when status = 'mismatch' then 'short' else 'no_lines' end,
        invoice_number,
        currency,
        0,
        case when status = 'mismatch' then cast(-difference_amount as decimal(38, 18)) else invoice_amount end
    from invoice_tieout
    where run_id = :run_id and (status = 'without_lines' or (status = 'mismatch' and difference_amount < 0))
    union all
    select 'unreadable', invoice_number, null, 1, null
    from findings
    where run_id = :run_id and code = 'ROW_REJECTED'
    union all
    select 'refused', lines.invoice_number, lines.currency, 1, cast(lines.total_amount as decimal(38, 18))
    from halo_postings
    join lines on lines.line_id = halo_postings.natural_key and lines.run_id = :run_id
    where halo_postings.entity = 'line' and halo_postings.state = 'rejected' and halo_postings.halo_url = :halo_url
    union all
    select 'refused', lines.invoice_number, lines.currency, 1, cast(lines.total_amount as decimal(38, 18))
    from halo_postings
    join lines on lines.invoice_number = halo_postings.natural_key and lines.run_id = :run_id
    where
        halo_postings.entity = 'invoice'
        and halo_postings.state = 'rejected'
        and halo_postings.halo_url = :halo_url
        and lines.source = 'invoice_recon'
),
live as (
    select * from lost
    where invoice_number is null or invoice_number not in (
        select tieout.invoice_number
        from invoice_tieout as tieout
        where tieout.run_id = :run_id and tieout.status = 'voided'
    )
)
select
    reason,
    invoice_number,
    currency,
    cast(sum(line_count) as bigint) as line_count,
    cast(sum(amount) as decimal(38, 18)) as total_amount
from live
group by reason, invoice_number, currency
