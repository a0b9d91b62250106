-- How many findings each customer has.
select
    customer_id,
    max(customer_name) as customer_name,
    count(*) as finding_count,
    count(case when severity = 'block' then 1 end) as block_count,
    count(case when severity = 'warn' then 1 end) as warn_count,
    count(case when severity = 'info' then 1 end) as info_count
from findings
where run_id = :run_id
group by customer_id
