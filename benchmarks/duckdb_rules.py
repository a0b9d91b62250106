"""The rules in DuckDB's SQL, for `benchmarks.duckdb_only`.

They read the views `usage_in`, `recon_in`, `price_in` and `invoice_in`, which have the exports' own column names with
exact decimals and dates, and `ref`, the row of a line or price. They leave `used`, `billed`, `found` and `sums`.

Covered are the rules of `benchmarks.answers.CODES`; not the Extended Service Term's fee, changes of plan charged by
whole months, tiers, plans that only a charge's length tells, and customers' own policies, none of which the measured
months have.
"""

from __future__ import annotations

#: Text functions, the smallest coin of a currency, and Microsoft's roundings; half of the last decimal that is printed.
MACROS = r"""
create macro canonical(sku) as case when strlen(sku) < 4 then lpad(upper(trim(sku)), 4, '0') else upper(trim(sku)) end;
create macro text(value) as lower(trim(coalesce(value, '')));
create macro first_party(name) as case when name in ('Microsoft', 'Microsoft Corporation') then true
    else text(name) in ('microsoft', 'microsoft corporation') end;
create macro coins(currency) as case when currency in ('USD', 'EUR', 'GBP') then 2
    when currency in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV',
        'XAF', 'XOF', 'XPF') then 0
    when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3 else 2 end;
create macro cut(x, places) as case places when 2 then trunc(x, 2)::decimal(38, 3)
    when 3 then trunc(x, 3)::decimal(38, 3) else trunc(x, 0)::decimal(38, 3) end;
create macro half_up(x, places) as case places when 2 then round(x, 2)::decimal(38, 3)
    when 3 then round(x, 3)::decimal(38, 3) else round(x, 0)::decimal(38, 3) end;
create macro rule_a(price, quantity, rate, pc, bc) as
    cut(cut(price * quantity, pc)::decimal(20, 3) * rate, bc)::decimal(20, 3);
create macro rule_b(price, quantity, rate, bc) as
    (cut(price * rate, bc)::decimal(20, 3) * quantity)::decimal(30, 12);
create macro rule_c(price, quantity, rate, bc) as half_up(price * quantity * rate, bc)::decimal(20, 3);
create macro printed(x) as greatest(2, length(rtrim(split_part(x::varchar, '.', 2), '0')))::integer;
create macro half(x) as case printed(x) when 2 then 0.005 when 3 then 0.0005 when 4 then 0.00005 when 5 then 0.000005
    when 6 then 0.0000005 when 7 then 0.00000005 when 8 then 0.000000005 when 9 then 0.0000000005
    else 0.00000000005 end::decimal(12, 11);
create macro between_ends(low, high, x) as sign(low - x) * sign(high - x) <= 0;
"""

#: Price rows with days instead of instants, which are enough because a line only says the day; the Azure plan's by
#: meter, and of a licence's for every span of days the row of each segment that applies: it ends first, was updated
#: last, starts last.
PRICES = """
create temp table azure as select distinct upper(ProductId) product, canonical(SkuId) sku, upper(Market) market,
    upper(Currency) currency, lower(coalesce(MeterId, '')) meter, UnitPrice price, starts::date first, ends::date last,
    min(ref) ref
from price_in where BillingPlan is null group by all;

create temp table licence as
with listed as (
    select upper(ProductId) product, canonical(SkuId) sku, TermDuration term, BillingPlan plan, upper(Market) market,
        upper(Currency) currency, Segment segment, UnitPrice price, ERPPrice erp, starts::date first, ends::date last,
        ref, starts, ends
    from price_in where BillingPlan is not null),
days as (
    select distinct product, sku, term, plan, market, currency, unnest([first, last + 1]) as day from listed),
spans as (
    select *, lead(day) over (partition by product, sku, term, plan, market, currency order by day) - 1 as until
    from days),
chosen as (
    select s.product, s.sku, s.term, s.plan, s.market, s.currency, s.day as first, s.until as last, l.segment,
        l.price, l.erp, l.ref
    from spans s join listed l using (product, sku, term, plan, market, currency)
    where s.until is not null and l.first <= s.day and l.last >= s.until
    qualify row_number() over (partition by s.product, s.sku, s.term, s.plan, s.market, s.currency, s.day, l.segment
        order by l.ends, l.starts desc, l.ref) = 1)
select product, sku, term, plan, market, currency, first, last,
    any_value({'price': price, 'erp': erp, 'ref': ref, 'segment': segment})
        filter (segment = 'Commercial' or segment is null) as commercial,
    any_value({'price': price, 'erp': erp, 'ref': ref, 'segment': segment}) filter (segment = 'Charity') as charity,
    any_value({'price': price, 'erp': erp, 'ref': ref, 'segment': segment}) filter (segment = 'Education') as school,
    any_value({'price': price, 'erp': erp, 'ref': ref, 'segment': segment}) filter (segment = 'Government') as office
from chosen group by all;
"""

