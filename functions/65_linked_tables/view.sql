-- What is linked, for people.

create or replace view payments.linked_tables with (security_invoker = true) as
  select l.link_id, l.target, l.kind, l.object_type, l.environment, l.account_id, l.found_by as by, l.match, l.columns,
         l.push, l.owner, l.create_at_stripe, l.filled,
         greatest(c.reltuples, 0)::bigint as rows,
         (select count(*) from payments.outbox o where o.link_id = l.link_id
             and o.status = any ('{pending,claimed,paused}')) as pending,
         (select count(*) from payments.outbox o where o.link_id = l.link_id
             and o.status = any ('{refused,conflict}')) as refused,
         (select now() - min(o.created_at) from payments.outbox o where o.link_id = l.link_id
             and o.status = any ('{pending,claimed,paused}')) as lag
    from payments_private.linked_tables l
    left join pg_catalog.pg_class c on c.oid = l.target;
comment on view payments.linked_tables is
  'The tables that payments.link_table() has linked: rows is the planner''s estimate, pending and refused count what Stripe is to be told, lag is the age of the oldest of it.';
comment on column payments.linked_tables.link_id is 'The link''s own id.';
comment on column payments.linked_tables.target is 'The application''s table.';
comment on column payments.linked_tables.kind is 'product, customer, subscription, payment or object.';
comment on column payments.linked_tables.object_type is 'Stripe''s name of the type of object.';
comment on column payments.linked_tables.environment is 'test or live: which of Stripe''s modes the row is of.';
comment on column payments.linked_tables.account_id is
  'Null: links are with the account behind the environment''s key.';
comment on column payments.linked_tables."by" is 'How a row finds its object: id, subject, checkout or metadata.';
comment on column payments.linked_tables.match is
  'What by needs: names of columns, of the subject type or the metadata key.';
comment on column payments.linked_tables.columns is 'The columns that are filled, as they are called in the table.';
comment on column payments.linked_tables.push is
  'Stripe''s fields and the columns they are told from; null: nothing is told.';
comment on column payments.linked_tables.owner is 'Who wins where both sides changed: database, stripe or refuse.';
comment on column payments.linked_tables.create_at_stripe is 'Whether a new row is created at Stripe.';
comment on column payments.linked_tables.filled is 'Whether the rows that were there before have been filled.';
comment on column payments.linked_tables.rows is 'About how many rows the table has, as the planner thinks.';
comment on column payments.linked_tables.pending is 'How many changes wait to be told.';
comment on column payments.linked_tables.refused is 'How many changes Stripe has refused, or are in conflict.';
comment on column payments.linked_tables.lag is 'How long the oldest change has waited to be told.';
