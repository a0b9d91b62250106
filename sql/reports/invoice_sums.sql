-- What the reconciliation lines of each invoice number add up to, charges and credits apart.
select
    invoice_number,
    currency,
    count(*) as line_count,
    cast(coalesce(sum(case when subtotal_amount >= 0 then subtotal_amount end), 0) as decimal(38, 18)) as charge_amount,
    cast(coalesce(sum(case when subtotal_amount < 0 then subtotal_amount end), 0) as decimal(38, 18)) as credit_amount,
    cast(coalesce(sum(tax_amount), 0) as decimal(38, 18)) as tax_amount,
    cast(coalesce(sum(total_amount), 0) as decimal(38, 18)) as total_amount
from lines
where run_id = :run_id and source = 'invoice_recon' and invoice_number is not null
group by invoice_number, currency
