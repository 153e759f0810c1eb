-- Whether pushes are paused, for people.

create or replace function payments.outbox_paused_at(environment text) returns timestamptz
language plpgsql stable security definer  -- the outbox's state is no table that administrators read
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select s.paused_at from payments_private.outbox_state s where s.environment = outbox_paused_at.environment);
end
$$;
comment on function payments.outbox_paused_at(text) is 'Since when nothing of this environment is pushed, because of pause_outbox(); null while pushes are sent.';

grant execute on function payments.outbox_paused_at(text) to payments_admin;