USAGE = r"""
create temp table used as
with flagged as (
    select *, first_party(PublisherName) and coalesce(BenefitId, '') = '' and coalesce(BenefitOrderId, '') = ''
        and not coalesce(CreditType ilike '%azure credit%', false)
        and (UnitPrice <> 0 or EffectiveUnitPrice <> 0) as metered
    from usage_in)
select ref, InvoiceNumber inv, lower(SubscriptionId) sub, upper(ProductId) product, canonical(SkuId) sku,
    lower(MeterId) meter, upper(CustomerCountry) market, upper(PricingCurrency) pricing, BillingCurrency currency,
    UsageDate as day, UnitPrice price, BillingPreTaxTotal charge, PCToBCExchangeRate rate, PCToBCExchangeRateDate rated,
    metered, abs(EffectiveUnitPrice * Quantity * coalesce(PCToBCExchangeRate, 1) - BillingPreTaxTotal)
        > 0.000001 as unexplained,
    case when metered and coalesce(PartnerEarnedCreditPercentage, 0) = 0 and EffectiveUnitPrice > 0 and Quantity > 0
        then not regexp_matches(lower(concat_ws(' ', MeterName, SkuName, MeterSubCategory)), '\bspot\b')
        else false end as uncredited
    {detail}
from flagged;
"""

