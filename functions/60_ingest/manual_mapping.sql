-- A mapping written by hand, e.g. when an application with existing customers moves in, goes before what Stripe tells.

create or replace function payments_private.claim_by_hand() returns trigger
language plpgsql security definer  -- whoever may write mappings need not know of claims
set search_path = pg_catalog, pg_temp
as $$
begin
  if strpos(current_setting('payments.computed_mapping', true), payments_private.computed_mapping(
       new.environment, new.account_id, new.subject_key, new.provider_customer_id)) > 0
    or payments_private.customer_of_subject(new.environment, new.account_id,
                                            new.subject_key) is not distinct from new.provider_customer_id then
    return null;  -- one of our own projections
  end if;
  insert into payments_private.customer_claims (environment, account, provider_customer_id, source, claimed_at,
                                                subject_type, subject_id)
  values (new.environment, coalesce(new.account_id, ''), new.provider_customer_id, 'hand', payments_private.now(),
          new.subject_type, new.subject_id)
  on conflict (environment, provider_customer_id, source, claimed_at, account) do update
     set subject_type = excluded.subject_type, subject_id = excluded.subject_id;
  perform payments_private.lock_references(new.environment, new.account_id,
                                      array['customer:' || new.provider_customer_id, 'subject:' || new.subject_key]);
  perform payments_private.project_customer_mappings(
    new.environment, new.account_id,
    payments_private.subjects_claiming(new.environment, new.account_id, new.provider_customer_id));
  perform payments_private.reproject_customer(new.environment, new.account_id, new.provider_customer_id);
  return null;
end
$$;
comment on function payments_private.claim_by_hand() is 'Gives earlier rows of a customer their subject when its mapping is written by hand.';

-- A mapping that was written by hand and is deleted by hand takes its claim along, and all is as if it had never been
-- written: the customer stands again for whom the others say.
create or replace function payments_private.unclaim_by_hand() returns trigger
language plpgsql security definer  -- whoever may write mappings need not know of claims
set search_path = pg_catalog, pg_temp
as $$
declare
  v_subjects text[] := payments_private.subjects_claiming(old.environment, old.account_id, old.provider_customer_id);
begin
  if payments_private.customer_of_subject(old.environment, old.account_id,
                                          old.subject_key) is distinct from old.provider_customer_id then
    return null;  -- one of our own projections
  end if;
  delete from payments_private.customer_claims c
   where c.environment = old.environment and c.account = coalesce(old.account_id, '') and c.source = 'hand'
     and c.provider_customer_id = old.provider_customer_id
     and c.subject_type = old.subject_type and c.subject_id = old.subject_id;
  if not found then
    return null;  -- it was computed, and will be again
  end if;
  perform payments_private.lock_references(old.environment, old.account_id,
                                      array['customer:' || old.provider_customer_id, 'subject:' || old.subject_key]);
  perform payments_private.project_customer_mappings(old.environment, old.account_id, v_subjects);
  perform payments_private.reproject_customer(old.environment, old.account_id, old.provider_customer_id);
  return null;
end
$$;
comment on function payments_private.unclaim_by_hand() is
  'Takes the claim of a mapping that was written by hand back when it is deleted, and computes again what depended on it.';

create or replace function payments_private.reproject_customer(p_environment text, p_account text, p_customer_id text)
  returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
declare
  v_told record := payments_private.told_of_customers(p_environment, p_account, array[p_customer_id]);
begin
  perform payments_private.project_subscriptions(p_environment, p_account, v_told.subscriptions);
  perform payments_private.project_transactions(p_environment, p_account, v_told.payments);
end
$$;
comment on function payments_private.reproject_customer(text, text, text) is 'Computes the subscriptions and transactions of a customer again.';

drop trigger if exists claim_by_hand on payments.customer_mappings;
create trigger claim_by_hand
  after insert or update of provider_customer_id on payments.customer_mappings
  for each row execute function payments_private.claim_by_hand();

drop trigger if exists unclaim_by_hand on payments.customer_mappings;
create trigger unclaim_by_hand
  after delete on payments.customer_mappings
  for each row execute function payments_private.unclaim_by_hand();
