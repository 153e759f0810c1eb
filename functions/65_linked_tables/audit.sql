-- Who did what. Rows are added here and never change, not even by payments_owner's own statements.

-- A server that acts for people says who and where: the role it acts as and the claims tell who, payments.audit_name
-- what a person who came with a shared key calls itself, payments.audit_source the address. The session's user, which
-- nobody can set, always comes first.
create or replace function payments_private.audit(
  p_action text, p_target text, p_detail jsonb, p_source text default 'sql'
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments.audit_log (actor, source, action, target, detail)
  values (
    session_user
      || coalesce(' as ' || coalesce(payments.caller_key(), nullif(current_setting('role', true), 'none')), '')
      || coalesce(' (' || nullif(current_setting('payments.audit_name', true), '') || ')', ''),
    case p_source when 'sql' then coalesce(nullif(current_setting('payments.audit_source', true), ''), 'sql')
                  else p_source end,
    p_action, p_target, p_detail);
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
