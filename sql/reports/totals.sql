-- What the lines of the run add up to.
select
    lines.source,
    lines.currency,
    coalesce(tieout.status = 'voided', false) as is_voided,
    count(*) as line_count,
    cast(sum(lines.subtotal_amount) as decimal(38, 18)) as subtotal_amount,
    cast(sum(lines.tax_amount) as decimal(38, 18)) as tax_amount,
    cast(sum(lines.total_amount) as decimal(38, 18)) as total_amount
from lines
left join invoice_tieout as tieout
    on tieout.run_id = lines.run_id and tieout.invoice_number = lines.invoice_number
where lines.run_id = :run_id
group by lines.source, lines.currency, coalesce(tieout.status = 'voided', false)
