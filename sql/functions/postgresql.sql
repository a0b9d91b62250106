-- percentage(part, whole): part in percent of whole, NUMERIC, rounded half away from zero to 4 decimals; null where
-- whole is 0. The same arithmetic as DuckDB's, so that both engines give the same digits.
create or replace function percentage(part numeric, whole numeric) returns numeric
language sql immutable parallel safe
as $$
    select case when round(whole, 11) <> 0 then
        sign(part) * sign(whole)
        * div(abs(round(part, 11)) * 2000000 + abs(round(whole, 11)), 2 * abs(round(whole, 11)))
        * 0.0001
    end
$$;

-- product(price, factor): NUMERIC, rounded half away from zero to 18 decimals; null where it has more than 20 digits
-- before the point. A price is read to 22 decimals and a factor to 15, as DuckDB does.
create or replace function product(price numeric, factor numeric) returns numeric
language sql immutable parallel safe
as $$
    select case
        when abs(price) < 1e16 and abs(factor) < 1e23 and abs(round(price, 22) * round(factor, 15)) < 1e20 - 1e-18
        then round(round(price, 22) * round(factor, 15), 18)
    end
$$;

-- quotient(amount, divisor): NUMERIC, rounded half away from zero to 12 decimals, both of them read to as many; null
-- where the divisor is 0, or where one of them has more than 13 digits before the point or the result more than 20.
create or replace function quotient(amount numeric, divisor numeric) returns numeric
language sql immutable parallel safe
as $$
    select case
        when abs(amount) < 1e13 and abs(divisor) < 1e13 and abs(round(divisor, 12)) * 1e20 > abs(round(amount, 12))
        then sign(amount) * sign(divisor) * 0.000000000001
            * div(abs(round(amount, 12)) * 2000000000000 + abs(round(divisor, 12)), 2 * abs(round(divisor, 12)))
    end
$$;

-- matched(value, pattern): what the first group of a regular expression matches; null where it does not match.
create or replace function matched(value text, pattern text) returns text
language sql immutable parallel safe
as $$
    select substring(value from pattern)
$$;

-- flat_json(value): a JSON object without objects or arrays in it, as delivered, or with the braces that were left out;
-- null for anything else.
create or replace function flat_json(value text) returns text
language plpgsql immutable parallel safe
as $$
declare
    braced text := case when trim(value) like '{%' then trim(value) else '{' || trim(value) || '}' end;
begin
    if trim(value) = '' or json_typeof(cast(braced as json)) <> 'object' or exists (
        select from json_each(cast(braced as json)) as pair where json_typeof(pair.value) in ('object', 'array')
    ) then
        return null;
    end if;
    return braced;
exception when data_exception then
    return null;
end
$$;
