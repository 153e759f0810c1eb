"""Somebody was here before the package: what it finds in its place it must not trust."""

import psycopg
import pytest

from pg_payments.schema.migrate import migrate
from tests.support.servers import Server

PLANTED = """
create schema {schema};
create function {schema}.spy() returns trigger language plpgsql as $$
begin
  execute 'create table public.loot as select current_user::text as who';
  return new;
end $$;
create table {schema}.applied_migration (id text);
create trigger t before insert on {schema}.applied_migration for each row execute function {schema}.spy();
"""


@pytest.mark.parametrize("schema", ["payments", "payments_private", "payments_migrations"])
def test_a_schema_of_our_name_that_is_somebody_else_s_is_refused(
    schema: str, server: Server, empty_database_url: str
) -> None:
    squatter = server.login("attack_squatter")
    with psycopg.connect(empty_database_url, autocommit=True) as conn:
        conn.execute(f"grant create on database {conn.info.dbname} to {squatter}")
        conn.execute("grant create on schema public to public")
        conn.execute(f"set role {squatter}")
        conn.execute(PLANTED.format(schema=schema).encode())
        conn.execute("reset role")
        with pytest.raises(Exception, match=schema):
            migrate(empty_database_url)
        row = conn.execute("select to_regclass('public.loot'), to_regclass('payments.transactions')").fetchone()
        assert row == (None, None)
