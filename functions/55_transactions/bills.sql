-- Which members of a group tell of the same bill. Nearly every group has one bill: an invoice, a session, or just a
-- payment. A group has several where an intent was detached from one invoice and attached to another, since references
-- once told stay. Then each invoice is a group of its own, with what pays it, and so is an intent that pays none.

-- Whether an invoice payment ties these two and whether it still does: null where there is none.
create or replace function payments_private.is_tied(
  p_intent payments_private.payment_facts, p_invoice text, p_group payments_private.payment_facts[]
) returns boolean
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_member payments_private.payment_facts;
  v_tied   boolean;
begin
  foreach v_member in array p_group loop
    if v_member.reference like 'invoice_payment:%' and v_member.known and p_invoice = any (v_member.refs)
       and (p_intent.reference = any (v_member.refs)
            or exists (select from unnest(v_member.refs) l where l like 'charge:%' and l = any (p_intent.refs)))
    then
      v_tied := coalesce(v_tied, false) or v_member.mode is distinct from 'canceled';
    end if;
  end loop;
  return v_tied;
end
$$;
comment on function payments_private.is_tied(payments_private.payment_facts, text, payments_private.payment_facts[]) is
  'Whether an invoice payment ties an intent to an invoice (type:id): false where it was canceled or detached, null where there is none.';

create or replace function payments_private.bill_of_intent(
  p_intent payments_private.payment_facts, p_group payments_private.payment_facts[]
) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_member payments_private.payment_facts;
  v_bill   text;
  v_only   text;
  v_former text;
  v_count  integer := 0;
  v_tied   boolean;
begin
  foreach v_member in array p_group loop
    continue when v_member.reference not like 'invoice:%';
    v_count := v_count + 1;
    v_only := v_member.reference;
    v_tied := payments_private.is_tied(p_intent, v_member.reference, p_group);
    if v_tied then
      return v_member.reference;
    elsif not v_tied then
      v_former := coalesce(v_former, v_member.reference);
    elsif v_member.reference = any (p_intent.refs) or p_intent.reference = any (v_member.refs)
      or exists (select from unnest(p_group) c where c.reference like 'charge:%'
                    and (p_intent.reference = any (c.refs) or c.reference = any (p_intent.refs))
                    and (v_member.reference = any (c.refs) or c.reference = any (v_member.refs)))
    then
      v_bill := coalesce(v_bill, v_member.reference);
    end if;
  end loop;
  return coalesce(
    v_bill,
    case when v_former is null or p_intent.mode is not distinct from 'canceled' then v_former end,
    case when v_former is null and v_count = 1 then v_only end,
    p_intent.reference);
end
$$;
comment on function payments_private.bill_of_intent(payments_private.payment_facts, payments_private.payment_facts[]) is
  'The invoice (type:id) of a group that an intent pays, or is to pay; the intent itself where it pays none. One that was canceled with its invoice payment still names the invoice.';

-- What a member that is neither bill nor intent belongs to, given what those are of that it refers to or is referred
-- to by.
create or replace function payments_private.bill_beside(
  p_member payments_private.payment_facts, p_kinds text[], p_bills text[], p_group payments_private.payment_facts[]
) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_kind text;
begin
  foreach v_kind in array p_kinds loop
    for i in 1 .. cardinality(p_group) loop
      if p_group[i].reference like v_kind || ':%' and p_bills[i] is not null
         and (p_group[i].reference = any (p_member.refs) or p_member.reference = any (p_group[i].refs))
      then
        return p_bills[i];
      end if;
    end loop;
  end loop;
  return null;
end
$$;
comment on function payments_private.bill_beside(payments_private.payment_facts, text[], text[], payments_private.payment_facts[]) is
  'The bill of the first member, of the first of these types, that this one is connected with; null if there is none.';

