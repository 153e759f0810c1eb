-- The shop's products are Stripe's products, and its orders carry their payment: object storage, both ways.
-- Tables that are linked belong to a role of the application's own, never to a superuser.

do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'shop_owner') then
    create role shop_owner nologin;
  end if;
  execute pg_catalog.format('grant shop_owner to %I', current_user);
end
$$;
grant create on schema public to shop_owner;

create table public.products (
  id    bigint primary key generated always as identity,
  title text not null
);
alter table public.products owner to shop_owner;
alter table public.orders owner to shop_owner;
alter table public.orders add column checkout_id uuid;

select payments.link_table('public.products', 'product', 'test', push => '{"name": "title"}', create_at_stripe => true);
select payments.link_table('public.orders', 'payment', 'test', by => 'checkout', match => '{"checkout_column": "checkout_id"}');
