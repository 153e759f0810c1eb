-- Whoever began a checkout for a subject may have lost the right to bill it before the page at Stripe was paid. The
-- payment counts, but the customer that Stripe made for it is not the subject's.

create or replace function payments_private.may_still_bill(p_owner_key text, p_subject_key text) returns boolean
language plpgsql stable
as $$
begin
  if p_owner_key not like 'user:%' or p_subject_key like 'user:%' then
    return true;  -- oneself one may bill forever
  elsif not exists (
    select from payments_private.subject_types t
     where t.subject_type = payments_private.subject_type_in(p_subject_key) and t.members is not null)
  then
    return true;  -- an application's own function reads the caller's claims, and nobody is calling now
  end if;
  return p_subject_key = any (payments_private.subject_keys_of(substr(p_owner_key, 6)));
exception
  when sqlstate 'PY009' then
    return false;  -- as long as a registration is stale nobody bills anybody
end
$$;
comment on function payments_private.may_still_bill(text, text) is
  'Whether the owner of a checkout attempt (user:<sub>, guest:<hash>) may bill a subject now. Only a membership table can say no: an application''s own function can''t be asked about somebody else.';

create or replace function payments_private.may_claim(p_metadata jsonb, p_subject_key text) returns boolean
language plpgsql stable
as $$
declare
  v_id      uuid := payments_private.attempt_named_in(p_metadata);
  v_attempt record;
begin
  if v_id is null then
    return true;  -- written by the merchant
  end if;
  select s.owner_key, s.subject_key into v_attempt from payments.stripe_checkout_sessions s where s.id = v_id;
  return not found
      or v_attempt.subject_key is distinct from p_subject_key  -- the merchant has named another since
      or payments_private.may_still_bill(v_attempt.owner_key, p_subject_key);
end
$$;
comment on function payments_private.may_claim(jsonb, text) is
  'Whether the metadata of a session or subscription, believed to name this subject, also makes its customer the subject''s: not if whoever began the checkout may no longer bill it.';
