"""The SQL of a router: for each function of a machine's interface one that sends the call to its machine.

What a machine has is read from its catalogue: names, arguments, answers and grants, so that none is forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import class_row

from pg_payments import __version__
from pg_payments.errors import ConfigurationError
from pg_payments.router.routes import LEFT_OUT, OF_CALLERS, ROUTES, All, ByAccount, ByRow, Default, Route, Written
from pg_payments.router.shards import Machine, Shards

HERE = Path(__file__).parent
ROLES = HERE.parent / "schema" / "roles.sql"
RULE = "-" * 117


@dataclass(frozen=True)
class Function:
    """A function of a machine's interface."""

    name: str
    arguments: str
    """As `create function` takes them, with defaults."""
    identity: str
    """The types alone, as `grant` takes them."""
    names: list[str]
    types: list[str]
    answer: str
    returns_set: bool
    is_composite: bool
    scalar: str | None
    """The type of a single value; None for a row or rows."""
    granted: list[str]


@dataclass(frozen=True)
class Relation:
    """A table or view that somebody may read."""

    name: str
    columns: list[str]
    types: list[str]
    has_account: bool
    readers: list[str]


FUNCTIONS = """
select p.proname as name, pg_get_function_arguments(p.oid) as arguments,
       pg_get_function_identity_arguments(p.oid) as identity,
       coalesce(p.proargnames[1:p.pronargs], '{}') as names,
       array(select format_type(a.t, null) from unnest(p.proargtypes) with ordinality a (t, place)
              order by a.place) as types,
       pg_get_function_result(p.oid) as answer, p.proretset as returns_set,
       p.proretset or t.typtype = 'c' or p.prorettype = 'record'::regtype as is_composite,
       case when t.typtype <> 'c' and p.prorettype <> 'record'::regtype
            and (not p.proretset or p.proargmodes is null) then format_type(p.prorettype, null) end as scalar,
       array_agg(distinct r.rolname::text) as granted
  from pg_proc p
  join pg_type t on t.oid = p.prorettype
 cross join lateral aclexplode(p.proacl) a
  join pg_roles r on r.oid = a.grantee
 where p.pronamespace = 'payments'::regnamespace and a.grantee <> p.proowner and r.rolname = any (%s)
 group by p.oid, t.oid
 order by p.proname, 3
"""

RELATIONS = """
select c.relname as name,
       array_agg(a.attname::text order by a.attnum) as columns,
       array_agg(case a.atttypid when 'regclass'::regtype then 'text' else format_type(a.atttypid, a.atttypmod) end
                 order by a.attnum) as types,
       bool_or(a.attname = 'account_id') as has_account,
       array(select distinct r.rolname::text from pg_roles r
              where r.rolname in ('payments_admin', 'payments_service')
                and has_table_privilege(r.oid, c.oid, 'select')) as readers
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where c.relnamespace = 'payments'::regnamespace and c.relkind in ('r', 'v')
 group by c.oid
 order by c.relname
"""

GROUPS = ["payments_service", "payments_admin", "payments_keys", "payments_user", "payments_anon"]


def interface(conn: psycopg.Connection[object]) -> list[Function]:
    """All functions of schema payments that are granted to one of the groups, by name."""
    with conn.cursor(row_factory=class_row(Function)) as cursor:
        return cursor.execute(FUNCTIONS, [GROUPS]).fetchall()


def relations(conn: psycopg.Connection[object]) -> list[Relation]:
    """All tables and views of schema payments."""
    with conn.cursor(row_factory=class_row(Relation)) as cursor:
        return cursor.execute(RELATIONS).fetchall()


def route_of(function: Function) -> Route | None:
    """How the router answers it; None where it has no such function. Raises `ConfigurationError` if that is open."""
    if function.name in LEFT_OUT:
        return None
    route = ROUTES.get(function.name)
    if "account_id" in function.names and (route is None or isinstance(route, Default)):
        return ByAccount()
    if route is None:
        raise ConfigurationError(
            f"nothing says how a router answers payments.{function.name}", hint="add it to pg_payments/router/routes.py"
        )
    return route


