-- What is linked: administrators read the list, which reads through their rights.
revoke all on payments.linked_tables from public, payments_service, payments_user, payments_anon, payments_admin;
grant select on payments.linked_tables to payments_admin;
