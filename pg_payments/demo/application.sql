-- What an application brings: its roles, a table of orders, and the trigger that fulfils them.

do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'authenticated') then
    create role authenticated nologin;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'anon') then
    create role anon nologin;
  end if;
  if not exists (select from pg_catalog.pg_roles where rolname = 'shop_server') then
    create role shop_server login;
  end if;
end
$$;

grant payments_user to authenticated;
grant payments_anon to anon;

-- What the shop's server logs in as: it may take webhooks in, and act as either kind of caller.
grant payments_service, authenticated, anon to shop_server;

create table public.orders (
  id         uuid primary key default gen_random_uuid(),
  buyer      uuid not null,
  item       text not null,
  status     text not null default 'pending' check (status in ('pending', 'paid')),
  paid_at    timestamptz
);

create table public.shipments (
  id         bigint generated always as identity primary key,
  order_id   uuid not null references public.orders,
  event      text not null
);

create function public.fulfil_order() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_relid <> 'payments.webhook_events'::regclass then
    raise exception 'fulfil_order() is for payments.webhook_events';
  end if;
  with paid as (
    update public.orders o
    set status = 'paid', paid_at = pg_catalog.now()
    from payments.paid_checkout(new) c
    where o.id::text = c.metadata ->> 'order_id'
      and c.subject_type = 'user' and c.subject_id = o.buyer::text
      and o.status = 'pending'
    returning o.id
  )
  insert into public.shipments (order_id, event)
  select p.id, new.event_type from paid p;
  return new;
end
$$;

-- security definer, because webhooks arrive as a role that may not touch orders; so nobody may call it by hand
revoke execute on function public.fulfil_order() from public;

create trigger fulfil_order
after insert or update on payments.webhook_events
for each row execute function public.fulfil_order();
