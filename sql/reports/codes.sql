-- How many findings there are of each code.
select
    code,
    severity,
    count(*) as finding_count,
    count(distinct customer_id) as customer_count
from findings
where run_id = :run_id
group by code, severity
