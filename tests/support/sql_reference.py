"""`docs/reference/sql.md`: what schema `payments` offers, put together from its `comment on` and its grants."""

from __future__ import annotations

from typing import Any

import psycopg

Row = dict[str, Any]

HEAD = """\
# SQL reference

Tables, views, policies and functions of schema `payments`, made of the comments in the schema itself:
`pytest --update-schema tests/test_schema_snapshot.py` writes this page. Internals live in `payments_private`, which
nobody but the owner may use. Functions raise as [errors.md](errors.md) says; [access.md](../access.md) says who may do
what.

Rows refer to each other by Stripe's ids, within an environment and an account, and without foreign keys: what refers
may be told before what it refers to.

![The tables of schema payments, and which refers to which](../images/schema.svg)
"""

FUNCTIONS = """
select p.proname as name, pg_catalog.pg_get_function_arguments(p.oid) as arguments,
       pg_catalog.pg_get_function_result(p.oid) as result, pg_catalog.obj_description(p.oid, 'pg_proc') as comment,
       array(select distinct case a.grantee when 0 then 'anyone' else a.grantee::regrole::text end
               from pg_catalog.aclexplode(p.proacl) a
              where a.privilege_type = 'EXECUTE' and a.grantee <> p.proowner order by 1) as executors
  from pg_catalog.pg_proc p
 where p.pronamespace = 'payments'::regnamespace and p.prorettype <> 'trigger'::regtype
 order by p.proname, 2
"""
RELATIONS = """
select c.oid, c.relname as name, c.relkind = 'v' as is_view, pg_catalog.obj_description(c.oid, 'pg_class') as comment
  from pg_catalog.pg_class c
 where c.relnamespace = 'payments'::regnamespace and c.relkind in ('r', 'v')
 order by c.relname
"""
COLUMNS = """
select a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as is_required,
       pg_catalog.col_description(a.attrelid, a.attnum) as comment
  from pg_catalog.pg_attribute a
 where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
 order by a.attnum
"""
POLICIES = """
select p.polname as name, pg_catalog.obj_description(p.oid, 'pg_policy') as comment,
       case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
                     else 'all' end as command,
       array(select r::regrole::text from unnest(p.polroles) r order by 1) as roles
  from pg_catalog.pg_policy p
 where p.polrelid = %s
 order by p.polname
"""


def sql_reference(conn: psycopg.Connection[Row]) -> str:
    """The page for the schema that is in this database; the same on every version of Postgres."""
    relations, functions = conn.execute(RELATIONS).fetchall(), conn.execute(FUNCTIONS).fetchall()
    return "\n".join(
        [
            HEAD,
            "## Tables and views\n",
            *(_relation(conn, relation) for relation in relations),
            "## Functions\n",
            *map(_function, functions),
        ]
    )


def _relation(conn: psycopg.Connection[Row], relation: Row) -> str:
    columns = conn.execute(COLUMNS, [relation["oid"]]).fetchall()
    policies = conn.execute(POLICIES, [relation["oid"]]).fetchall()
    name = f"### `{relation['name']}`{' (view)' if relation['is_view'] else ''}\n"
    said = [f"| `{column['name']}` | {_type(column)} | {_cell(column, relation)} |" for column in columns]
    table = ["| column | type | |", "|---|---|---|", *said, ""]
    allowed = [
        f"- `{policy['name']}` ({policy['command']}, {', '.join(policy['roles'])}): {_sentence(policy)}"
        for policy in policies
    ]
    return "\n".join([name, _sentence(relation), "", *table, *(["Policies:", "", *allowed, ""] if allowed else [])])


def _cell(column: Row, relation: Row) -> str:
    assert column["comment"], f"{relation['name']}.{column['name']} has no comment"
    return str(column["comment"]).replace("|", "\\|")


def _function(function: Row) -> str:
    roles = ", ".join(f"`{role}`" if role != "anyone" else role for role in function["executors"]) or "the owner only"
    signature = f"{function['name']}({function['arguments']}) → {function['result']}"
    return "\n".join(
        [f"### `{function['name']}`\n", "```", signature, "```", _sentence(function), "", f"For: {roles}.", ""]
    )


def _type(column: Row) -> str:
    return str(column["type"]).replace("timestamp with time zone", "timestamptz")


def _sentence(row: Row) -> str:
    assert row["comment"], f"{row['name']} has no comment"
    return str(row["comment"])
