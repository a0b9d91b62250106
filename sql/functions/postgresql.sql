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
