-- Payment methods: administrators read all; users read those of the customers of subjects they may bill, once that is
-- opened.
alter table payments.stripe_payment_methods enable row level security;
revoke all on payments.stripe_payment_methods from public, payments_service, payments_user, payments_anon,
  payments_admin, payments_keys;

grant select on payments.stripe_payment_methods to payments_admin;
drop policy if exists administrators_read_all on payments.stripe_payment_methods;
create policy administrators_read_all on payments.stripe_payment_methods
  for select to payments_admin using (true);
comment on policy administrators_read_all on payments.stripe_payment_methods is
  'payments_admin reads every row.';

-- Environment by environment, so that both lead into an index: a customer's id says nothing of the other environment.
drop policy if exists users_read_the_methods_of_their_customers on payments.stripe_payment_methods;
create policy users_read_the_methods_of_their_customers on payments.stripe_payment_methods
  for select to payments_user
  using (
    environment = 'test' and account_id is null
    and customer_id = any (payments_private.current_customer_ids('test'))
    or environment = 'live' and account_id is null
    and customer_id = any (payments_private.current_customer_ids('live'))
  );
comment on policy users_read_the_methods_of_their_customers on payments.stripe_payment_methods is
  'Where opened: a user reads the payment methods of the customers of subjects that it may bill.';

do $$ begin perform payments_private.grant_open_reading('payment_methods'); end $$;
