-- An application whose tables carry Stripe's ids and values: products, teams, subscriptions and orders.
-- Run by a role that owns the tables and is a member of payments_owner, after pg-payments migrate.

create table app.products (
  id        bigint primary key generated always as identity,
  title     text not null,
  body      text,
  sku       text unique,
  published boolean not null default true
);

create table app.teams (
  id   uuid primary key default gen_random_uuid(),
  name text not null
);

create table app.subscriptions (
  id      bigint primary key generated always as identity,
  team_id uuid not null references app.teams
);

create table app.orders (
  id          bigint primary key generated always as identity,
  product_id  bigint not null references app.products,
  checkout_id uuid
);

-- A product is created at Stripe when its row is inserted, and follows every edit.
select payments.link_table('app.products', 'product', 'test',
  push => '{"name": "title", "description": "body", "active": "published", "metadata.sku": "sku"}',
  create_at_stripe => true);

-- A team's customer appears when its first checkout is done.
select payments.link_table('app.teams', 'customer', 'test', by => 'subject',
  match => '{"subject_type": "team", "subject_column": "id"}');

-- Its subscription likewise, here in a table of its own.
select payments.link_table('app.subscriptions', 'subscription', 'test', by => 'subject',
  match => '{"subject_type": "team", "subject_column": "team_id"}');

-- An order gets its payment when the checkout that it began is paid.
select payments.link_table('app.orders', 'payment', 'test', by => 'checkout',
  match => '{"checkout_column": "checkout_id"}');
