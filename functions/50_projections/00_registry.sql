-- Projections: typed rows that are computed from stored snapshots. Nothing in them is added up, so each can be thrown
-- away and computed again; what Stripe did not say is null.
--
-- Each file of this folder computes one kind of row, and ends by registering its table. What is not hot (rebuilding,
-- verifying, clearing an account: 70_operations, 80_connection) reads the registry, and is written once over it. What
-- is hot goes through dispatch.sql.

delete from payments_private.projections;

create or replace function payments_private.register_projection(
  p_table text, p_object_types text[], p_key text, p_object_key text default null,
  p_keeps_deleted boolean default false,
  p_made_by_callers boolean default false
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.projections
    (table_name, object_types, key_column, object_column, keeps_deleted, made_by_callers, scope, place)
  values (
    p_table, p_object_types, p_key, coalesce(p_object_key, p_key), p_keeps_deleted, p_made_by_callers,
    case when exists (
      select from pg_attribute a where a.attrelid = format('payments.%I', p_table)::regclass and a.attname = 'provider')
    then 'x.provider = ''stripe'' and ' else '' end,
    (select count(*) from payments_private.projections));
end
$$;
comment on function payments_private.register_projection(text, text[], text, text, boolean, boolean) is
  'Registers a table of schema payments as a projection; called by functions/ whenever these are loaded.';

create or replace function payments_private.projection_statement(
  p_projection payments_private.projections, p_template text
) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return format(p_template, p_projection.table_name, p_projection.key_column, p_projection.object_column,
                p_projection.scope);
end
$$;
comment on function payments_private.projection_statement(payments_private.projections, text) is
  'A statement about a projection: %1$I is its table, %2$I its key, %3$I the column with the id of the object that accounts for a row, %4$s what all its rows x have in common, to be followed by further conditions.';

-- Computed from several objects each: their stages in 70_operations/rebuild.sql are their own.
do $$ begin
  perform payments_private.register_projection('customer_mappings', '{}', 'subject_key');
  perform payments_private.register_projection('transactions', '{}', 'provider_object_id');
end $$;
