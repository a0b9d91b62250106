-- fail: the difference in an invoice's tie-out is not lines less invoice, or a matched invoice has one
select run_id, invoice_number, invoice_amount, lines_amount, difference_amount, status
from invoice_tieout
where
    difference_amount <> lines_amount - invoice_amount
    or (status = 'matched' and difference_amount <> 0)
