-- The clock, which tests stop by writing a row, and the settings. Applications have no way to either.
set local role payments_owner;

create table payments_private.clock (
  stands_at timestamptz not null,
  one_row   boolean primary key default true,
  constraint clock_is_one_row check (one_row)
);
comment on table payments_private.clock is 'Empty in production: the time is the time. A row stops the package''s clock at that moment, for tests.';

create table payments_private.settings (
  name  text primary key,
  value text not null,
  constraint setting_is_known check (name = any (array[
    'metadata_prefix',
    'max_attempts',
    'allowed_origins',
    'lock_timeout',
    'synchronous_commit',
    'trusted_accounts',
    'insforge_metadata',
    'bulk_push_rows',
    'push_rate_test',
    'push_rate_live',
    'search_delay',
    'read_rate_test',
    'read_rate_live',
    'worker_checkouts',
    'webhook_tolerance'
  ])),
  constraint insforge_metadata_is_on_or_off check (name <> 'insforge_metadata' or value = any ('{on,off}')),
  constraint worker_checkouts_is_on_or_off check (name <> 'worker_checkouts' or value = any ('{on,off}')),
  constraint lock_timeout_is_short check (name <> 'lock_timeout' or value ~ '^[1-9][0-9]{0,4}ms$|^[1-9][0-9]?s$'),
  constraint synchronous_commit_is_on_or_inherited check (name <> 'synchronous_commit' or value = any ('{on,inherit}'))
);
comment on table payments_private.settings is
  'metadata_prefix: another prefix of the metadata keys that name a billing subject (payments_ and insforge_ are always read); '
  'max_attempts: after how many a failing event is parked; '
  'allowed_origins: where checkouts and portals may return to, see payments.allow_origins(); '
  'lock_timeout: how long a delivery waits for a lock, as 500ms or 2s, a second if not set; '
  'synchronous_commit: inherit lets deliveries commit as the role and the database say, on or unset has them wait for the disk; '
  'trusted_accounts: connected accounts (acct_…, separated by commas, or * for all) whose objects may name our billing subjects; '
  'insforge_metadata: off leaves out insforge_subject_type and insforge_subject_id, which checkouts stamp beside payments_… for triggers written for InsForge; '
  'bulk_push_rows: how many rows a transaction may push unasked; '
  'push_rate_test, push_rate_live: writes a second that Stripe is told; '
  'search_delay: how soon Stripe''s search shows what was made; '
  'read_rate_test, read_rate_live: objects a second that workers fetch; '
  'worker_checkouts: whether workers ask Stripe for attempts that plain SQL has begun, as PAYMENTS_WORKER_CHECKOUTS of the last one started says; '
  'webhook_tolerance: seconds a signature stays good that SQL verifies, 300 if not set.';

reset role;