#: The reconciliation lines with their price and their rounding rule; what only few lines need is kept of those alone.
RECON = r"""
create temp table billed as
with sorted as (
    select ref, InvoiceNumber inv, Currency currency, upper(PricingCurrency) pricing, PCToBCExchangeRate as delivered,
        coalesce(PCToBCExchangeRate, 1) rate, PCToBCExchangeRateDate rated, Subtotal, coalesce(TaxTotal, 0) tax, Total,
        lower(SubscriptionId) sub, upper(ProductId) product, canonical(SkuId) sku, upper(CustomerCountry) market,
        UnitPrice price, EffectiveUnitPrice effective, coalesce(BillableQuantity, Quantity) quantity,
        ChargeStartDate charged_from, coalesce(ChargeEndDate, ChargeStartDate) charged_to, SubscriptionStartDate starts,
        SubscriptionEndDate ends, coins(Currency) bc, coins(coalesce(PricingCurrency, Currency)) pc,
        lower(ChargeType) = 'customercredit' as credit, lower(coalesce(CreditReasonCode, '')) reason,
        first_party(PublisherName) as own, lower(coalesce(TermAndBillingCycle, '')) as cycle,
        lower(coalesce(BillingFrequency, '')) as frequency,
        ProductCategory ilike '%reservation%' or ProductName ilike '%reservation%' or SkuName ilike '%reservation%'
            or ProductCategory ilike '%savings plan%' or ProductName ilike '%savings plan%'
            or SkuName ilike '%savings plan%' as is_discounted, coalesce(is_discounted, false) as discounted,
        coalesce(ProductQualifiers ilike '%trial%', false) or contains(cycle, 'trial') as trial,
        coalesce(trim(SubscriptionDescription) ilike 'azure plan', false) or coalesce(MeterDescription, '') <> ''
            or coalesce(cycle = '' and ProductId ilike 'DZH318Z0%' and ProductCategory ilike '%azure%', false)
            as metered,
        credit or trial or (UnitPrice = 0 and EffectiveUnitPrice = 0) as unpriced
    from recon_in),
termed as (
    select *, own and not discounted and case when starts_with(product, 'CFQ7TTC0') then true else
            regexp_matches(cycle, '(one|three|five|1|3|5)[ -]*(3|5)?[ -]*(month|year)s?[ -]*commitment') end as licence,
        metered and not discounted and not licence as azure,
        case when contains(cycle, 'three') or contains(cycle, '3 year') then 'P3Y'
            when contains(cycle, 'one-year') or contains(cycle, '1 year') then 'P1Y' else 'P1M' end as term,
        case when term = 'P1M' then 'Monthly' when frequency in ('annual', 'annually', 'yearly') then 'Annual'
            when frequency in ('triennial', '3 years', 'three years') then 'Triennial' else 'Monthly' end as plan,
        case plan when 'Monthly' then 1 when 'Annual' then 12 else 36 end as months,
        (case term when 'P1M' then 1 when 'P1Y' then 12 else 36 end / months)::smallint as per_term,
        coalesce(starts, charged_from) as fixed_on, charged_to + 1 as after, ends + 1 as anchor,
        date_part('year', after) * 12 + date_part('month', after) - date_part('year', starts) * 12
            - date_part('month', starts) as passed,
        date_part('year', anchor) * 12 + date_part('month', anchor) - date_part('year', after) * 12
            - date_part('month', after) as remaining
    from sorted),
cycled as (
    select *, (charged_to - charged_from + 1)::smallint as days,
        greatest(days, case
            when not licence then days
            when day(starts) = day(after) and day(after) <= 28 and starts <= charged_from and passed % months = 0
                then after - (after - to_months(months::integer))::date
            when starts <= charged_from and passed % months = 0
                and (starts + to_months(passed::integer))::date = after
                then after - (starts + to_months((passed - months)::integer))::date
            when ends >= charged_to and remaining % months = 0
                and (anchor - to_months(remaining::integer))::date = after
                then after - (anchor - to_months((remaining + months)::integer))::date
            else after - (after - to_months(months::integer))::date end)::smallint as full_days,
        case when credit then case when Subtotal < 0 then -abs(effective) else abs(effective) end
            else effective end as paid,
        case when credit then abs(quantity) else quantity end as units,
        rule_a(paid, units, rate, pc, bc) as a
    from termed),
ruled as (
    select *, case when a = Subtotal then 'A' when rule_b(paid, units, rate, bc) = Subtotal then 'B'
        when rule_c(paid, units, rate, bc) = Subtotal then 'C' end as exact from cycled),
priced as (
    select r.*, l.product is not null as is_priced, case
        when l.commercial.price = r.price * r.per_term then l.commercial
        when l.charity.price = r.price * r.per_term then l.charity
        when l.school.price = r.price * r.per_term then l.school
        when l.office.price = r.price * r.per_term then l.office
        else coalesce(l.commercial, l.charity, l.school, l.office) end as row
    from ruled r left join licence l on r.licence and not r.unpriced and l.product = r.product and l.sku = r.sku
        and l.term = r.term and l.plan = r.plan and l.market = r.market and l.currency = r.pricing
        and r.fixed_on between l.first and l.last),
margins as (
    select *, case when days < full_days then paid - half(paid) else paid end as lowest,
        case when is_priced and Subtotal >= 0 and row.erp is not null
            then (lowest * (full_days::integer * per_term)::decimal(6, 0))::decimal(30, 11) end as cost,
        (row.erp * days)::decimal(30, 8) as retail
    from priced)
select ref, inv, currency, pricing, rated, delivered, Subtotal, Total, {detail}
    Total <> Subtotal + tax as total_off, exact, is_priced,
    licence and not unpriced and not is_priced as unlisted, is_priced and row.price <> price * per_term as price_off,
    coalesce(cost > retail, false) as above, coalesce(cost > retail * 0.95, false) and not above as thin,
    azure, azure and own and not unpriced as azure_priced,
    azure and (not credit or contains(reason, 'azure credit')) as of_usage,
    case when azure then sub end as sub, case when azure or unlisted then product end as product,
    case when azure or unlisted then sku end as sku, case when azure or unlisted then market end as market,
    case when azure or price_off then price end as price, case when azure then charged_from end as charged_from,
    case when azure then charged_to end as charged_to, case when unlisted then term end as term,
    case when unlisted then plan end as plan, case when price_off then per_term end as per_term,
    case when price_off then row.price end as term_price,
    case when exact is null then {{'paid': paid, 'units': units, 'rate': rate, 'pc': pc, 'bc': bc}} end as inexact
from margins;
"""

