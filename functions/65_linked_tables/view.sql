-- What is linked, for people.

create or replace view payments.linked_tables with (security_invoker = true) as
  select l.link_id, l.target, l.kind, l.object_type, l.environment, l.account_id, l.found_by as by, l.match, l.columns,
         l.push, l.owner,
         l.create_at_stripe, l.filled,
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
