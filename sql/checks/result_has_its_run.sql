-- fail: lines, findings or a tie-out stand in the warehouse without the run that made them
select run_id, part
from (
    select distinct run_id, 'lines' as part from lines
    union all
    select distinct run_id, 'findings' as part from findings
    union all
    select distinct run_id, 'invoice_tieout' as part from invoice_tieout
    union all
    select distinct run_id, 'run_files' as part from run_files
) as parts
where not exists (select 1 from runs where runs.run_id = parts.run_id)
