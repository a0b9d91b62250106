-- What findings cost, by code, customer and currency.
select
    code,
    severity,
    customer_id,
    max(customer_name) as customer_name,
    count(*) as finding_count,
    cast(sum(leak_amount) as decimal(38, 18)) as leak_amount,
    leak_currency
from report_findings
where leak_amount is not null
group by code, severity, customer_id, leak_currency
