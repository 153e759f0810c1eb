-- A router passes users' calls on, and what its gateway has verified of them.

-- Whoever may call this gets nothing that it could not take: set_config('role', …) asks whether the login is a member.
-- That question is about the login, not about who is acting. So it is closed to users and guests, whose gateway's login
-- is often a member of both; and a login that acts as somebody else already is refused.
create or replace function payments.become_caller(
  role text, claims text, guest_secret text default null, asks_stripe text default null
) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if become_caller.role is null or become_caller.role not in ('payments_user', 'payments_anon') then
    raise exception 'calls are passed on for users and guests' using errcode = 'PY001', detail = 'role',
      hint = 'payments_user or payments_anon';
  elsif current_user <> session_user then
    raise exception 'only a login itself takes a caller''s role' using errcode = 'PY002', detail = current_user;
  end if;
  perform set_config('request.jwt.claims', coalesce(become_caller.claims, ''), true),
          set_config('request.headers', '', true),
          set_config('payments.guest_secret', coalesce(become_caller.guest_secret, ''), true),
          set_config('payments.asks_stripe', coalesce(become_caller.asks_stripe, ''), true);
  perform set_config('role', become_caller.role, true);
  return true;
end
$$;
comment on function payments.become_caller(text, text, text, text) is
  'For a router''s login: until the transaction ends it is payments_user or payments_anon with these claims, under their policies. Raises PY001 for another role, PY002 for a login that acts as somebody else, 42501 for one that is not a member of the role.';
grant execute on function payments.become_caller(text, text, text, text) to payments_service;
