-- fail: the ledger calls something posted or billed without HaloPSA's id of it
select halo_url, entity, natural_key, state
from halo_postings
where state in ('posted', 'billed') and halo_id is null
