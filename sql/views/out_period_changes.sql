-- What the latest full run of a period concluded otherwise than the full run of the period before it: lines and findings
-- that are new, gone or changed. A line is known by its identity, which stays when its amounts change; a finding by its
-- code and what it is about. What only loading finds is compared once the latest run is loaded.
with ranked as (
    select
        run_id,
        period,
        status,
        row_number() over (partition by period order by started_at desc, run_id desc) as recency
    from runs
    where scope is null and status <> 'failed'
),
pairs as (
    select latest.period, latest.run_id, latest.status, earlier.run_id as previous_run_id
    from ranked as latest
    join ranked as earlier on earlier.period = latest.period and earlier.recency = 2
    where latest.recency = 1
),
lines_now as (
    select lines.*, pairs.previous_run_id from lines join pairs on pairs.run_id = lines.run_id
),
lines_before as (
    select lines.*, pairs.run_id as latest_run_id from lines join pairs on pairs.previous_run_id = lines.run_id
),
keyed_findings as (
    select
        findings.*,
        coalesce(line_id, '') || '|' || coalesce(invoice_number, '') || '|' || coalesce(subscription_id, '') || '|'
        || coalesce(product_id, '') || '|' || coalesce(sku_id, '') || '|'
        || case
            when line_id is null then coalesce(source_file, '') || '|' || coalesce(cast(source_row as text), '')
            else ''
        end as about
    from findings
),
findings_now as (
    select keyed_findings.*, pairs.previous_run_id
    from keyed_findings join pairs on pairs.run_id = keyed_findings.run_id
),
findings_before as (
    select keyed_findings.*, pairs.run_id as latest_run_id
    from keyed_findings join pairs on pairs.previous_run_id = keyed_findings.run_id
    where keyed_findings.code <> 'BILLED_LINE_CHANGED' or pairs.status <> 'reconciled'
)
select
    coalesce(now.period, before.period) as period,
    coalesce(now.run_id, before.latest_run_id) as run_id,
    coalesce(now.previous_run_id, before.run_id) as previous_run_id,
    'line' as what,
    case when before.line_id is null then 'new' when now.line_id is null then 'gone' else 'changed' end as change,
    cast(null as text) as code,
    coalesce(now.line_id, before.line_id) as line_id,
    coalesce(now.invoice_number, before.invoice_number) as invoice_number,
    coalesce(now.customer_id, before.customer_id) as customer_id,
    coalesce(now.customer_name, before.customer_name) as customer_name,
    coalesce(now.subscription_id, before.subscription_id) as subscription_id,
    before.total_amount as previous_amount,
    now.total_amount as amount,
    coalesce(now.currency, before.currency) as currency
from lines_now as now
full join lines_before as before on before.line_id = now.line_id and before.latest_run_id = now.run_id
where
    before.line_id is null
    or now.line_id is null
    or before.total_amount is distinct from now.total_amount
    or before.subtotal_amount is distinct from now.subtotal_amount
    or before.quantity is distinct from now.quantity
    or before.unit_price is distinct from now.unit_price
    or before.effective_unit_price is distinct from now.effective_unit_price
    or before.list_unit_price is distinct from now.list_unit_price
    or before.erp_unit_price is distinct from now.erp_unit_price
union all
select
    coalesce(now.period, before.period),
    coalesce(now.run_id, before.latest_run_id),
    coalesce(now.previous_run_id, before.run_id),
    'finding',
    case when before.code is null then 'new' when now.code is null then 'gone' else 'changed' end,
    coalesce(now.code, before.code),
    coalesce(now.line_id, before.line_id),
    coalesce(now.invoice_number, before.invoice_number),
    coalesce(now.customer_id, before.customer_id),
    coalesce(now.customer_name, before.customer_name),
    coalesce(now.subscription_id, before.subscription_id),
    cast(before.actual_amount as decimal(38, 18)),
    cast(now.actual_amount as decimal(38, 18)),
    coalesce(now.currency, before.currency)
from findings_now as now
full join findings_before as before
    on before.code = now.code and before.about = now.about and before.latest_run_id = now.run_id
where
    before.code is null
    or now.code is null
    or before.severity <> now.severity
    or before.actual_amount is distinct from now.actual_amount
    or before.expected_amount is distinct from now.expected_amount
