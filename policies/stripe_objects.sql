-- Raw Stripe objects hold everything about everybody: administrators read them.
alter table payments.stripe_objects enable row level security;
revoke all on payments.stripe_objects from public, payments_service, payments_user, payments_anon, payments_admin, payments_keys;

grant select on payments.stripe_objects to payments_admin;
drop policy if exists administrators_read_all on payments.stripe_objects;
create policy administrators_read_all on payments.stripe_objects
  for select to payments_admin using (true);
