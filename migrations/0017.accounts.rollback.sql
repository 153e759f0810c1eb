set local role payments_owner;
drop view if exists payments.account_transactions;
drop view if exists payments_private.transactions_of_own_accounts;
delete from payments_private.open_readings where what = 'account_transactions';
drop table payments_private.connect_endpoints;
drop table payments_private.account_keys;
drop table payments_private.checkout_terms;
drop table payments.accounts cascade;
reset role;
