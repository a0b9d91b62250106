-- warn: a run is called billed, and a line that it posted is not
select runs.run_id, halo_postings.natural_key, halo_postings.state
from runs
join halo_postings on halo_postings.run_id = runs.run_id
where runs.status = 'billed' and halo_postings.entity = 'line' and halo_postings.state <> 'billed'
