-- fail: the tie-out of a full run does not add up to the reconciliation lines that carry an invoice number
select tied.run_id, tied.amount as tieout_amount, lined.amount as lines_amount
from (
    select invoice_tieout.run_id, sum(coalesce(lines_amount, 0)) as amount
    from invoice_tieout
    join runs on runs.run_id = invoice_tieout.run_id
    where runs.scope is null
    group by invoice_tieout.run_id
) as tied
left join (
    select run_id, sum(total_amount) as amount
    from lines
    where source = 'invoice_recon' and invoice_number is not null
    group by run_id
) as lined on lined.run_id = tied.run_id
where tied.amount <> coalesce(lined.amount, 0)