def script(shards: Shards, functions: list[Function], tables: list[Relation]) -> str:
    """The whole router, for ``psql -1 -f`` as a superuser; to be run again whenever anything has changed."""
    return "\n".join(_parts(shards, functions, tables))


def _parts(shards: Shards, functions: list[Function], tables: list[Relation]) -> Iterator[str]:
    yield _HEAD.replace("{version}", __version__).replace("{refusals}", REFUSALS)
    yield _heading("roles")
    yield ROLES.read_text(encoding="utf-8")
    yield _heading("what is kept, and how the machine of a call is found")
    yield (HERE / "base.sql").read_text(encoding="utf-8")
    yield _heading("the machines")
    yield _machines(shards)
    yield _heading("what is read: the rows of all machines")
    yield "set local role payments_owner;\n"
    for table in tables:
        yield _relation(shards, table)
    yield "reset role;"
    yield _heading("events")
    yield (HERE / "events.sql").read_text(encoding="utf-8")
    yield _heading("functions that send a call to its machine")
    for function in functions:
        yield from _function(function)
    yield _OWNED


def _function(function: Function) -> Iterator[str]:
    route = route_of(function)
    if route is None:
        yield f"-- payments.{function.name}: {LEFT_OUT[function.name]}\n"
        return
    if not isinstance(route, Written):
        if set(function.granted) <= OF_CALLERS:
            yield from _of_caller(function, route)
        elif isinstance(route, All) and (route.answer is not None or not function.returns_set):
            yield from _of_all(function, route.answer or "select count(*) from found")
        else:
            yield _proxy(f"payments.{function.name}", function, _where(route, function))
    signature = f"payments.{function.name}({function.identity})"
    yield f"grant execute on function {signature} to {', '.join(function.granted)};\n"


def _where(route: Route, function: Function, shift: int = 0) -> str:
    """What follows `run on`; arguments are told by their place, `shift` further on."""
    match route:
        case ByAccount(may_be_made_up):
            asked = "machine_asked" if may_be_made_up or set(function.granted) <= OF_CALLERS else "machine_of"
            return f"payments_router.{asked}(${function.names.index('account_id') + 1 + shift})"
        case ByRow(table):
            return f"payments_router.machine_with_row('{table}', ${1 + shift})"
        case All():
            return "payments_router.all_machines()"
        case _:
            return "payments_router.default_machine()"


def _proxy(name: str, function: Function, where: str, answer: str | None = None, target: str = "") -> str:
    """A function that sends its call on as it is."""
    return f"""create function {name}({function.arguments})
  returns {answer or function.answer}
language plproxy security definer
set search_path = pg_catalog, pg_temp
as $$
  cluster 'payments';
  run on {where};{target}
$$;
"""


def _of_all(function: Function, answer: str) -> Iterator[str]:
    """One that asks all machines, and one that makes an answer of theirs."""
    several = function.answer if function.returns_set else f"setof {function.answer}"
    target = f"\n  target payments.{function.name};"
    yield _proxy(f"payments_machines.{function.name}", function, "payments_router.all_machines()", several, target)
    passed = ", ".join(f"${place}" for place in range(1, len(function.types) + 1))
    found = f"payments_machines.{function.name}({passed})"
    column = "" if function.scalar is None else " (answer)"
    yield f"""create function payments.{function.name}({function.arguments})
  returns {function.answer}
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  with found as (select * from {found} f{column})
  {answer.format(name="answer")};
$$;
"""


