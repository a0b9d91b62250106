-- percentage(part, whole): part in percent of whole, DECIMAL(38,4), rounded half away from zero; null where whole is 0.
-- DuckDB divides decimals as doubles, so both are counted in units of 11 decimals and divided as whole numbers.
create or replace macro in_units(amount) as
    cast(replace(cast(cast(amount as decimal(38, 11)) as varchar), '.', '') as hugeint);

create or replace macro percentage(part, whole) as cast(
    case when in_units(whole) <> 0 then
        sign(part) * sign(whole)
        * ((abs(in_units(part)) * 2000000 + abs(in_units(whole))) // (2 * abs(in_units(whole))))
    end as decimal(34, 0)) * cast(0.0001 as decimal(4, 4));

-- product(price, factor): DECIMAL(38,18), rounded half away from zero; null where it has more than 20 digits before the
-- point. What makes less than 100,000 is multiplied as whole numbers of 1e-18 and 1e-15. Anything else may need 76
-- digits: it is cut into halves of 19 digits, as whole numbers of 1e-22 and 1e-15, which `whole_product` multiplies and
-- brings to 1e-18. (DuckDB takes up to a microsecond to round a decimal, and a quarter of that to write its digits.)
create or replace macro units(amount) as cast(replace(cast(abs(amount) as varchar), '.', '') as hugeint);

create or replace macro whole_product(a, b) as
    (a // 10000000000000000000) * (b // 10000000000000000000) * 10000000000000000000
    + (a // 10000000000000000000) * (b % 10000000000000000000)
    + (a % 10000000000000000000) * (b // 10000000000000000000)
    + ((a % 10000000000000000000) * (b % 10000000000000000000) + 5000000000000000000) // 10000000000000000000;

create or replace macro product(price, factor) as case
    when
        price = cast(price as decimal(38, 18)) and (
            abs(price) < 0.1 and abs(factor) < 1000000 or abs(price) < 10 and abs(factor) < 10000
            or abs(price) < 100 and abs(factor) < 1000 or abs(price) < 1000 and abs(factor) < 100
            or abs(price) < 10000 and abs(factor) < 10
        )
    then cast(case when (price < 0) = (factor < 0) then 1 else -1 end as decimal(1, 0)) * cast(
        cast(
            (units(cast(price as decimal(38, 18))) * units(cast(factor as decimal(38, 15))) + 500000000000000)
            // 1000000000000000 as decimal(38, 0)
        ) * cast(0.000000000000000001 as decimal(18, 18)) as decimal(38, 18)
    )
    else try(
        cast(sign(price) * sign(factor) as decimal(1, 0)) * cast(
            cast(
                whole_product(units(cast(price as decimal(38, 22))), units(cast(factor as decimal(38, 15))))
                as decimal(38, 0)
            ) * cast(0.000000000000000001 as decimal(18, 18)) as decimal(38, 18)
        )
    )
end;

-- quotient(amount, divisor): DECIMAL(38,18), rounded half away from zero to 12 decimals, both of them read to as many;
-- null where the divisor is 0, or where one of them has more than 13 digits before the point or the result more than 20.
create or replace macro quotient(amount, divisor) as case
    when abs(amount) < 10000000000000 and abs(divisor) < 10000000000000 and units(cast(divisor as decimal(38, 12))) > 0
    then try(cast(
        cast(
            sign(amount) * sign(divisor) * (
                (units(cast(amount as decimal(38, 12))) * 2000000000000 + units(cast(divisor as decimal(38, 12))))
                // (2 * units(cast(divisor as decimal(38, 12))))
            ) as decimal(38, 0)
        ) * cast(0.000000000001 as decimal(12, 12)) as decimal(38, 18)
    ))
end;

-- matched(value, pattern): what the first group of a regular expression matches; null where it does not match.
create or replace macro matched(value, pattern) as
    case when regexp_matches(value, pattern) then regexp_extract(value, pattern, 1) end;

-- flat_json(value): a JSON object without objects or arrays in it, as delivered, or with the braces that were left out;
-- null for anything else.
create or replace macro braced(value) as
    case when trim(value) like '{%' then trim(value) else '{' || trim(value) || '}' end;

create or replace macro flat_json(value) as case
    when trim(value) = '' or not json_valid(braced(value)) then null
    when json_type(braced(value)) <> 'OBJECT' then null
    when list_has_any(json_type(braced(value), '$.*'), ['OBJECT', 'ARRAY']) then null
    else braced(value)
end;
