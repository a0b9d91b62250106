-- Every invoice of every run against the sum of its lines.
select run_id, period, invoice_number, currency, invoice_amount, lines_amount, difference_amount, status
from invoice_tieout
