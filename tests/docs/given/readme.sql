-- An application's tables, as the README takes them to be there.
create table public.orders (
  id text primary key, owner text not null, price text not null, status text not null default 'pending', paid_at timestamptz
);
create table public.team_members (team_id text, user_id text, role text, primary key (team_id, user_id));
