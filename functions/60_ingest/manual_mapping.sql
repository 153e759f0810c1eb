-- A mapping written by hand, e.g. when an application with existing customers moves in, is a claim like any other.

create or replace function payments_private.claim_by_hand() returns trigger
language plpgsql security definer  -- whoever may write mappings need not know of claims
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into payments_private.customer_claims (environment, account, subject_type, subject_id, provider_customer_id, claimed_at)
  values (new.environment, coalesce(new.account_id, ''), new.subject_type, new.subject_id, new.provider_customer_id, payments_private.now())
  on conflict do nothing;
  if found then  -- not one of our own projections, whose claims are there already
    perform payments_private.lock_nodes(new.environment, new.account_id, array['customer:' || new.provider_customer_id, 'subject:' || new.subject_key]);
    perform payments_private.reproject_customer(new.environment, new.account_id, new.provider_customer_id);
  end if;
  return null;
end
$$;
comment on function payments_private.claim_by_hand() is 'Gives earlier rows of a customer their subject when its mapping is written by hand.';

create or replace function payments_private.reproject_customer(p_environment text, p_account text, p_customer_id text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set jit = off
as $$
begin
  perform payments_private.project_subscriptions(p_environment, p_account, array(
    select substr(k.from_node, 14) from payments_private.object_links k
     where k.environment = p_environment and k.account = coalesce(p_account, '') and k.to_node = 'customer:' || p_customer_id and k.from_node like 'subscription:%'));
  perform payments_private.project_transactions(p_environment, p_account, array(
    select k.from_node from payments_private.object_links k
     where k.environment = p_environment and k.account = coalesce(p_account, '') and k.to_node = 'customer:' || p_customer_id and k.from_node not like 'subscription:%'));
end
$$;
comment on function payments_private.reproject_customer(text, text, text) is 'Computes the subscriptions and transactions of a customer again.';

drop trigger if exists claim_by_hand on payments.customer_mappings;
create trigger claim_by_hand
  after insert or update of provider_customer_id on payments.customer_mappings
  for each row execute function payments_private.claim_by_hand();
