-- Raw Stripe objects hold everything about everybody: administrators read them. The view reads through its reader's
-- rights.
revoke all on payments.stripe_objects from public, payments_service, payments_user, payments_anon, payments_admin,
  payments_keys;

grant select on payments.stripe_objects to payments_admin;
