-- An invoice: what is asked and was received, and what was bought.
--
-- The main line is the one that the payment is for: a subscription's item of the billed period before a proration, a
-- proration before an item that was waiting (a subscription's invoice) and credits last; among equals the one of the
-- highest amount, then the first. (Stripe API reference: Invoice line item, type and proration, since 2025-03-31.basil
-- parent.)

create or replace function payments_private.invoice_lines(p_data jsonb)
  returns table (line_rank integer, product_id text, price_id text)
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
    select row_number() over (order by
             coalesce(l.amount, 0) < 0,
             case when l.is_item and not l.proration then 1 when l.proration then 2 else 3 end,
             l.amount desc nulls last, l.place)::integer * case when l.amount < 0 then -1 else 1 end,
           coalesce(l.ids[1], l.ids[2], l.ids[3]), coalesce(l.ids[4], l.ids[5], l.ids[6])
      from (select d.place, payments_private.json_bigint(d.value -> 'amount') as amount,
                   coalesce(d.value ->> 'type' = 'subscription', false)
                     or jsonb_typeof(d.value #> '{parent,subscription_item_details}') = 'object' as is_item,
                   d.value -> 'proration' = 'true' is true
                     or d.value #> '{parent,subscription_item_details,proration}' = 'true' is true
                     or d.value #> '{parent,invoice_item_details,proration}' = 'true' is true as proration,
                   payments_private.json_ids(
                     d.value #> '{price,product}', d.value #> '{pricing,price_details,product}',
                     d.value #> '{plan,product}',
                     d.value -> 'price', d.value #> '{pricing,price_details,price}', d.value -> 'plan') as ids
              from jsonb_array_elements(payments_private.json_array(p_data #> '{lines,data}')) with ordinality d (value,
                  place)) l
     order by 1;
end
$$;
comment on function payments_private.invoice_lines(jsonb) is
  'The lines of an invoice, the main line first: rank 1, or -1 where all are credits. Credits have negative ranks.';

create or replace function payments_private.invoice_purchase(p_data jsonb, o payments_private.payment_facts)
  returns payments_private.payment_facts
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_line record;
  v_id   text[];
begin
  case jsonb_array_length(payments_private.json_array(p_data #> '{lines,data}'))
    when 0 then null;
    when 1 then
      v_id := payments_private.json_ids(
        p_data #> '{lines,data,0,price,product}', p_data #> '{lines,data,0,pricing,price_details,product}',
        p_data #> '{lines,data,0,plan,product}',
        p_data #> '{lines,data,0,price}', p_data #> '{lines,data,0,pricing,price_details,price}',
        p_data #> '{lines,data,0,plan}');
      o.product_id := coalesce(v_id[1], v_id[2], v_id[3]);
      o.price_id := coalesce(v_id[4], v_id[5], v_id[6]);
    else
      for v_line in select * from payments_private.invoice_lines(p_data) l order by abs(l.line_rank) loop
        if abs(v_line.line_rank) = 1 then
          o.product_id := v_line.product_id;
          o.price_id := v_line.price_id;
        end if;
        if v_line.line_rank > 0 and v_line.product_id <> all (coalesce(o.products, '{}')) then
          o.products := o.products || v_line.product_id;
        end if;
        if v_line.line_rank > 0 and v_line.price_id <> all (coalesce(o.prices, '{}')) then
          o.prices := o.prices || v_line.price_id;
        end if;
      end loop;
  end case;
  return o;
end
$$;
comment on function payments_private.invoice_purchase(jsonb, payments_private.payment_facts) is
  'Product and price of the main line; all that were bought where there are several lines.';

-- An event carries the first lines only, and says has_more (Stripe API reference: Pagination).
create or replace function payments_private.lines_go_on(p_object_type text, p_data jsonb) returns boolean
language plpgsql immutable parallel safe
as $$
begin
  return p_object_type = 'invoice' and coalesce(p_data #> '{lines,has_more}' = jsonb 'true', false);
end
$$;
comment on function payments_private.lines_go_on(text, jsonb) is 'Whether this is an invoice that shows the first of its lines only.';

create or replace function payments_private.with_lines_of(
  p_new payments_private.payment_facts, p_old payments_private.payment_facts
) returns payments_private.payment_facts
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_id text;
begin
  foreach v_id in array coalesce(p_new.products, array[p_new.product_id]) loop
    if v_id <> all (coalesce(p_old.products, array[p_old.product_id])) then
      p_old.products := coalesce(p_old.products, array[p_old.product_id]) || v_id;
    end if;
  end loop;
  foreach v_id in array coalesce(p_new.prices, array[p_new.price_id]) loop
    if v_id <> all (coalesce(p_old.prices, array[p_old.price_id])) then
      p_old.prices := coalesce(p_old.prices, array[p_old.price_id]) || v_id;
    end if;
  end loop;
  if p_old.price_id is not null or p_old.product_id is not null then
    p_new.product_id := p_old.product_id;
    p_new.price_id := p_old.price_id;
    p_new.products := p_old.products;
    p_new.prices := p_old.prices;
  end if;
  return p_new;
end
$$;
comment on function payments_private.with_lines_of(payments_private.payment_facts, payments_private.payment_facts) is
  'What an invoice says that shows its first lines only, with what is known of its lines so far: nothing that an earlier list told is lost before the whole list is read.';

create or replace function payments_private.invoice_facts(
  p_account text, p_data jsonb, o payments_private.payment_facts
) returns payments_private.payment_facts
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text := p_data ->> 'status';
  v_amount bigint[] := payments_private.json_bigints(p_data -> 'amount_due', p_data -> 'amount_paid',
                                                     p_data -> 'amount_paid_off_stripe');
  v_text   text[] := payments_private.json_texts(p_data -> 'currency', p_data -> 'customer_email',
                                                 p_data -> 'description', p_data -> 'number');
  v_time   timestamptz[] := payments_private.json_times(
    p_data -> 'created', p_data #> '{status_transitions,paid_at}', p_data #> '{status_transitions,voided_at}',
    p_data #> '{status_transitions,marked_uncollectible_at}', p_data -> 'date');
begin
  o.amount_due := v_amount[1];
  o.amount_received := v_amount[2];
  o.off_stripe := nullif(v_amount[3], 0);
  if v_status = 'paid' or (p_data -> 'status' is null and p_data -> 'paid' = jsonb 'true') then
    o.status := 'succeeded';
  elsif v_status in ('void', 'uncollectible') then
    o.status := 'failed';
  elsif v_status = 'open' then
    o.status := 'pending';
  -- 2017
  elsif p_data -> 'status' is null and p_data -> 'closed' = jsonb 'false' and p_data -> 'attempted' = jsonb 'true' then
    o.status := 'pending';
  end if;
  if p_data -> 'paid_out_of_band' = jsonb 'true' then
    o.mode := 'off_stripe';
  end if;
  o.paid_at := v_time[2];
  o.failed_at := coalesce(v_time[3], v_time[4]);
  o.own_subject_key := o.subject_key;
  o.subject_key := coalesce(payments_private.subject_in(p_account, p_data #> '{parent,subscription_details,metadata}'),
                      payments_private.subject_in(p_account, p_data #> '{subscription_details,metadata}'));
  o.currency := v_text[1];
  o.email := v_text[2];
  o.description := coalesce(v_text[3], v_text[4]);
  o.provider_created_at := coalesce(v_time[1], v_time[5]);
  o.customer_id := payments_private.payer_in(p_data);
  return payments_private.invoice_purchase(p_data, o);
end
$$;
comment on function payments_private.invoice_facts(text, jsonb, payments_private.payment_facts) is 'What an invoice says of its payments.';
