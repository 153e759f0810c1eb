-- A Checkout Session. (Stripe API reference: Checkout Session, status and payment_status.)

create or replace function payments_private.checkout_session_facts(p_data jsonb, o payments_private.payment_facts)
  returns payments_private.payment_facts
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_status text := p_data ->> 'status';
  v_amount bigint := payments_private.json_bigint(p_data -> 'amount_total');
  v_text   text[] := payments_private.json_texts(p_data -> 'currency', p_data #> '{customer_details,email}',
                                                 p_data -> 'customer_email');
  v_ids    text[];
begin
  o.mode := p_data ->> 'mode';
  o.amount_due := v_amount;
  o.amount_received := v_amount;
  if p_data ->> 'payment_status' in ('paid', case when o.mode = 'payment' then 'no_payment_required' end)
     and coalesce(v_status = 'complete', true)
  then
    o.status := 'succeeded';
  elsif o.mode = 'payment' and v_status = 'complete' then
    o.status := 'pending';
  end if;
  o.currency := v_text[1];
  o.email := coalesce(v_text[2], v_text[3]);
  o.provider_created_at := payments_private.json_time(p_data -> 'created');
  o.customer_id := payments_private.payer_in(p_data);

  if p_data ? 'line_items' then
    v_ids := payments_private.json_ids(p_data #> '{line_items,data,0,price,product}',
                                       p_data #> '{line_items,data,0,price}');
    o.product_id := v_ids[1];
    o.price_id := v_ids[2];
    select array_agg(distinct payments_private.json_id(l.value #> '{price,product}')),
           array_agg(distinct payments_private.json_id(l.value -> 'price'))
      into o.products, o.prices
      from jsonb_array_elements(payments_private.json_array(p_data #> '{line_items,data}')) l;
  end if;
  return o;
end
$$;
comment on function payments_private.checkout_session_facts(jsonb, payments_private.payment_facts) is 'What a Checkout Session says of its payment.';
