-- A delivery without any process of ours: PostgREST hands the body over as it came, and Stripe's signature is verified
-- here.
--
-- A parameter of type json keeps the text it was given, every space of it; that text is what Stripe has signed:
-- HMAC-SHA-256 over "<t>.<body>" (Stripe documentation: Verify webhook signatures manually), which sha256() is enough
-- for (RFC 2104). Every secret is tried, whichever verifies, and digests of digests are compared, so that time tells
-- nothing of what would have been right.

create or replace function payments_private.padded_key(p_key bytea, p_pad integer) returns bytea
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key bytea := case when octet_length(p_key) > 64 then sha256(p_key) else p_key end;
begin
  v_key := v_key || decode(repeat('00', 64 - octet_length(v_key)), 'hex');
  for i in 0..63 loop
    v_key := set_byte(v_key, i, get_byte(v_key, i) # p_pad);
  end loop;
  return v_key;
end
$$;
comment on function payments_private.padded_key(bytea, integer) is 'A key of HMAC-SHA-256 as a block of 64 bytes, each xor p_pad.';

create or replace function payments_private.hmac_sha256(p_message bytea, p_key bytea) returns bytea
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return sha256(payments_private.padded_key(p_key, 92) || sha256(payments_private.padded_key(p_key, 54) || p_message));
end
$$;
comment on function payments_private.hmac_sha256(bytea, bytea) is 'HMAC-SHA-256 (RFC 2104).';

create or replace function payments_private.refuse_signature(p_reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'the delivery is refused: %', p_reason using errcode = 'PY015', detail = 'Stripe-Signature',
    hint = 'Only Stripe delivers here.';
end
$$;
comment on function payments_private.refuse_signature(text) is 'Raises PY015.';

create or replace function payments_private.environment_of_signature(p_body text, p_signature text) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_parts      text[] := string_to_array(p_signature, ',');
  v_time       text := (select split_part(u.part, '=', 2) from unnest(v_parts) with ordinality u (part, place)
                         where split_part(u.part, '=', 1) = 't' order by u.place limit 1);
  v_tolerance  integer := coalesce((select s.value::integer from payments_private.settings s
                                     where s.name = 'webhook_tolerance'), 300);
  v_given      bytea[];
  v_message    bytea;
  v_expected   bytea;
  v_secret     payments_private.signing_secrets;
  v_is_right   boolean;
  v_found      text;
begin
  if p_signature is null or coalesce(v_time !~ '^[0-9]{1,15}$', true) then
    perform payments_private.refuse_signature('it has no signature of Stripe''s');
  elsif v_time::bigint < extract(epoch from payments_private.now()) - v_tolerance then
    perform payments_private.refuse_signature('its signature is too old');
  end if;
  v_given := array(select sha256(convert_to(split_part(u.part, '=', 2), 'UTF8')) from unnest(v_parts) u (part)
                    where split_part(u.part, '=', 1) = 'v1' limit 16);
  v_message := convert_to(v_time::bigint || '.' || p_body, 'UTF8');
  for v_secret in select s.* from payments_private.signing_secrets s order by s.environment, s.name loop
    v_expected := sha256(convert_to(encode(payments_private.hmac_sha256(v_message, convert_to(v_secret.secret, 'UTF8')),
                                           'hex'), 'UTF8'));
    v_is_right := v_expected = any (v_given);
    v_found := case when v_is_right then v_secret.environment else v_found end;
  end loop;
  if v_found is null then
    perform payments_private.refuse_signature('no signing secret made its signature');
  end if;
  return v_found;
end
$$;
comment on function payments_private.environment_of_signature(text, text) is
  'The environment of the signing secret that has signed the body within the last five minutes (setting webhook_tolerance, in seconds). Raises PY015 if none has.';

create or replace function payments.receive_stripe_webhook(json) returns json
language plpgsql security definer  -- anybody may deliver, nobody may do what follows from it
set search_path = pg_catalog, pg_temp
as $$
declare
  v_body        text := $1::text;
  v_environment text;
  v_event       record;
begin
  v_environment := payments_private.environment_of_signature(
    v_body, nullif(current_setting('request.headers', true), '')::json ->> 'stripe-signature');
  select e.* into v_event from payments.ingest_stripe_event(v_environment, v_body) e;
  if v_event.processing_status = 'failed' then
    -- PostgREST's status: the event is kept, and Stripe is to come again
    perform set_config('response.status', '500', true);
  end if;
  return json_build_object('received', true, 'status', v_event.processing_status, 'duplicate', v_event.duplicate);
end
$$;
comment on function payments.receive_stripe_webhook(json) is
  'A delivery of Stripe''s, as PostgREST hands it over: the body, and Stripe-Signature in request.headers. Verified with the secrets of set_signing_secret(), whose environment it is of, then taken through the whole pipeline like any other. Raises PY015 for a bad signature, PY007 and PY008 as ingest_stripe_event(); what fails after that is kept and answered with status 500.';

create or replace function payments.set_signing_secret(environment text, secret text, name text default 'endpoint')
  returns void
language plpgsql security definer  -- who replaces keys may not read them
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  if coalesce(set_signing_secret.secret !~ '^whsec_[!-~]{16,}$', true) then
    raise exception 'secret must be an endpoint''s signing secret' using errcode = 'PY001', detail = 'secret',
      hint = 'Stripe shows it as whsec_… with the endpoint.';
  end if;
  insert into payments_private.signing_secrets as s (environment, name, secret)
  values (payments_private.environment_or_fail(set_signing_secret.environment), set_signing_secret.name,
          set_signing_secret.secret)
  on conflict (environment, name) do update set secret = excluded.secret, updated_at = now();
end
$$;
comment on function payments.set_signing_secret(text, text, text) is
  'What signs the deliveries that receive_stripe_webhook() takes. Several under names of their own count at once, as while one is rotated. Raises PY001 for what Stripe would not have made.';

create or replace function payments.forget_signing_secret(environment text, name text default 'endpoint')
  returns boolean
language plpgsql security definer  -- who replaces keys may not read them
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  delete from payments_private.signing_secrets s where s.environment = forget_signing_secret.environment
    and s.name = forget_signing_secret.name;
  return found;
end
$$;
comment on function payments.forget_signing_secret(text, text) is 'This secret counts no longer; whether there was one.';

grant execute on function payments.receive_stripe_webhook(json) to payments_anon;
grant execute on function payments.set_signing_secret(text, text, text), payments.forget_signing_secret(text, text)
  to payments_keys;
