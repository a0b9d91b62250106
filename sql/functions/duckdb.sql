-- percentage(part, whole): part in percent of whole, DECIMAL(38,4), rounded half away from zero; null where whole is 0.
-- DuckDB divides decimals as doubles, so both are counted in units of 11 decimals and divided as whole numbers.
create or replace macro in_units(amount) as
    cast(replace(cast(cast(amount as decimal(38, 11)) as varchar), '.', '') as hugeint);

create or replace macro percentage(part, whole) as cast(
    case when in_units(whole) <> 0 then
        sign(part) * sign(whole)
        * ((abs(in_units(part)) * 2000000 + abs(in_units(whole))) // (2 * abs(in_units(whole))))
    end as decimal(34, 0)) * cast(0.0001 as decimal(4, 4));
