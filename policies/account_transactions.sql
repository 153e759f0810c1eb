-- The view shows whoever reads it the payments of its own accounts, users once that is opened.
revoke all on payments.account_transactions from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;
grant select on payments.account_transactions to payments_admin;
