set local role payments_owner;
drop table payments_private.sweeps, payments_private.schedule cascade;
drop trigger if exists note_refresh on payments_private.refresh_queue;
drop index payments_private.refresh_queue_next_try_at_idx;
alter table payments_private.refresh_queue
  drop column next_try_at, drop column claimed_until, drop column claimed_by, drop column asked_again,
  drop column tries, drop column last_error, drop column event_ids;
reset role;