-- An intent may pay several invoices: then they are one bill, since it is one payment.
create or replace function payments_private.with_shared_bills(
  p_bills text[], p_group payments_private.payment_facts[]
) returns text[]
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  for i in 1 .. cardinality(p_group) loop
    continue when p_group[i].reference not like 'payment_intent:%';
    for j in 1 .. cardinality(p_group) loop
      if p_group[j].reference like 'invoice:%' and p_bills[j] <> p_bills[i]
         and payments_private.is_tied(p_group[i], p_group[j].reference, p_group)
      then
        p_bills := array_replace(p_bills, p_bills[j], p_bills[i]);
      end if;
    end loop;
  end loop;
  return p_bills;
end
$$;
comment on function payments_private.with_shared_bills(text[], payments_private.payment_facts[]) is
  'The bills of the members of a group, those as one that an intent is tied to.';

create or replace function payments_private.bills_of(p_group payments_private.payment_facts[]) returns text[]
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_bills text[] := array_fill(null::text, array[cardinality(p_group)]);
  v_first text;
  m       payments_private.payment_facts;
begin
  for i in 1 .. cardinality(p_group) loop
    m := p_group[i];
    if m.reference like 'invoice:%' then
      v_bills[i] := m.reference;
    elsif m.reference like 'payment_intent:%' then
      v_bills[i] := payments_private.bill_of_intent(m, p_group);
    end if;
    v_first := coalesce(v_first, v_bills[i]);
  end loop;
  v_bills := payments_private.with_shared_bills(v_bills, p_group);
  for i in 1 .. cardinality(p_group) loop
    m := p_group[i];
    if m.reference like any (array['invoice_payment:%', 'credit_note:%', 'checkout.session:%']) then
      v_bills[i] := coalesce(payments_private.bill_beside(m, array['invoice', 'payment_intent'], v_bills, p_group),
                             v_first);
    elsif m.reference like 'charge:%' then
      v_bills[i] := payments_private.bill_beside(m, array['payment_intent', 'invoice', 'invoice_payment'], v_bills,
                                                 p_group);
    end if;
  end loop;
  for i in 1 .. cardinality(p_group) loop
    if v_bills[i] is null then
      v_bills[i] := coalesce(
        payments_private.bill_beside(p_group[i], array['payment_intent', 'charge'], v_bills, p_group), v_first);
    end if;
  end loop;
  return v_bills;
end
$$;
comment on function payments_private.bills_of(payments_private.payment_facts[]) is
  'For each member of a group the bill (type:id) that it tells of.';

-- One bill, nearly always; then the members are the whole group, as they are.
create or replace function payments_private.has_several_bills(p_group payments_private.payment_facts[])
  returns boolean
language plpgsql immutable parallel safe
as $$
declare
  v_member  payments_private.payment_facts;
  v_invoice boolean := false;
begin
  foreach v_member in array p_group loop
    if v_member.reference like 'invoice:%' then
      if v_invoice then
        return true;
      end if;
      v_invoice := true;
    elsif v_member.mode = 'canceled' and v_member.reference like 'invoice_payment:%' then
      return true;
    end if;
  end loop;
  return false;
end
$$;
comment on function payments_private.has_several_bills(payments_private.payment_facts[]) is
  'Whether a group may have to be told apart: it has several invoices, or an invoice payment that was canceled or detached.';

-- An invoice payment that was canceled or detached tells of nothing any more.
create or replace function payments_private.members_of_bill(
  p_bill text, p_bills text[], p_group payments_private.payment_facts[]
) returns payments_private.payment_facts[]
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  v_members payments_private.payment_facts[] := array[]::payments_private.payment_facts[];
begin
  for i in 1 .. cardinality(p_group) loop
    if p_bills[i] = p_bill
       and not (p_group[i].reference like 'invoice_payment:%' and p_group[i].mode is not distinct from 'canceled')
    then
      v_members := v_members || p_group[i];
    end if;
  end loop;
  return v_members;
end
$$;
comment on function payments_private.members_of_bill(text, text[], payments_private.payment_facts[]) is
  'The members of a group that tell of this bill, in their order.';
