-- How an application says who may bill what.
set local role payments_owner;

create table payments_private.subject_types (
  subject_type   text primary key,
  members        regclass,
  subject_column name,
  user_column    name,
  filter         text,
  lookup         text,
  created_at     timestamptz not null default now(),
  constraint subject_type_is_an_identifier check (subject_type ~ '^[a-z][a-z0-9_]*$'),
  constraint user_is_built_in check (subject_type <> 'user'),
  constraint asks_a_table_or_a_function check ((members is null) = (lookup is not null))
);
comment on table payments_private.subject_types is 'The billing subjects an application has besides its users, and what is asked for a user''s own.';
comment on column payments_private.subject_types.members is 'The membership table or view; null where the application registered a function of its own.';
comment on column payments_private.subject_types.lookup is 'That function, by its quoted name: a regprocedure would be in the way of pg_upgrade.';

reset role;