#: What exact figures do not explain: a unit price that prints the same may.
ROUNDING = """
create temp table explained as
with figures as (
    select rowid as line, inv, Subtotal, unnest(inexact), printed(inexact.paid) as places, half(inexact.paid) as half
    from billed where inexact is not null),
rules as (
    select *, abs(rule_a(paid, units, rate, pc, bc) - Subtotal) as a,
        abs(rule_b(paid, units, rate, bc) - Subtotal) as b, abs(rule_c(paid, units, rate, bc) - Subtotal) as c,
        (paid - half)::decimal(19, 11) as low, (paid + half)::decimal(19, 11) as high
    from figures)
select line, inv, case when a <= b and a <= c then 'A' when b <= c then 'B' else 'C' end as nearest,
    case nearest when 'A' then rule_a(paid, units, rate, pc, bc) when 'B' then rule_b(paid, units, rate, bc)
        else rule_c(paid, units, rate, bc) end as expected,
    case when places <= 2
        then least(a, b, c) <= case bc when 2 then 0.01 when 3 then 0.001 else 1 end
            + 0.005 * abs(units) * greatest(rate, 1)
        else between_ends(rule_a(low, units, rate, pc, bc), rule_a(high, units, rate, pc, bc), Subtotal)
            or between_ends(rule_b(low, units, rate, bc), rule_b(high, units, rate, bc), Subtotal)
            or between_ends(rule_c(low, units, rate, bc), rule_c(high, units, rate, bc), Subtotal) end as fits
from rules;
"""

