-- PostgreSQL: the role csp_billing_analyst may read the warehouse's views and nothing else of it.
--
-- Run it in the warehouse's database as the owner of its tables, or as a superuser; the role is made the first time,
-- which needs CREATEROLE. It can be repeated: what else the role was given here is taken back. `csp-billing warehouse
-- upgrade` keeps what is granted on the views; repeat the script where an upgrade adds a view.
--
-- The role cannot log in. Each analyst has a login of their own and is a member of it:
--     create role anna login password '…' in role csp_billing_analyst;
do $$
declare
    analyst constant text := 'csp_billing_analyst';
    warehouse constant text := current_schema();
    view_name text;
begin
    if to_regclass('view_versions') is null then
        raise exception 'there is no warehouse in the schema % of %: run "csp-billing warehouse upgrade" first',
            warehouse, current_database();
    end if;
    if not exists (select from pg_roles where rolname = analyst) then
        execute format('create role %I nologin', analyst);
    end if;
    if exists (
        select from pg_roles
        where rolname = analyst
            and (rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls or rolcanlogin)
    ) or exists (select from pg_auth_members where member = analyst::regrole) then
        raise exception 'the role % may do more than read: take that from it first, or drop it', analyst;
    end if;

    -- Before version 15 of PostgreSQL everybody may create tables here.
    execute format('revoke create on schema %I from public', warehouse);
    execute format('revoke all on schema %I from %I', warehouse, analyst);
    execute format('revoke all on all tables in schema %I from %I', warehouse, analyst);
    execute format('revoke all on all sequences in schema %I from %I', warehouse, analyst);
    execute format('revoke all on all routines in schema %I from %I', warehouse, analyst);

    execute format('grant connect on database %I to %I', current_database(), analyst);
    execute format('grant usage on schema %I to %I', warehouse, analyst);
    for view_name in select name from view_versions loop
        execute format('grant select on %I.%I to %I', warehouse, view_name, analyst);
    end loop;
    -- Whoever reads a view calls its functions in their own name.
    execute format('grant execute on function %I.percentage(numeric, numeric) to %I', warehouse, analyst);
end
$$;
