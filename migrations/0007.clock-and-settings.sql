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
  constraint setting_is_known check (name = any ('{metadata_prefix,max_attempts,allowed_origins}'))
);
comment on table payments_private.settings is
  'metadata_prefix: another prefix of the metadata keys that name a billing subject (payments_ and insforge_ are always read); max_attempts: after how many a failing event is parked; allowed_origins: where checkouts and portals may return to, see payments.allow_origins().';

reset role;
