-- The list of dead events shows what its reader may read of the ledger.
revoke all on payments.dead_events from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;
grant select on payments.dead_events to payments_admin;
