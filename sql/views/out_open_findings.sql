-- Findings that block: of severity block, and no waiver is in force for them today.
select
    findings.run_id,
    findings.period,
    findings.finding_id,
    findings.code,
    findings.invoice_number,
    findings.customer_id,
    findings.customer_name,
    findings.subscription_id,
    findings.product_id,
    findings.sku_id,
    findings.line_id,
    findings.expected_amount,
    findings.actual_amount,
    findings.difference_amount,
    findings.currency,
    findings.message
from findings
where
    findings.severity = 'block'
    and not exists (
        select 1
        from out_waivers
        where out_waivers.finding_id = findings.finding_id and out_waivers.state = 'in_force'
    )