FINDINGS = """
create temp table found (code varchar, source varchar, line bigint, inv varchar);

create temp table asked as
select 'daily_usage' as source, rowid as line, inv, product, sku, market, pricing, meter, price,
    day as first, day as last
from used u where metered and not exists (
    select 1 from azure a where a.product = u.product and a.sku = u.sku and a.market = u.market
        and a.currency = u.pricing and a.meter = u.meter and a.price = u.price and u.day between a.first and a.last)
union all
select 'invoice_recon', rowid, inv, product, sku, market, pricing, '', price, charged_from, charged_to
from billed b where azure_priced and not exists (
    select 1 from azure a where a.product = b.product and a.sku = b.sku and a.market = b.market
        and a.currency = b.pricing and a.price = b.price and a.first <= b.charged_to and a.last >= b.charged_from);

insert into found
with candidates as (
    select q.*, a.product as listed, a.price as list_price, q.last >= a.first and q.first <= a.last as covers
    from (select * from asked where (market, pricing) in (select (market, currency) from azure)) q
    left join azure a on a.product = q.product and a.sku = q.sku and a.market = q.market
        and a.currency = q.pricing
    qualify a.meter in (q.meter, '')
        or not coalesce(bool_or(a.meter in (q.meter, '')) over (partition by q.source, q.line), false)),
judged as (
    select source, line, inv, bool_or(listed is not null) as is_listed, coalesce(bool_or(covers), false) as is_covered,
        coalesce(bool_or(covers and (price = list_price or (printed(price) = 2
            and price in (round(list_price, 2), trunc(list_price, 2))))), false) as matches
    from candidates group by all)
select case when not is_listed then 'PRICE_NOT_FOUND' when not is_covered then 'PRICE_NOT_EFFECTIVE'
    else 'UNIT_PRICE_MISMATCH' end, source, line, inv from judged where not matches;

insert into found
select 'PEC_MISSING', 'daily_usage', rowid, inv from used where uncredited
union all
select 'TOTAL_MISMATCH', 'invoice_recon', rowid, inv from billed where total_off
union all
select 'SUBTOTAL_MISMATCH', 'invoice_recon', line, inv from explained where not fits
union all
select case when above then 'ABOVE_ERP' else 'MARGIN_BELOW_FLOOR' end, 'invoice_recon', rowid, inv from billed
where above or thin
union all
select 'UNIT_PRICE_MISMATCH', 'invoice_recon', rowid, inv from billed
where price_off and not (abs(price * per_term - term_price) * 200 <= per_term and printed(price) = 2)
union all
select case when exists (select 1 from licence l where l.product = b.product and l.sku = b.sku and l.term = b.term
        and l.plan = b.plan and l.market = b.market and l.currency = b.pricing)
    then 'PRICE_NOT_EFFECTIVE' else 'PRICE_NOT_FOUND' end, 'invoice_recon', rowid, inv from billed b where unlisted;

create temp table grouped as
select 'invoice_recon' as source, inv, currency, pricing, rated, delivered as rate, count(*) as lines,
    sum(Total)::decimal(38, 10) as amount, 0 as unexplained
from billed group by all
union all
select 'daily_usage', inv, currency, pricing, rated, rate, count(*), sum(charge), count(*) filter (unexplained)
from used group by all;

create temp table usual as
with counted as (
    select inv, pricing, rated, rate, sum(lines) as lines from grouped
    where rate is not null and rated is not null group by all),
everywhere as (select pricing, rated, rate, sum(lines) as everywhere from counted group by all)
select inv, pricing, rated, rate from counted join everywhere using (pricing, rated, rate)
qualify row_number() over (partition by inv, pricing, rated order by lines desc, everywhere desc, rate) = 1;

insert into found
select 'EXCHANGE_RATE_MISMATCH', 'invoice_recon', b.rowid, inv from billed b join usual u using (inv, pricing, rated)
where b.delivered <> u.rate
union all
select 'EXCHANGE_RATE_MISMATCH', 'daily_usage', b.rowid, inv from used b join usual u using (inv, pricing, rated)
where b.rate <> u.rate
union all
select 'CURRENCY_MISMATCH', 'invoice_recon', b.rowid, inv from billed b join invoice_in i on i.number = b.inv
where b.currency <> i.currency
union all
select 'CURRENCY_MISMATCH', 'daily_usage', b.rowid, inv from used b join invoice_in i on i.number = b.inv
where b.currency <> i.currency;

create temp table sums as
select inv, coalesce(sum(amount) filter (source = 'invoice_recon'), 0) as lines,
    coalesce(sum(amount) filter (source = 'daily_usage'), 0) as usage
from grouped group by all;

insert into found
with documents as (
    select coalesce(amends, number) as inv,
        sum(case when kind = 'adjustment_note' then -abs(total) else total end) as total
    from invoice_in where kind <> 'void_note' group by all)
select case when d.inv is null then 'INVOICE_NOT_FOUND' when s.inv is null then 'INVOICE_WITHOUT_LINES'
    else 'INVOICE_TOTAL_MISMATCH' end, 'invoice', null, coalesce(d.inv, s.inv)
from documents d full join sums s on d.inv = s.inv where d.total is distinct from s.lines;

insert into found
with charged as (
    select inv, sub, product, sku, sum(Subtotal) as amount from billed where of_usage group by all),
metered as (
    select inv, sub, product, sku, sum(charge) as amount,
        greatest(case coins(min(currency)) when 0 then 1 else 0.01 end, 0.01 * coalesce(max(rate), 1)) as each
    from used group by all),
both_sides as (
    select inv, sub, product, sku, coalesce(c.amount, 0) - coalesce(m.amount, 0) as apart, m.each
    from charged c full join metered m using (inv, sub, product, sku)
    where inv in (select inv from billed) and inv in (select inv from used)),
-- Counting days and meters is dear, and only asked for where more than one of them would be needed.
wide as (select * from both_sides where abs(apart) > coalesce(each, 0)),
counted as (
    select inv, sub, product, sku, count(distinct (u.day, u.meter)) as times
    from used u semi join wide w using (inv, sub, product, sku) group by all)
select 'USAGE_MISMATCH', 'invoice_recon', null, inv
from wide left join counted using (inv, sub, product, sku) where abs(apart) > coalesce(each * times, 0);
"""
