-- The catalogue's products: administrators read all; users and guests read the active ones of our own account, once
-- that is opened.
alter table payments.stripe_products enable row level security;
revoke all on payments.stripe_products from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;

grant select on payments.stripe_products to payments_admin;
drop policy if exists administrators_read_all on payments.stripe_products;
create policy administrators_read_all on payments.stripe_products
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.stripe_products is
  'payments_admin reads every row.';

drop policy if exists everybody_reads_what_is_for_sale on payments.stripe_products;
create policy everybody_reads_what_is_for_sale on payments.stripe_products
  for select to payments_user, payments_anon using (active and account_id is null);
comment on policy everybody_reads_what_is_for_sale on payments.stripe_products is
  'Where opened: users and guests read what is active, of the own account.';

do $$ begin perform payments_private.grant_open_reading('catalogue'); end $$;
