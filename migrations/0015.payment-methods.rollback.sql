-- What was open is closed with it.
set local role payments_owner;
delete from payments_private.open_readings where what = 'payment_methods';
alter table payments_private.open_readings drop constraint what_is_known;
alter table payments_private.open_readings add constraint what_is_known
  check (what = any ('{subscriptions,transactions,catalogue}'));
drop table payments.stripe_payment_methods cascade;
reset role;
