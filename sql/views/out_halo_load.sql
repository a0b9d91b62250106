-- What was posted to HaloPSA and how it stands.
select run_id, entity, natural_key, halo_id, state, attempts, last_error
from halo_postings
