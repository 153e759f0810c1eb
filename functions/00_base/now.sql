-- The package's clock.

create or replace function payments_private.now() returns timestamptz
language plpgsql volatile
as $$
begin
  return coalesce((select c.stands_at from payments_private.clock c), pg_catalog.clock_timestamp());
end
$$;

comment on function payments_private.now() is 'The time, or where the clock has been stopped by a test.';
