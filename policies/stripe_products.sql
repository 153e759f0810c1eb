-- The catalogue mirror: administrators read it; applications stay out until they are let in.
alter table payments.stripe_products enable row level security;
revoke all on payments.stripe_products from public, payments_service, payments_user, payments_anon, payments_admin;

grant select on payments.stripe_products to payments_admin;
drop policy if exists administrators_read_all on payments.stripe_products;
create policy administrators_read_all on payments.stripe_products
  for select to payments_admin using (true);
