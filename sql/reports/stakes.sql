-- How many findings there are of each code, how many of these are waived, and what they cost in each currency.
select
    code,
    severity,
    count(*) as finding_count,
    count(waived_by) as waived_count,
    cast(sum(leak_amount) as decimal(38, 18)) as leak_amount,
    leak_currency
from report_findings
group by code, severity, leak_currency
