-- Which objects tell of one payment. Checkout session, payment intent, charge, invoice, invoice payment, refund and
-- dispute are views of the same money, joined by what they refer to. A group is named by the reference of one of them,
-- so that it is known from an object alone in most cases: the intent it is or refers to, else the invoice, else the
-- charge, else the session.
--
--   An object that is stored is in the group that its row names.
--   What is not stored is in the group of its own name, unless a row that holds nothing else names another.
--
-- Where an object refers to members of several groups, all go over to one, and the former names forward to it: to find
-- the group of a reference takes one look-up, and the members of a group another. Whoever changes groups holds their
-- locks.

create or replace function payments_private.group_rank(p_reference text) returns integer
language plpgsql immutable parallel safe
as $$
begin
  return case split_part(p_reference, ':', 1) when 'payment_intent' then 1 when 'invoice' then 2 when 'charge' then 3
           when 'checkout.session' then 4 else 5 end;
end
$$;
comment on function payments_private.group_rank(text) is 'In which order objects name a group.';

create or replace function payments_private.payment_references(p_references text[]) returns text[]
language plpgsql immutable parallel safe
as $$
declare
  v_reference  text;
  v_references text[] := array[]::text[];
begin
  foreach v_reference in array p_references loop
    -- Do not traverse customers and subscriptions: they connect unrelated payments.
    if v_reference not like 'customer:%' and v_reference not like 'subscription:%' then
      v_references := array_append(v_references, v_reference);
    end if;
  end loop;
  return v_references;
end
$$;
comment on function payments_private.payment_references(text[]) is 'Those of the references that a payment''s group is made of.';

create or replace function payments_private.join_group(
  p_environment text, p_account text, p_reference text, p_refs text[], p_group text
) returns text
language plpgsql
as $$
declare
  v_references  text[] := payments_private.payment_references(p_reference || p_refs);
  v_reference   text;
  v_home   text := p_reference;
  v_known  text[];
  v_groups text[];
  v_group  text;
  v_others text[] := array[]::text[];
begin
  if cardinality(v_references) = 1 then
    return coalesce(p_group, p_reference);
  end if;
  foreach v_reference in array v_references loop
    if (payments_private.group_rank(v_reference), v_reference) < (payments_private.group_rank(v_home), v_home) then
      v_home := v_reference;
    end if;
  end loop;

  -- What the references' rows say, and who is in groups of their names.
  select array_agg(f.reference), array_agg(f.payment_group)
    into v_known, v_groups
    from (select n.reference, o.payment_group
            from unnest(v_references) n (reference),
                 lateral (
                   select x.payment_group from payments_private.stored_objects x
                    where x.environment = p_environment and x.account = coalesce(p_account, '')
                      and x.object_type = split_part(n.reference, ':', 1)
                      and x.object_id = substr(n.reference, strpos(n.reference, ':') + 1)
                    limit 1) o
          union all
          select m.payment_group, m.payment_group
            from unnest(v_references) n (reference),
                 lateral (
                   select x.payment_group from payments_private.stored_objects x
                    where x.payment_group = n.reference and x.environment = p_environment
                      and x.account = coalesce(p_account, '')
                    limit 1) m) f;

  v_group := coalesce(v_groups[array_position(v_known, v_home)], v_home);
  for i in 1 .. coalesce(cardinality(v_groups), 0) loop
    if v_groups[i] <> v_group and v_groups[i] <> all (v_others) then
      v_others := v_others || v_groups[i];
    end if;
  end loop;
  foreach v_reference in array v_others loop
    update payments_private.stored_objects o
       set payment_group = v_group
     where o.payment_group = v_reference and o.environment = p_environment and o.account = coalesce(p_account, '');
  end loop;

  -- Names that lead elsewhere than to themselves: what this object refers to, and the groups that are no more.
  foreach v_reference in array v_references || v_others loop
    if v_reference <> v_group and v_reference <> p_reference
      and (v_known is null or v_reference <> all (v_known) or v_reference = any (v_others)) then
      insert into payments_private.stored_objects (environment, account, object_type, object_id, payment_group)
      values (p_environment, coalesce(p_account, ''), split_part(v_reference, ':', 1),
              substr(v_reference, strpos(v_reference, ':') + 1), v_group)
      on conflict (object_id, object_type, environment, account) do nothing;
    end if;
  end loop;
  return v_group;
end
$$;
comment on function payments_private.join_group(text, text, text, text[], text) is
  'The group of an object with these references; other groups among them go over to it. p_group: its group so far, null for an object that has no row.';

create or replace function payments_private.groups_of(p_environment text, p_account text, p_references text[])
  returns text[]
language plpgsql stable
as $$
begin
  if p_references = '{}' then
    return p_references;
  end if;
  return array(
    select coalesce((
             select o.payment_group from payments_private.stored_objects o
              where o.environment = p_environment and o.account = coalesce(p_account, '')
                and o.object_type = split_part(n, ':', 1) and o.object_id = substr(n, strpos(n, ':') + 1)), n)
      from unnest(p_references) n);
end
$$;
comment on function payments_private.groups_of(text, text, text[]) is 'The group of each of the given references.';

create or replace function payments_private.owners_of_groups(p_environment text, p_account text, p_groups text[])
  returns text[]
language plpgsql stable
as $$
declare
  v_refs  text[];
  v_ref   text;
  v_owners text[] := array[]::text[];
begin
  if p_groups = '{}' then
    return v_owners;
  end if;
  for v_refs in
    select (o.facts).refs
      from unnest(p_groups) g,
           lateral (
             select x.facts from payments_private.stored_objects x
              where x.payment_group = g and x.environment = p_environment and x.account = coalesce(p_account, '')
             offset 0) o
  loop
    foreach v_ref in array coalesce(v_refs, '{}') loop
      if (v_ref like 'customer:%' or v_ref like 'subscription:%') and v_ref <> all (v_owners) then
        v_owners := v_owners || v_ref;
      end if;
    end loop;
  end loop;
  return v_owners;
end
$$;
comment on function payments_private.owners_of_groups(text, text, text[]) is 'The customers and subscriptions that tell whose the payments of these groups are.';
