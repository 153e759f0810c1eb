-- What may users read of their own? Nothing, until the application opens it; then the policies show each user its
-- subjects' rows, and these grants the columns that are meant for users. Stripe's and our bookkeeping stays inside:
-- metadata, customers, e-mail addresses, the ids of other objects, when a row was mirrored.

create or replace function payments_private.grant_reading(p_what text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  case p_what
    when 'subscriptions' then
      grant select (id, environment, subscription_id, subject_type, subject_id, status, current_period_start,
                    current_period_end, cancel_at_period_end, cancel_at, canceled_at, trial_start, trial_end)
        on payments.stripe_subscriptions to payments_user;
      grant select (id, environment, subscription_item_id, subscription_id, product_id, price_id, quantity,
                    current_period_start, current_period_end)
        on payments.stripe_subscription_items to payments_user;
    when 'transactions' then
      grant select (id, environment, type, status, subject_type, subject_id, provider_object_type, provider_object_id,
                    provider_parent_object_type, provider_parent_object_id, amount, amount_refunded, currency,
                    description, paid_at, failed_at, refunded_at, provider_created_at)
        on payments.transactions to payments_user;
    when 'account_transactions' then
      grant select on payments.account_transactions, payments_private.transactions_of_own_accounts to payments_user;
    when 'payment_methods' then
      grant select (id, environment, payment_method_id, type, brand, last4, exp_month, exp_year, is_default)
        on payments.stripe_payment_methods to payments_user;
    when 'catalogue' then
      grant select (id, environment, product_id, name, description, active, default_price_id)
        on payments.stripe_products to payments_user, payments_anon;
      grant select (id, environment, price_id, product_id, active, currency, unit_amount, unit_amount_decimal, type,
                    lookup_key, billing_scheme, tax_behavior, recurring_interval, recurring_interval_count)
        on payments.stripe_prices to payments_user, payments_anon;
  end case;
end
$$;
comment on function payments_private.grant_reading(text) is 'Grants users the columns meant for them.';

create or replace function payments_private.grant_open_reading(p_what text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from payments_private.open_readings r where r.what = p_what) then
    perform payments_private.grant_reading(p_what);
  end if;
end
$$;
comment on function payments_private.grant_open_reading(text) is 'What a policy file ends with: it has revoked everything, and grants again what the application has opened.';

create or replace function payments_private.reading_or_fail(p_what text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_what in ('subscriptions', 'transactions', 'account_transactions', 'catalogue', 'payment_methods') then
    return p_what;
  end if;
  raise exception 'what must be subscriptions, transactions, account_transactions, catalogue or payment_methods'
    using errcode = 'PY001',
    detail = 'what',
    hint = 'Each is opened and closed by itself.';
end
$$;
comment on function payments_private.reading_or_fail(text) is 'What is to be read, or PY001 when there is no such thing.';

create or replace function payments.open_to_users(what text) returns void
language plpgsql security invoker  -- only members of payments_owner can grant what it owns
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.open_readings (what) values (payments_private.reading_or_fail(open_to_users.what))
    on conflict do nothing;
  perform payments_private.grant_reading(open_to_users.what);
end
$$;
comment on function payments.open_to_users(text) is
  'Lets users read their own ''subscriptions'' (with items) ''transactions'' or ''payment_methods'', or those of the accounts that their subjects own (''account_transactions''), or lets users and guests read the active ''catalogue''. Stays open through migrations, until close_to_users(). For members of payments_owner. Raises PY001 for anything else to read.';

create or replace function payments.close_to_users(what text) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from payments_private.open_readings r where r.what = payments_private.reading_or_fail(close_to_users.what);
  case close_to_users.what
    when 'subscriptions' then
      revoke all on payments.stripe_subscriptions, payments.stripe_subscription_items from payments_user;
    when 'transactions' then
      revoke all on payments.transactions from payments_user;
    when 'account_transactions' then
      revoke all on payments.account_transactions, payments_private.transactions_of_own_accounts from payments_user;
    when 'payment_methods' then
      revoke all on payments.stripe_payment_methods from payments_user;
    when 'catalogue' then
      revoke all on payments.stripe_products, payments.stripe_prices from payments_user, payments_anon;
  end case;
end
$$;
comment on function payments.close_to_users(text) is
  'Takes back what open_to_users() gave, at once. For members of payments_owner. Raises PY001 for anything else to read.';
