-- PostgreSQL: the role csp_billing_job may do what the commands and the scheduled flows do, and change no table.
--
-- Run it in the warehouse's database as the owner of its tables: the login that runs `csp-billing warehouse upgrade`, and
-- nothing else. The role is made the first time, which needs CREATEROLE, or a superuser who then makes the owner run it
-- again. It can be repeated, and has to be after an upgrade that adds a table.
--
-- The role cannot log in. The job has a login that is a member of it:
--     create role billing login password '…' in role csp_billing_job;
--
-- A run needs a partition for a period that comes for the first time. Two functions make and index it in the owner's
-- name: they do only that, for the large tables only, and for nobody else.
do $$
declare
    job constant text := 'csp_billing_job';
    warehouse constant text := current_schema();
begin
    if to_regclass('view_versions') is null then
        raise exception 'there is no warehouse in the schema % of %: run "csp-billing warehouse upgrade" first',
            warehouse, current_database();
    end if;
    if not exists (select from pg_roles where rolname = job) then
        execute format('create role %I nologin', job);
    end if;
    if exists (
        select from pg_roles
        where rolname = job
            and (rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls or rolcanlogin)
    ) then
        raise exception 'the role % may do more than its work: take that from it first, or drop it', job;
    end if;

    -- Before version 15 of PostgreSQL everybody may create tables here.
    execute format('revoke create on schema %I from public', warehouse);
    execute format('revoke all on schema %I from %I', warehouse, job);
    execute format('grant connect, temporary on database %I to %I', current_database(), job);
    execute format('grant usage on schema %I to %I', warehouse, job);
    execute format('revoke all on all tables in schema %I from %I', warehouse, job);
    execute format('grant select, insert, update, delete on all tables in schema %I to %I', warehouse, job);
    execute format('grant usage on all sequences in schema %I to %I', warehouse, job);
    execute format('grant execute on function %I.percentage(numeric, numeric) to %I', warehouse, job);
    -- Which version the warehouse has is read, and written by upgrades alone.
    execute format('revoke insert, update, delete on %I.alembic_version, %I.view_versions from %I',
        warehouse, warehouse, job);
    -- Decisions are only added.
    execute format('revoke update, delete on %I.approvals from %I', warehouse, job);

    execute format($function$
        create or replace function %1$I.csp_billing_make_partition(parent text, period text) returns void
        language plpgsql security definer set search_path = %1$I, pg_temp as $body$
        declare
            name text := parent || '_' || replace(period, '-', '_');
        begin
            if period !~ '^[0-9]{4}-(0[1-9]|1[0-2])$'
                or not exists (select from pg_partitioned_table where partrelid = to_regclass(format('%%I.%%I', '%1$s', parent)))
            then
                raise exception 'no partition %% of %% can be made', period, parent;
            end if;
            execute format('create table %%I.%%I (like %%I.%%I including all)', '%1$s', name, '%1$s', parent);
            execute format('grant select, insert, update, delete on %%I.%%I to %2$I', '%1$s', name);
            execute format('alter table %%I.%%I attach partition %%I.%%I for values in (%%L)',
                '%1$s', parent, '%1$s', name, period);
        end
        $body$
    $function$, warehouse, job);
    execute format($function$
        create or replace function %1$I.csp_billing_index_partition(parent text, period text, indexes text[])
        returns void language plpgsql security definer set search_path = %1$I, pg_temp as $body$
        declare
            name text := parent || '_' || replace(period, '-', '_');
            wanted text;
            columns text;
        begin
            if not exists (
                select from pg_inherits
                where inhrelid = to_regclass(format('%%I.%%I', '%1$s', name))
                    and inhparent = to_regclass(format('%%I.%%I', '%1$s', parent))
            ) then
                raise exception '%% is no partition of %%', name, parent;
            end if;
            foreach wanted in array indexes loop
                -- A name, a blank, and columns with commas between them; each is quoted before it is used.
                select string_agg(quote_ident(one), ', ') into columns
                from unnest(string_to_array(substr(wanted, strpos(wanted, ' ') + 1), ', ')) as one;
                execute format('create index %%I on %%I.%%I (%%s)', split_part(wanted, ' ', 1), '%1$s', name, columns);
            end loop;
            execute format('analyze %%I.%%I', '%1$s', name);
        end
        $body$
    $function$, warehouse, job);
    execute format('revoke all on function %I.csp_billing_make_partition(text, text) from public', warehouse);
    execute format('revoke all on function %I.csp_billing_index_partition(text, text, text[]) from public', warehouse);
    execute format('grant execute on function %I.csp_billing_make_partition(text, text) to %I', warehouse, job);
    execute format('grant execute on function %I.csp_billing_index_partition(text, text, text[]) to %I', warehouse, job);
end
$$;
