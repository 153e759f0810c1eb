-- What was told of our own account before anybody said that it is ours. A webhook endpoint of a platform names the
-- account of every event, its own too, so that what came before connect_account() was filed as a connected account's.
-- Once it is known, its events are applied as ours: nothing stays apart for ever, and triggers see them once more,
-- without account.

create or replace function payments_private.adopt_event(p_event payments.webhook_events) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (
    select from payments.webhook_events e
     where e.provider = 'stripe' and e.environment = p_event.environment
       and e.provider_event_id = p_event.provider_event_id and e.account_id is null)
  then  -- another endpoint has told it as ours
    delete from payments.webhook_events e where e.id = p_event.id;
    return;
  end if;
  perform set_config('payments.replaying', p_event.id::text, true);
  update payments.webhook_events e
     set account_id = null, updated_at = now(),
         processing_status = case when e.processing_status = 'processed' then 'pending' else e.processing_status end,
         processed_at = case when e.processing_status <> 'processed' then e.processed_at end
   where e.id = p_event.id;
  perform set_config('payments.replaying', '', true);
  if p_event.processing_status = 'processed' then
    perform payments_private.reapply_event(p_event.id);
  end if;
end
$$;
comment on function payments_private.adopt_event(payments.webhook_events) is
  'Makes an event of a connected account one of ours, and applies it again if it was. The caller has locked the environment.';

create or replace function payments_private.adopt_account(p_environment text, p_account_id text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_event      payments.webhook_events;
  v_stored     record;
  v_projection payments_private.projections;
begin
  perform payments_private.lock_area(p_environment, p_whole => true);
  for v_stored in  -- what no event in the ledger tells: the API's, and what was purged
    select o.object_type, o.object_id, o.data, o.observed_at, o.provider_event_id, o.event_type, o.previous_attributes
      from payments_private.stored_objects o
     where o.environment = p_environment and o.account = p_account_id and o.observed_at is not null
       and o.data is not null
       and not exists (
         select from payments.webhook_events e
          where e.provider = 'stripe' and e.environment = p_environment and e.account_id = p_account_id
            and e.provider_event_id = o.provider_event_id)
  loop
    perform payments_private.apply_snapshots(p_environment, null, array[row(
      p_environment, null, v_stored.object_type, v_stored.object_id, v_stored.data, v_stored.observed_at,
      v_stored.provider_event_id, v_stored.event_type, v_stored.previous_attributes,
      payments_private.references_of(v_stored.object_type, v_stored.data), null)::payments_private.snapshot]);
  end loop;
  for v_event in
    select e.* from payments.webhook_events e
     where e.provider = 'stripe' and e.environment = p_environment and e.account_id = p_account_id
     order by e.provider_created_at, e.provider_event_id
  loop
    perform payments_private.adopt_event(v_event);
  end loop;

  for v_projection in select p.* from payments_private.projections p where not p.made_by_callers loop
    execute payments_private.projection_statement(
      v_projection, 'delete from payments.%1$I x where x.environment = $1 and x.account_id = $2')
      using p_environment, p_account_id;
  end loop;
  delete from payments_private.customer_claims c where c.environment = p_environment and c.account = p_account_id;
  delete from payments_private.refresh_queue q where q.environment = p_environment and q.account = p_account_id;
  delete from payments_private.sweeps s where s.environment = p_environment and s.account = p_account_id;
  delete from payments_private.connected_accounts a where a.environment = p_environment and a.account = p_account_id;
  update payments.stripe_checkout_sessions s set account_id = null where s.environment = p_environment
     and s.account_id = p_account_id;
  delete from payments.accounts a where a.environment = p_environment and a.account_id = p_account_id;
  delete from payments_private.same_second_snapshots s where s.environment = p_environment and s.account = p_account_id;
  delete from payments_private.stored_objects o where o.environment = p_environment and o.account = p_account_id;
  update payments_private.purged_events p
     set account = ''
   where p.environment = p_environment and p.account = p_account_id
     and not exists (
       select from payments_private.purged_events o
        where o.environment = p_environment and o.account = '' and o.provider_event_id = p.provider_event_id);
end
$$;
comment on function payments_private.adopt_account(text, text) is
  'Files what was told of this account as ours. Deliveries of the environment wait meanwhile. Its cost is one look at the ledger and the store, and that of each event of the account.';
