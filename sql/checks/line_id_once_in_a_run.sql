-- fail: a line identity stands twice in one run, so that its findings and its posting would be ambiguous
select run_id, line_id, count(*) as times
from lines
group by run_id, line_id
having count(*) > 1
