-- What people do through a page or over HTTP that is no function of ours which writes to the audit log itself.

create or replace function payments.audit_action(
  action text, target text default null, detail jsonb default '{}'
) returns void
language plpgsql security definer  -- nobody writes to the audit log but through functions
set search_path = pg_catalog, pg_temp
as $$
begin
  perform payments_private.audit(
    coalesce(left(audit_action.action, 200), 'unknown'), left(audit_action.target, 1000),
    coalesce(audit_action.detail, '{}'));
end
$$;
comment on function payments.audit_action(text, text, jsonb) is
  'Adds a row to payments.audit_log in the name of the session and of its caller. Where it was done is what the server says in payments.audit_source.';

grant execute on function payments.audit_action(text, text, jsonb) to payments_admin, payments_keys;
