-- The shop's stock: a second trigger on the ledger, which takes a piece for each payment that names an item. Where there is none
-- left it raises, and the event waits as failed until somebody has filled the shelf and replays it.

create table public.stock (
  item   text primary key,
  pieces integer not null,
  constraint something_is_left check (pieces >= 0)
);
insert into public.stock (item, pieces) values ('Grinder', 3), ('Coffee, 1 kg', 100000), ('Cup', 100000), ('Kettle', 100000);

create function public.take_from_stock() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update public.stock s set pieces = s.pieces - 1
   where new.processing_status = 'processed' and s.item = new.payload #>> '{data,object,metadata,item}';
  return new;
end
$$;
revoke execute on function public.take_from_stock() from public;

create trigger take_from_stock
after insert or update on payments.webhook_events
for each row when (new.event_type = 'payment_intent.succeeded') execute function public.take_from_stock();
