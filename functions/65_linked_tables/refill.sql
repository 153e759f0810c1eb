-- Rebuilding and verifying linked columns: anchors are copied from the store again, and rows are filled from anchors.

create or replace function payments_private.refill_linked_rows(
  p_environment text, p_account text, p_object_type text, p_ids text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_anchor integer;
  v_link   payments_private.linked_tables;
  v_id     text;
begin
  select a.anchor_id into v_anchor from payments_private.object_anchors a
   where a.environment = p_environment and a.account_id is not distinct from p_account
     and a.object_type = p_object_type;
  if not found then
    return;
  end if;
  execute format($sql$
    insert into payments_private.anchors_%1$s as a (object_id, data)
    select o.object_id, o.data
      from unnest($4) i (id),
           lateral (
             select x.object_id, x.data from payments.stripe_objects x
              where x.environment = $1 and x.account_id is not distinct from $2 and x.object_type = $3
                and x.object_id = i.id
              limit 1) o
    on conflict (object_id) do update set data = excluded.data, former = false
     where a.data is distinct from excluded.data or a.former
  $sql$, v_anchor) using p_environment, p_account, p_object_type, p_ids;
  for v_link in select l.* from payments_private.linked_tables l where l.anchor_id = v_anchor order by l.link_id loop
    perform payments_private.touch(v_link.link_id, p_ids, true);
    continue when v_link.found_by = 'id';
    foreach v_id in array p_ids loop
      if v_link.found_by = 'metadata' then
        perform payments_private.touch_by_metadata(v_link.link_id, v_id, payments_private.anchored(v_anchor, v_id));
      else
        perform payments_private.touch_by_reference(v_link.link_id, v_id);
      end if;
    end loop;
  end loop;
end
$$;
comment on function payments_private.refill_linked_rows(text, text, text, text[]) is
  'Copies stored objects to their anchor and fills the rows that are linked to them. The caller holds the locks of the objects.';

create or replace function payments_private.linked_rows_of(
  p_environment text, p_account text, p_object_type text, p_ids text[]
) returns table (projection text, key text, content jsonb)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_link payments_private.linked_tables;
begin
  for v_link in
    select l.* from payments_private.linked_tables l
     where l.environment = p_environment and l.account_id is not distinct from p_account
       and l.object_type = p_object_type order by l.link_id
  loop
    return query execute format('select %L, r.key::text, r.content from payments_private.list_linked_%s($1) r',
                                v_link.target::text, v_link.link_id) using p_ids;
  end loop;
end
$$;
comment on function payments_private.linked_rows_of(text, text, text, text[]) is 'The linked columns of the rows that are linked to the given objects.';
