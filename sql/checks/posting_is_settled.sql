-- warn: the outcome of a posting is not known; the next load settles it by listing what HaloPSA has, or of a price says how
select halo_url, entity, natural_key, run_id, attempts, intended_at
from halo_postings
where state = 'intended'
