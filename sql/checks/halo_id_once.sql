-- fail: two things of the ledger share one id in HaloPSA, so that one of them is not there
select halo_url, entity, halo_id, count(*) as times
from halo_postings
where halo_id is not null
group by halo_url, entity, halo_id
having count(*) > 1
