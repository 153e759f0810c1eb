-- The shop's own table and the trigger that fulfils: see docs/how-to/fulfil.md for why each condition is there.

create table if not exists public.shop_orders (
  id      uuid primary key default gen_random_uuid(),
  owner   text not null,
  price   text not null,
  status  text not null default 'pending' check (status in ('pending', 'paid')),
  paid_at timestamptz
);

create or replace function public.fulfil_shop_order() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  c record;
begin
  if tg_relid <> 'payments.webhook_events'::regclass then
    raise exception 'fulfil_shop_order() is for payments.webhook_events';
  end if;
  for c in select * from payments.paid_checkout(new) loop
    update public.shop_orders o set status = 'paid', paid_at = new.processed_at
     where o.id::text = c.metadata ->> 'order_id' and o.status = 'pending'
       and c.environment = 'test'  -- 'live' once it is
       and c.subject_type = 'user' and c.subject_id = o.owner
       and c.line_items #>> '{0,price}' = o.price;
  end loop;
  return new;
end $$;
revoke execute on function public.fulfil_shop_order() from public;

create or replace trigger fulfil_shop_order after insert or update on payments.webhook_events
  for each row execute function public.fulfil_shop_order();
