-- How the mirror compared with Stripe, when it was last compared.
set local role payments_owner;

create table payments_private.verifications (
  environment text primary key,
  verified_at timestamptz not null,
  objects     bigint not null,
  sampled     boolean not null,
  differences jsonb not null,
  repaired    integer not null,
  constraint environment_is_known check (environment = any ('{test,live}'))
);
comment on table payments_private.verifications is 'The last comparison of the mirror with Stripe: one row an environment.';
comment on column payments_private.verifications.objects is 'How many objects of Stripe''s were compared.';
comment on column payments_private.verifications.differences is 'How many there were that are not repaired, by kind: missing, stale, extra, different.';

reset role;
