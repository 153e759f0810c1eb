-- Who did what. Rows are added here and never change, not even by payments_owner's own statements.

create or replace function payments_private.audit(
  p_action text, p_target text, p_detail jsonb, p_source text default 'sql'
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments.audit_log (actor, source, action, target, detail)
  values (session_user || coalesce(' as ' || payments.caller_key(), ''), p_source, p_action, p_target, p_detail);
end
$$;
comment on function payments_private.audit(text, text, jsonb, text) is 'Adds a row to payments.audit_log in the name of the session.';

create or replace function payments_private.refuse_change_of_audit_log() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'payments.audit_log only grows' using errcode = 'PY006',
    hint = 'Its rows are never changed or deleted.';
end
$$;
comment on function payments_private.refuse_change_of_audit_log() is 'Raises PY006: rows of the audit log neither change nor go.';

create or replace trigger audit_log_only_grows
  before update or delete or truncate on payments.audit_log
  for each statement execute function payments_private.refuse_change_of_audit_log();
