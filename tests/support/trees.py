"""Small trees of SQL to migrate with, for tests of the migrating itself."""

from pathlib import Path

from pg_payments.schema.sql_files import SqlTree
from tests.support.tools import write

ROLE = """\
do $$
begin
    create role payments_owner nologin;
exception when duplicate_object then null;
end $$;
"""

FILES = {
    "migrations/0001.house.sql": ROLE
    + "create schema payments authorization payments_owner;\n"
    + "set local role payments_owner;\n"
    + "alter default privileges revoke execute on functions from public;\nreset role;\n",
    "migrations/0001.house.rollback.sql": "drop schema payments cascade;\n",
    "migrations/0002.orders.sql": (
        "set local role payments_owner;\n"
        "create table payments.orders (id int primary key, note text default 'a;b');\n"
        "reset role;\n"
    ),
    "migrations/0002.orders.rollback.sql": "drop table payments.orders cascade;\n",
    "functions/10_answer.sql": (
        "create or replace function payments.answer() returns int language plpgsql as $$\n"
        "begin\n    return 42; -- 100 % sure\nend $$;\n"
    ),
    "functions/20_total.sql": (
        "create or replace function payments.total() returns bigint stable\n"
        "return (select count(*) from payments.orders);\n"
    ),
    "policies/orders.sql": (
        "alter table payments.orders enable row level security;\n"
        "drop policy if exists everybody on payments.orders;\n"
        "create policy everybody on payments.orders using (payments.answer() = 42);\n"
    ),
}


def small_tree(root: Path) -> SqlTree:
    """Two migrations, two functions and a policy."""
    for name, text in FILES.items():
        write(root / name, text)
    return SqlTree(root)
