-- The findings of the run with their lines, and what they cost: the difference where the figures of the code are sums
-- of money that the partner is charged or not given, the negative margin of a line that costs more than it sells for.
-- What is told for information costs nothing. Of several waivers that are in force the one that holds longest is told.
with waivers_in_force as (
    select
        finding_id,
        waived_by,
        valid_until,
        reason,
        row_number() over (partition by finding_id order by valid_until desc, waived_at desc, waiver_id) as place
    from out_waivers
    where state = 'in_force'
),
costed as (
    select
        findings.code,
        findings.severity,
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
        findings.message,
        findings.source_file,
        findings.source_row,
        findings.finding_id,
        lines.sku_name,
        lines.total_amount as line_amount,
        lines.currency as line_currency,
        case
            when findings.severity = 'info' then null
            when findings.code in (
                'SUBTOTAL_MISMATCH', 'TOTAL_MISMATCH', 'OVERLAPPING_CHARGE', 'USAGE_MISMATCH', 'PEC_MISSING'
            ) then cast(findings.difference_amount as decimal(38, 18))
            -- The invoice asks for more than its lines explain.
            when findings.code in ('INVOICE_TOTAL_MISMATCH', 'INVOICE_WITHOUT_LINES')
                then cast(-findings.difference_amount as decimal(38, 18))
            when findings.code = 'ABOVE_ERP' then cast(-lines.margin_amount as decimal(38, 18))
        end as cost,
        case when findings.code = 'ABOVE_ERP' then lines.currency else findings.currency end as cost_currency
    from findings
    left join lines on lines.run_id = findings.run_id and lines.line_id = findings.line_id
    where findings.run_id = :run_id
)
select
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
    source_row,
    costed.finding_id,
    sku_name,
    line_amount,
    line_currency,
    case when cost > 0 then cost end as leak_amount,
    case when cost > 0 then cost_currency end as leak_currency,
    waivers_in_force.waived_by,
    waivers_in_force.valid_until as waived_until,
    waivers_in_force.reason as waiver_reason
from costed
left join waivers_in_force on waivers_in_force.finding_id = costed.finding_id and waivers_in_force.place = 1
