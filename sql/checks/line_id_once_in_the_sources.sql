-- fail: a line identity stands twice in the source rows, so that one of the two would never be posted
select line_id, count(*) as times
from (
    select line_id from src_invoice_recon
    union all
    select line_id from src_daily_usage
) as source_lines
group by line_id
having count(*) > 1
