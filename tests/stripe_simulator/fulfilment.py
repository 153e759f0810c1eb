"""An application's fulfilment: a trigger on payments.webhook_events that notes each event it was fired for."""

from __future__ import annotations

import psycopg

FULFIL = """
create table public.fulfilled (event_id text not null, at timestamptz not null default clock_timestamp());
create table public.cursed (event_id text primary key);

create function public.fulfil() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if exists (select from public.cursed c where c.event_id = new.provider_event_id) then
    raise exception 'no stock for %', new.provider_event_id;
  end if;
  insert into public.fulfilled (event_id) values (new.provider_event_id);
  return null;
end
$$;

create trigger fulfil after update on payments.webhook_events
for each row when (new.processing_status = 'processed' and old.processing_status <> 'processed')
execute function public.fulfil();
"""


def install(conn: psycopg.Connection[dict[str, object]]) -> None:
    """Every third event can be cursed: the trigger raises for it."""
    conn.execute(FULFIL)


def fulfilled(conn: psycopg.Connection[dict[str, object]]) -> dict[str, int]:
    """How often each event was fulfilled."""
    rows = conn.execute("select event_id, count(*)::int as times from public.fulfilled group by event_id")
    return {str(row["event_id"]): int(str(row["times"])) for row in rows}
