-- Tables of an application that are going to be linked.
create schema app;
create table app.products (
  id bigint primary key generated always as identity, title text not null, body text, sku text, published boolean default true
);
create table app.teams (id uuid primary key default gen_random_uuid(), name text not null);
create table app.orders (id bigint primary key generated always as identity, checkout_id uuid);
