-- What a caller may ask for, checked as the row arrives, so that no road around begin_checkout() is shorter.
-- A violation is PY001 with the field in DETAIL. Limits are Stripe's (API reference: Metadata; Create a Checkout
-- Session).

create or replace function payments_private.refuse(p_field text, p_problem text, p_hint text default null) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
-- @plpgsql_check_options: performance_warnings = off
-- It could be called immutable, but then the planner would raise ahead of the turn.
begin
  raise exception '%: %', p_field, p_problem using errcode = 'PY001', detail = p_field,
    hint = coalesce(p_hint, 'Correct ' || p_field || ' and try again.');
end
$$;
comment on function payments_private.refuse(text, text, text) is 'Raises PY001 for a field.';

create or replace function payments_private.origin_of(p_url text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  return regexp_replace(lower(substring(p_url from '^[^/]+//[^/?#]+')), '^(https://.*):0*443$|^(http://.*):0*80$',
                        E'\\1\\2');
end
$$;
comment on function payments_private.origin_of(text) is 'Scheme, host and port of a URL that check_url() lets pass, as browsers compare them.';

create or replace function payments_private.check_url(p_field text, p_url text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_url is null or p_url = '' then
    perform payments_private.refuse(p_field, 'is required');
  elsif length(p_url) > 5000 then
    perform payments_private.refuse(p_field, 'is longer than 5000 characters');
  elsif p_url !~ E'^(https://([a-zA-Z0-9._-]+|\\[[0-9a-fA-F:.]+\\])|http://(localhost|127\\.0\\.0\\.1|\\[::1\\]))'
                  '(:[0-9]{1,5})?([/?#][^\\s[:cntrl:]\\\\]*)?$' then
    perform payments_private.refuse(p_field, 'must be an https URL, or http on localhost');
  elsif payments_private.origin_of(p_url) <> all (
    (select string_to_array(s.value, ' ') from payments_private.settings s where s.name = 'allowed_origins')::text[])
  then
    perform payments_private.refuse(p_field, 'leads to an origin that is not allowed', 'See payments.allow_origins().');
  end if;
end
$$;
comment on function payments_private.check_url(text, text) is 'Raises PY001 unless the URL is https, or http on localhost, and of an allowed origin where those are set.';

create or replace function payments.allow_origins(origins text[]) returns void
language plpgsql security invoker
set search_path = pg_catalog, pg_temp
as $$
declare
  v_origin text;
begin
  if origins is null then
    delete from payments_private.settings s where s.name = 'allowed_origins';
    return;
  elsif cardinality(origins) = 0 then
    perform payments_private.refuse('origins', 'must name an origin', 'Pass null to allow every origin.');
  end if;
  foreach v_origin in array origins loop
    if coalesce(
      v_origin !~ E'^(https://([a-zA-Z0-9._-]+|\\[[0-9a-fA-F:.]+\\])|http://(localhost|127\\.0\\.0\\.1|\\[::1\\]))'
                   '(:[0-9]{1,5})?$', true)
    then
      perform payments_private.refuse('origins', 'must be like https://shop.example, without a path');
    end if;
  end loop;
  insert into payments_private.settings as s (name, value)
  select 'allowed_origins', string_agg(distinct payments_private.origin_of(o), ' ') from unnest(origins) o
  on conflict (name) do update set value = excluded.value;
end
$$;
comment on function payments.allow_origins(text[]) is
  'From now on success, cancel and return URLs must be of one of these origins, as https://shop.example or http://localhost:3000; null allows every one again. For members of payments_owner. Raises PY001 for anything but origins.';

create or replace function payments_private.check_line_items(p_line_items jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_item  jsonb;
  v_place bigint;
begin
  if pg_column_size(p_line_items) > 131072 then  -- before it is walked
    perform payments_private.refuse('line_items', 'is larger than 128 KiB');
  elsif jsonb_typeof(p_line_items) is distinct from 'array'
    or jsonb_array_length(p_line_items) not between 1 and 100 then
    perform payments_private.refuse('line_items', 'must be an array of 1 to 100 items');
  end if;
  for v_item, v_place in select i.value, i.place - 1
    from jsonb_array_elements(p_line_items) with ordinality i (value, place) loop
    if jsonb_typeof(v_item) <> 'object' then
      perform payments_private.refuse(format('line_items[%s]', v_place), 'must be an object');
    elsif v_item - 'price' - 'quantity' <> '{}' then
      perform payments_private.refuse(format('line_items[%s]', v_place), 'takes price and quantity only',
                                      'Create a price at Stripe and name it; a caller does not set prices.');
    elsif coalesce(payments_private.json_text(v_item -> 'price') !~ E'^[^\\s[:cntrl:]]{1,255}$', true) then
      perform payments_private.refuse(format('line_items[%s].price', v_place), 'must be the id of a price');
    elsif v_item ? 'quantity' and coalesce(payments_private.json_bigint(v_item -> 'quantity') not between 1 and 999999,
                                           true) then
      perform payments_private.refuse(format('line_items[%s].quantity', v_place),
                                      'must be an integer from 1 to 999999');
    end if;
  end loop;
end
$$;
comment on function payments_private.check_line_items(jsonb) is 'Raises PY001 unless every item is {"price": id, "quantity": n}.';

-- Subjects are read from metadata under the prefix of the settings too: a caller that wrote such a key would choose who
-- paid.
create or replace function payments_private.is_reserved(p_key text) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from payments_private.settings s
     where s.name = 'metadata_prefix'
       and case s.value when '' then p_key in ('subject_type', 'subject_id')
             else starts_with(lower(p_key), lower(s.value)) end);
end
$$;
comment on function payments_private.is_reserved(text) is 'Whether a metadata key begins with the prefix of the settings.';

create or replace function payments_private.check_metadata(p_metadata jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key   text;
  v_value jsonb;
begin
  if pg_column_size(p_metadata) > 131072 then
    perform payments_private.refuse('metadata', 'is larger than 128 KiB');
  elsif jsonb_typeof(p_metadata) <> 'object' then
    perform payments_private.refuse('metadata', 'must be an object');
  elsif (select count(*) > 45 from jsonb_object_keys(p_metadata)) then
    perform payments_private.refuse('metadata', 'has more than 45 keys', 'Stripe takes 50, of which 5 are ours.');
  end if;
  for v_key, v_value in select e.key, e.value from jsonb_each(p_metadata) e loop
    if v_key ~* '^(payments|insforge)_' or payments_private.is_reserved(v_key) then
      perform payments_private.refuse('metadata.' || v_key, 'is a reserved key');
    elsif v_key !~ E'^[^\\[\\][:cntrl:]]{1,40}$' then
      perform payments_private.refuse('metadata.' || left(v_key, 40),
                                      'keys have 1 to 40 characters and no square brackets');
    elsif jsonb_typeof(v_value) <> 'string' or length(v_value #>> '{}') > 500 then
      perform payments_private.refuse('metadata.' || v_key, 'must be a string of at most 500 characters');
    end if;
  end loop;
end
$$;
comment on function payments_private.check_metadata(jsonb) is 'Raises PY001 unless metadata is what Stripe takes, without our reserved keys.';

create or replace function payments_private.prepare_checkout() returns trigger
language plpgsql security definer  -- callers have no usage of payments_private
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set jit = off
as $$
begin
  perform payments_private.check_environment(new.environment);
  if new.mode is null or new.mode not in ('payment', 'subscription') then
    perform payments_private.refuse('mode', 'must be payment or subscription');
  elsif (new.subject_type is null) <> (new.subject_id is null) then
    perform payments_private.refuse('subject', 'needs both type and id');
  elsif new.subject_type is null and new.mode = 'subscription' then
    perform payments_private.refuse('subject', 'is required for a subscription');
  elsif new.subject_type !~ '^[a-z][a-z0-9_]*$' or length(new.subject_type) > 63 then
    perform payments_private.refuse('subject_type', 'must be lower case letters, digits and underscores');
  elsif new.subject_id !~ '^[^[:cntrl:]]{1,255}$' then
    perform payments_private.refuse('subject_id', 'must have 1 to 255 characters');
  elsif new.customer_email !~ E'^[^\\s@[:cntrl:]]+@[^\\s@[:cntrl:]]+$' or length(new.customer_email) > 512 then
    perform payments_private.refuse('customer_email', 'is not an e-mail address');
  elsif new.idempotency_key !~ '^[^[:cntrl:]]{1,255}$' then
    perform payments_private.refuse('idempotency_key', 'must have 1 to 255 characters');
  elsif new.seller_account_id !~ '^acct_[A-Za-z0-9_]{1,250}$' then
    perform payments_private.refuse('account_id', 'must be the id of an account');
  end if;
  new.account_id := null;
  if new.seller_account_id is not null
    and payments_private.may_sell_through(new.environment, new.seller_account_id)  -- all others meet the policy
    and payments_private.sells_directly(new.environment, new.seller_account_id)
  then
    new.account_id := new.seller_account_id;
  end if;
  new.metadata := coalesce(new.metadata, '{}');
  perform payments_private.check_line_items(new.line_items);
  perform payments_private.check_prices(new.environment, new.account_id, new.line_items);
  perform payments_private.check_url('success_url', new.success_url);
  perform payments_private.check_url('cancel_url', new.cancel_url);
  perform payments_private.check_metadata(new.metadata);

  new.owner_key := payments.caller_key();
  if new.owner_key is null then
    if payments_private.guest_secret() is not null then
      perform payments_private.refuse('guest_secret', 'must have at least 22 characters',
                                      'Use a random one, such as a UUID, and keep it for retries.');
    end if;
    raise exception 'the caller is nobody: no sub in its claims and no guest secret' using errcode = 'PY002',
      hint = 'Set request.jwt.claims, or payments.guest_secret for a guest.';
  end if;

  -- The customer is settled with the attempt: a retry has to ask Stripe for the very same.
  new.customer_id := payments_private.customer_at(new.environment, new.account_id, new.subject_type, new.subject_id);

  new.request_hash := encode(sha256(convert_to((jsonb_build_array(
    new.mode, new.line_items, new.success_url, new.cancel_url, new.subject_type, new.subject_id, new.customer_email,
    new.metadata) || coalesce(to_jsonb(new.seller_account_id), '[]'))::text, 'UTF8')), 'hex');
  return new;
end
$$;
comment on function payments_private.prepare_checkout() is 'Checks a checkout attempt and writes down whose it is.';

drop trigger if exists prepare_checkout on payments.stripe_checkout_sessions;
create trigger prepare_checkout
  before insert on payments.stripe_checkout_sessions
  for each row execute function payments_private.prepare_checkout();
