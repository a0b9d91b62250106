-- Every finding of every run.
select
    run_id,
    period,
    code,
    severity,
    invoice_number,
    customer_id,
    customer_name,
    subscription_id,
    product_id,
    sku_id,
    line_id,
    expected_amount,
    actual_amount,
    difference_amount,
    currency,
    message,
    source_file,
    source_row
from findings