def _of_caller(function: Function, route: Route) -> Iterator[str]:
    """One for each role that may call it, which goes to the machine as that role; and one that takes the caller's."""
    names = "claims text, guest_secret text, asks_stripe text"
    arguments = ", ".join([names, *(f"p{i} {kind}" for i, kind in enumerate(function.types, 1))])
    passed = ", ".join(f"${i + 3}" for i in range(1, len(function.types) + 1))
    call = f"payments.{function.name}({passed})"
    became = "payments.become_caller('{role}', $1, $2, $3)"
    roles = sorted(function.granted, reverse=True)  # payments_user before payments_anon
    for role in roles:
        source = became.format(role=role)
        select = (
            f"select (c.answer).* from (select {call} as answer from {source} offset 0) c;"
            if function.is_composite and function.scalar is None
            else f"select {call} from {source};"
        )
        yield f"""create function payments_machines.{function.name}_as_{role[9:]}({arguments})
  returns {function.answer}
language plproxy security definer
set search_path = pg_catalog, pg_temp
as $$
  cluster 'payments';
  run on {_where(route, function, 3)};
  {select}
$$;
grant execute on function payments_machines.{function.name}_as_{role[9:]} to {role};
"""
    given = ", ".join(
        [
            "current_setting('request.jwt.claims', true)",
            "payments_machines.guest_secret()",
            "current_setting('payments.asks_stripe', true)",
            *(f"${i}" for i in range(1, len(function.types) + 1)),
        ]
    )
    lines = [
        f"return {'query ' if function.returns_set else ''}"
        + (f"select * from payments_machines.{function.name}_as_{role[9:]}({given});" if function.returns_set
           else f"payments_machines.{function.name}_as_{role[9:]}({given});")
        for role in roles
    ]  # fmt: skip
    body = f"  {lines[0]}"
    if len(lines) > 1:
        body = f"  if payments_machines.is_user() then\n    {lines[0]}\n  else\n    {lines[1]}\n  end if;"
    yield f"""create function payments.{function.name}({function.arguments})
  returns {function.answer}
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
{body}
end
$$;
"""


def _relation(shards: Shards, table: Relation) -> str:
    """A foreign table for each machine, and a view of all their rows under the table's own name."""
    columns = ", ".join(f"{_name(column)} {kind}" for column, kind in zip(table.columns, table.types, strict=True))
    listed = ", ".join(f"t.{_name(column)}" for column in table.columns)
    foreign, selects = [], []
    for machine in shards.machines:
        name = f"payments_machines.{_name(f'{table.name}_{machine.number}')}"
        foreign.append(
            f"create foreign table {name} ({columns})\n"
            f"  server payments_machine_{machine.number}"
            f" options (schema_name 'payments', table_name '{table.name}');"
        )
        hidden = (
            "\n   where coalesce(t.account_id <> all "
            f"((select payments_router.hidden_on({machine.number}))::text[]), true)"
            if table.has_account
            else ""
        )
        selects.append(f"  select {listed}\n    from {name} t{hidden}")
    view = f"create view payments.{_name(table.name)} as\n" + "\n   union all\n".join(selects) + ";"
    grants = [f"grant select on payments.{_name(table.name)} to {', '.join(table.readers)};"] if table.readers else []
    return "\n".join([*foreign, view, *grants, ""])


def _machines(shards: Shards) -> str:
    login = shards.machines[0]
    password = [] if login.password is None else [f"password {_literal(login.password)}"]
    # who runs this is a superuser, and may say that the machines let the login in without one
    fdw = password or ["password_required 'false'"]
    lines = [
        "create server payments foreign data wrapper plproxy options (",
        "  modular_mapping '1', connection_lifetime '1800'"
        + "".join(f",\n  p{m.number} {_literal(_conninfo(m))}" for m in shards.machines)
        + ");",
        f"create user mapping for payments_owner server payments options ({_options(login.user, password)});",
        "grant usage on foreign server payments to payments_owner;",
    ]
    for machine in shards.machines:
        options = ", ".join(f"{key} {_literal(value)}" for key, value in machine.address.items())
        server = f"payments_machine_{machine.number}"
        lines += [
            f"create server {server} foreign data wrapper postgres_fdw options ({options}, fetch_size '100');",
            f"create user mapping for payments_owner server {server} options ({_options(login.user, fdw)});",
            f"grant usage on foreign server {server} to payments_owner;",
        ]
    values = ",\n  ".join(
        f"({m.number}, '{m.name}', {str(m.takes_new_accounts).lower()}, {str(m is shards.default).lower()})"
        for m in shards.machines
    )
    lines.append(_KNOWN.format(values=values))
    if shards.accounts:
        placed = ",\n  ".join(f"({_literal(a)}, {m.number})" for a, m in sorted(shards.accounts.items()))
        lines.append(_PLACED.format(values=placed))
    return "\n".join(lines)


