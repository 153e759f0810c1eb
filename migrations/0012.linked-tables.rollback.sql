-- Linked columns stay on the application's tables with what they hold; their triggers and foreign keys go.
set local role payments_owner;
drop table payments.audit_log cascade;
drop table payments_private.rate_buckets, payments_private.outbox_state cascade;
drop table payments.outbox cascade;
drop table payments_private.metadata_matches, payments_private.linked_tables cascade;
do $$
declare
  v_anchor integer;
begin
  for v_anchor in select a.anchor_id from payments_private.object_anchors a loop
    execute format('drop table if exists payments_private.anchors_%s cascade', v_anchor);
  end loop;
end
$$;
drop table payments_private.object_anchors cascade;
reset role;
