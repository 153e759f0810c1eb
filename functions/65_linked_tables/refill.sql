-- Rebuilding and verifying linked columns: anchors are copied from the store again, and rows are filled from anchors.

create or replace function payments_private.refill_linked_rows(
  p_environment text, p_account text, p_object_type text, p_ids text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_anchor payments_private.object_anchors;
begin
  for v_anchor in
    select a.* from payments_private.object_anchors a
     where a.environment = p_environment and a.account_id is not distinct from p_account
       and p_object_type = any (payments_private.anchored_types(a.object_type))
     order by a.anchor_id
  loop
    perform payments_private.refill_anchor(v_anchor, p_object_type, p_ids);
  end loop;
end
$$;
comment on function payments_private.refill_linked_rows(text, text, text, text[]) is
  'Copies stored objects to their anchor and fills the rows that are linked to them. The caller holds the locks of the objects.';

create or replace function payments_private.refill_anchor(
  p_anchor payments_private.object_anchors, p_object_type text, p_ids text[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link payments_private.linked_tables;
  v_id   text;
begin
  execute format($sql$
    insert into payments_private.anchors_%1$s as a (object_id, data)
    select o.object_id, o.data
      from unnest($4) i (id),
           lateral (
             select x.object_id, x.data from payments.stripe_objects x
              where x.environment = $1 and x.account_id is not distinct from $2 and x.object_type = $3
                and x.object_id = i.id
              limit 1) o
     where $3 = $5 or payments_private.is_customer($3, o.data)
        or exists (select from payments_private.anchors_%1$s k where k.object_id = o.object_id)
    on conflict (object_id) do update set data = excluded.data, former = false
     where a.data is distinct from excluded.data or a.former
  $sql$, p_anchor.anchor_id) using p_anchor.environment, p_anchor.account_id, p_object_type, p_ids,
    p_anchor.object_type;
  for v_link in
    select l.* from payments_private.linked_tables l where l.anchor_id = p_anchor.anchor_id order by l.link_id
  loop
    perform payments_private.touch(v_link.link_id, p_ids, true);
    continue when v_link.found_by = 'id';
    foreach v_id in array p_ids loop
      if v_link.found_by = 'metadata' then
        perform payments_private.touch_by_metadata(v_link.link_id, v_id,
                                                   payments_private.anchored(p_anchor.anchor_id, v_id));
      else
        perform payments_private.touch_by_reference(v_link.link_id, v_id);
      end if;
    end loop;
  end loop;
end
$$;
comment on function payments_private.refill_anchor(payments_private.object_anchors, text, text[]) is
  'Copies stored objects of a type to one anchor and fills the rows that are linked to them there.';

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
       and p_object_type = any (payments_private.anchored_types(l.object_type)) order by l.link_id
  loop
    return query execute format('select %L, r.key::text, r.content from payments_private.list_linked_%s($1) r',
                                v_link.target::text, v_link.link_id) using p_ids;
  end loop;
end
$$;
comment on function payments_private.linked_rows_of(text, text, text, text[]) is 'The linked columns of the rows that are linked to the given objects.';