def _conninfo(machine: Machine) -> str:
    return " ".join(f"{key}='{_escaped(value)}'" for key, value in machine.address.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _options(user: str, others: list[str]) -> str:
    return ", ".join([f"user {_literal(user)}", *others])


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if not name.isidentifier() or not name.islower() else name


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'" if "\\" not in text else "E'" + _escaped(text) + "'"


def _heading(title: str) -> str:
    return f"\n-- {RULE}\n-- {title}\n-- {RULE}\n"


REFUSALS = """\
do $$
begin
  if to_regclass('payments_migrations.applied_migration') is not null
    or exists (select from pg_class c
                where c.relnamespace = to_regnamespace('payments') and c.relkind in ('r', 'p')) then
    raise exception 'the package itself is installed in this database: a router has a database of its own';
  elsif not exists (select from pg_available_extensions e where e.name = 'plproxy') then
    raise exception 'PL/Proxy is not installed on this server' using errcode = 'feature_not_supported',
      hint = format('Debian and Ubuntu have it in the package postgresql-%s-plproxy.',
                    current_setting('server_version_num')::integer / 10000);
  end if;
end
$$;
"""
"""Raises where a router can't be: beside the package, or without PL/Proxy."""

_HEAD = """\
-- pg-payments {version}: a router, for a database that holds nothing else of ours.
--
--   psql -1 -f this-file      as a superuser: PL/Proxy is no trusted extension
--
-- Run it again whenever shards.toml or the version of the machines has changed. It makes functions, views and servers
-- anew and keeps what is in schema payments_router. It may hold the machines' password: keep it to yourself.

set local client_min_messages = warning;
set local search_path = pg_catalog, pg_temp;
\\set ON_ERROR_STOP on
savepoint this_script_needs_the_option_1;

{refusals}create extension if not exists plproxy;
create extension if not exists postgres_fdw;
do $$
begin
  if not exists (select from pg_foreign_data_wrapper w where w.fdwname = 'plproxy') then
    create foreign data wrapper plproxy validator plproxy_fdw_validator;
  end if;
end
$$;
drop schema if exists payments, payments_machines cascade;
do $$
declare
  v_server name;
begin
  for v_server in select s.srvname from pg_foreign_server s where s.srvname ~ '^payments(_machine_[0-9]+)?$' loop
    execute format('drop server %I cascade', v_server);
  end loop;
end
$$;
"""

_OWNED = """
-- PL/Proxy is a language of superusers: they make its functions, which then are the owner's, and nobody's but by grant.
do $$
declare
  v_function regprocedure;
begin
  for v_function in
    select p.oid from pg_proc p where p.pronamespace in ('payments'::regnamespace, 'payments_machines'::regnamespace)
  loop
    execute format('alter function %s owner to payments_owner', v_function);
    execute format('revoke all on function %s from public', v_function);
  end loop;
end
$$;
alter type payments_machines.event_receipt owner to payments_owner;
"""

_KNOWN = """
do $$
begin
  if exists (select from payments_router.machines m
              where not exists (select from (values
  {values}) f (machine, name, takes, is_default)
                where f.machine = m.machine and f.name = m.name
                  and f.is_default = m.is_default)) then
    raise exception 'the file says of a known machine another name, another place, or another default'
      using hint = 'Machines keep their order, names and default; add new ones at the end.';
  end if;
end
$$;
insert into payments_router.machines as m (machine, name, takes_new_accounts, is_default) values
  {values}
on conflict (machine) do update set takes_new_accounts = excluded.takes_new_accounts;
"""

_PLACED = """
do $$
begin
  if exists (select from payments_router.accounts a
              join (values
  {values}) f (account_id, machine) on f.account_id = a.account_id and f.machine <> a.machine
              ) then
    raise exception 'the file names another machine for an account than the one it is on'
      using hint = 'Move it with pg-payments shards move, or take it out of the file.';
  end if;
end
$$;
insert into payments_router.accounts (account_id, machine) values
  {values}
on conflict do nothing;
"""
