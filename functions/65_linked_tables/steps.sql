-- Linking in steps: what pg-payments link calls between its commits.

create or replace function payments_private.link_or_fail(p_link_id integer) returns payments_private.linked_tables
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link payments_private.linked_tables;
begin
  select l.* into v_link from payments_private.linked_tables l where l.link_id = p_link_id;
  if not found then
    raise exception 'no such link' using errcode = 'PY005', detail = coalesce(p_link_id::text, 'null'),
      hint = 'See payments.linked_tables.';
  end if;
  return v_link;
end
$$;
comment on function payments_private.link_or_fail(integer) is 'Returns a link, or raises PY005.';

create or replace function payments.link_statements(link_id integer, what text) returns text[]
language plpgsql stable security definer  -- reads the link, which is in payments_private
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link payments_private.linked_tables := payments_private.link_or_fail(link_statements.link_id);
begin
  return case link_statements.what
    when 'index' then payments_private.index_statements(
      v_link, case (select c.relkind from pg_catalog.pg_class c where c.oid = v_link.target) when 'p' then ''
                else 'concurrently' end)
    when 'validation' then payments_private.validation_statements(v_link) end;
end
$$;
comment on function payments.link_statements(integer, text) is
  'Returns the statements that a link still needs, to be run as the table''s owner outside a transaction: what is index or validation. Raises PY005 for an unknown link.';

create or replace function payments.fill_linked_table(link_id integer, after jsonb, max_rows integer) returns jsonb
language plpgsql security definer  -- calls the function of the table's owner that fills rows
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link payments_private.linked_tables := payments_private.link_or_fail(fill_linked_table.link_id);
  v_last jsonb;
begin
  execute format('select payments_private.fill_linked_%s($1, $2)', v_link.link_id) into v_last
    using fill_linked_table.after, fill_linked_table.max_rows;
  return case when v_last is not null then payments_private.row_key(v_link.key_columns, v_last) end;
end
$$;
comment on function payments.fill_linked_table(integer, jsonb, integer) is
  'Fills rows of a linked table, in the order of their key, from after on. Returns the key of the last one, null at the end. Raises PY005 for an unknown link.';

create or replace function payments.table_is_linked(link_id integer) returns void
language plpgsql security definer  -- writes the link, which is in payments_private
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_private.link_or_fail(table_is_linked.link_id);
  update payments_private.linked_tables l set filled = true, updated_at = now()
   where l.link_id = table_is_linked.link_id;
end
$$;
comment on function payments.table_is_linked(integer) is 'Records that all rows of a linked table are filled and its foreign key is validated.';
