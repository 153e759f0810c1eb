# ruff: noqa: E501 - SQL is kept in one piece
"""Where attacks are tried: who attacks, what an attempt is, and what must be as it was afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from tests.support.servers import Server

MARK: Final = "sesame"
"""The word that everything hidden says; an answer, an error or a notice with it in is a leak."""

SCENE = Path(__file__).with_name("scene.sql").read_text(encoding="utf-8")

LOGINS: Final = {
    "attack_user": ["payments_user"],
    "attack_guest": ["payments_anon"],
    "attack_both": ["payments_user", "payments_anon"],
    "attack_service": ["payments_service"],
    "attack_admin": ["payments_admin"],
    "attack_keys": ["payments_keys"],
    "attack_stranger": [],
}
"""Roles that log in by themselves, as an attacker with a connection of its own, and the groups they are in."""


@dataclass(frozen=True)
class Caller:
    """Who attacks: a login, the claims that its gateway verified, and the secret it holds."""

    login: str
    claims: str = ""
    secret: str = ""


def user(sub: str) -> Caller:
    """A signed-in user with a connection of its own, and a schema ``hostile`` to build things in."""
    return Caller("attack_user", json.dumps({"sub": sub}))


MALLORY = user("mallory")
"""A customer of nobody, a member of no team."""
ADA = user("ada")
CAROL = user("carol")
"""An admin of Ada's team, until she is not."""
DAN = user("dan")
"""A member of Ada's team who may not bill it."""
GUEST = Caller("attack_guest", secret="a guest's secret of no importance")
SERVICE = Caller("attack_service")
ADMIN = Caller("attack_admin")
KEYS = Caller("attack_keys")
STRANGER = Caller("attack_stranger", '{"sub": "ada"}')
"""May log in, and that is all."""

NOTHING: Final = "nothing"
"""The last statement answers no row."""
HARMLESS: Final = "harmless"
"""Whatever the answer, nothing leaks and nothing changes."""


@dataclass(frozen=True)
class Attempt:
    """One attack. ``expect`` is the SQLSTATE it is refused with (or several, where servers differ), NOTHING, HARMLESS,
    or the rows that the last statement answers.

    ``first`` is done on the same connection before ``meanwhile``, which somebody with every right does elsewhere.
    ``begins`` is how many checkouts or portals the attempt leaves, all the attacker's own and untouched by Stripe.
    """

    name: str
    who: Caller
    sql: str
    expect: str | tuple[str, ...] | list[tuple[Any, ...]]
    first: str = ""
    meanwhile: str = ""
    begins: int = 0

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Outcome:
    """What the attacker got to see: the error, if any, the last rows, and every word of it all."""

    sqlstate: str | None
    error: tuple[str | None, ...]
    rows: list[tuple[Any, ...]]
    words: str


@dataclass(frozen=True)
class Stage:
    """A database with the scene in it."""

    server: Server
    database: str
    conn: psycopg.Connection[Any]
    _read: dict[tuple[str, str], str] = field(default_factory=dict)
    """The text of the versions of a part of the catalogue, of which most attempts find the same."""

    def refuses(self, attempt: Attempt) -> None:
        """Makes the attempt; fails if it succeeds, or leaks, or leaves anything behind."""
        try:
            with self.connected(attempt.who) as attacker:
                if attempt.first:
                    attacker.run(attempt.first)
                if attempt.meanwhile:
                    self.conn.execute(attempt.meanwhile)
                before = self.fingerprint()
                known = self.attempts()
                outcome = attacker.run(attempt.sql)
            assert MARK not in outcome.words, f"leaked: {outcome.words[:2000]}"
            if attempt.expect == NOTHING:
                assert outcome.sqlstate is None, outcome.error
                assert outcome.rows == []
            elif isinstance(attempt.expect, list):
                assert outcome.sqlstate is None, outcome.error
                assert outcome.rows == attempt.expect
            elif attempt.expect != HARMLESS:
                expected = [attempt.expect] if isinstance(attempt.expect, str) else attempt.expect
                assert outcome.sqlstate in expected, (outcome.sqlstate, outcome.error, outcome.rows)
            self.only_begun_by(attempt, known)
            assert self.changed_since(before) == []
        finally:
            self.restore()

    @contextmanager
    def connected(self, who: Caller) -> Iterator[Attacker]:
        """A connection as the caller's gateway would hand it on: logged in, claims set, nothing else."""
        with psycopg.connect(
            self.server.url(self.database, who.login), autocommit=True, options="-c statement_timeout=30s"
        ) as conn:
            conn.execute("select set_config('request.jwt.claims', %s, false)", [who.claims])
            conn.execute("select set_config('payments.guest_secret', %s, false)", [who.secret])
            yield Attacker(conn)

    def attempts(self) -> set[Any]:
        """The ids of all checkouts and portals."""
        return {
            row[0]
            for row in self.conn.execute(
                "select id from payments.stripe_checkout_sessions"
                " union all select id from payments.stripe_customer_portal_sessions"
            )
        }

    def only_begun_by(self, attempt: Attempt, known: set[Any]) -> None:
        """New checkouts and portals are as many as announced, and such as the attacker may begin."""
        begun = self.conn.execute(
            """select owner_key, subject_key, status, url, customer_id from payments.stripe_checkout_sessions where id <> all (%(known)s)
               union all
               select owner_key, subject_key, status, url, null from payments.stripe_customer_portal_sessions where id <> all (%(known)s)
            """,
            {"known": list(known)},
        ).fetchall()
        assert len(begun) == attempt.begins, begun
        claims = json.loads(attempt.who.claims) if attempt.begins and attempt.who.claims else {}
        own = f"user:{claims['sub']}" if claims.get("sub") else None
        for owner_key, subject_key, status, url, customer_id in begun:
            assert (status, url, customer_id) == ("initialized", None, None)
            assert subject_key in (None, own)
            assert owner_key == own if own else owner_key.startswith("guest:")
        self.conn.execute("delete from payments.stripe_checkout_sessions where id <> all (%s)", [list(known)])
        self.conn.execute("delete from payments.stripe_customer_portal_sessions where id <> all (%s)", [list(known)])

    def fingerprint(self) -> dict[str, str]:
        """A hash of every table of ours, and of what the catalogue says of our objects and of all package roles."""
        tables = [row[0] for row in self.conn.execute(TABLES)]
        rows = [
            f"select 'rows of {table}', md5(string_agg(t::text, chr(10) order by t::text)) from {table} t"
            for table in tables
        ]
        versions = self.conn.execute(VERSIONS).fetchall()
        if not self._read.keys() >= set(versions):
            written = dict(self.conn.execute(WRITTEN).fetchall())
            self._read.update({(name, version): written[name] for name, version in versions})
        found = dict(self.conn.execute(" union all ".join([CATALOGUE, *rows])).fetchall())
        return found | {name: self._read[name, version] for name, version in versions}

    def changed_since(self, before: dict[str, str]) -> list[str]:
        """What is no longer as it was."""
        after = self.fingerprint()
        return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))

    def restore(self) -> None:
        """Members, the attacker's own schema, and what a lapsed member began are as in the scene."""
        self.conn.execute("select app.restore_members()")
        self.conn.execute("delete from payments_private.settings")
        self.conn.execute(
            "update payments_private.installation set strict_stamps = false, closed_environments = '{}', price_rule = 'any', portal_configurations = null"
        )
        self.conn.execute("delete from payments.stripe_checkout_sessions where id::text not like '00000000-%'")
        self.conn.execute("delete from payments.stripe_customer_portal_sessions where id::text not like '00000000-%'")
        self.conn.execute("set client_min_messages = warning")
        self.conn.execute("drop schema if exists hostile cascade")
        self.conn.execute("create schema hostile authorization attack_user")


@dataclass(frozen=True)
class Attacker:
    """A connection that writes down everything it is told."""

    conn: psycopg.Connection[Any]

    def run(self, script: str) -> Outcome:
        """Runs statements in one go."""
        words: list[str] = []
        rows: list[tuple[Any, ...]] = []

        def hear(notice: psycopg.errors.Diagnostic) -> None:
            words.append(f"{notice.message_primary} {notice.message_detail} {notice.message_hint} {notice.context}")

        self.conn.add_notice_handler(hear)
        sqlstate: str | None = None
        error: tuple[str | None, ...] = ()
        try:
            cursor = self.conn.execute(script.encode())
            while True:
                rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
                words.append(repr(rows))
                if not cursor.nextset():
                    break
        except psycopg.Error as refused:
            diag = refused.diag
            sqlstate = refused.sqlstate or "00000"
            error = (sqlstate, diag.message_primary, diag.message_detail, diag.message_hint)
            words.append(f"{error} {diag.context}")
        finally:
            self.conn.remove_notice_handler(hear)
        return Outcome(sqlstate, error, rows, "\n".join(words))


@contextmanager
def stage_on(server: Server, template: str) -> Iterator[Stage]:
    """A stage on a database of its own."""
    for login, groups in LOGINS.items():
        server.login(login, *groups)
    with server.database(template) as name, psycopg.connect(server.url(name), autocommit=True) as conn:
        with psycopg.connect(server.url(name)) as builder:
            builder.execute(SCENE.encode())
        conn.execute(sql.SQL("grant create on schema public to {}").format(sql.Identifier("attack_user")))
        stage = Stage(server, name, conn)
        stage.restore()
        yield stage


TABLES: Final = """
select format('%I.%I', n.nspname, c.relname)
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname in ('payments', 'payments_private') and c.relkind = 'r'
"""

OURS: Final = """
with ours as (
  select n.oid, n.nspname from pg_namespace n where n.nspname in ('payments', 'payments_private', 'payments_migrations')
), relations as (
  select c.* from pg_class c where c.relnamespace in (select oid from ours)
), groups as (
  select r.oid from pg_roles r where r.rolname like any (array['payments\\_%', 'attack\\_%'])
)
"""

CATALOGUE: Final = f"""{OURS}
select 'relations', md5(string_agg(concat_ws(' ', c.oid, c.relname, c.relowner, c.relacl, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.reltype), chr(10) order by c.oid)) from relations c
union all select 'schemas', md5(string_agg(concat_ws(' ', n.nspname, n.nspowner, n.nspacl), chr(10) order by n.oid)) from pg_namespace n where n.oid in (select oid from ours)
union all select 'roles', md5(string_agg(r::text, chr(10) order by r.oid)) from pg_roles r where r.oid in (select oid from groups)
union all select 'memberships', md5(string_agg(m.roleid || ' ' || m.member, chr(10) order by m.roleid, m.member)) from pg_auth_members m where m.member in (select oid from groups)
union all select 'default rights', md5(string_agg(d::text, chr(10) order by d.oid)) from pg_default_acl d
union all select 'role settings', md5(string_agg(s::text, chr(10) order by s.setdatabase, s.setrole)) from pg_db_role_setting s
union all select 'event triggers', md5(string_agg(e::text, chr(10) order by e.oid)) from pg_event_trigger e
"""

WRITTEN: Final = f"""{OURS}
select 'functions', md5(string_agg(p::text, chr(10) order by p.oid)) from pg_proc p where p.pronamespace in (select oid from ours)
union all select 'columns', md5(string_agg(a::text, chr(10) order by a.attrelid, a.attnum)) from pg_attribute a where a.attrelid in (select oid from relations)
union all select 'policies', md5(string_agg(p::text, chr(10) order by p.oid)) from pg_policy p where p.polrelid in (select oid from relations)
union all select 'triggers', md5(string_agg(t::text, chr(10) order by t.oid)) from pg_trigger t where t.tgrelid in (select oid from relations)
union all select 'rules', md5(string_agg(r::text, chr(10) order by r.oid)) from pg_rewrite r where r.ev_class in (select oid from relations)
union all select 'constraints', md5(string_agg(k::text, chr(10) order by k.oid)) from pg_constraint k where k.conrelid in (select oid from relations)
union all select 'types', md5(string_agg(t::text, chr(10) order by t.oid)) from pg_type t where t.typnamespace in (select oid from ours)
"""
"""The whole text of what the catalogue says."""

VERSIONS: Final = f"""{OURS}
select 'functions', md5(string_agg(concat_ws(' ', p.oid, p.xmin, p.ctid), chr(10) order by p.oid)) from pg_proc p where p.pronamespace in (select oid from ours)
union all select 'columns', md5(string_agg(concat_ws(' ', a.attrelid, a.attnum, a.xmin, a.ctid), chr(10) order by a.attrelid, a.attnum)) from pg_attribute a where a.attrelid in (select oid from relations)
union all select 'policies', md5(string_agg(concat_ws(' ', p.oid, p.xmin, p.ctid), chr(10) order by p.oid)) from pg_policy p where p.polrelid in (select oid from relations)
union all select 'triggers', md5(string_agg(concat_ws(' ', t.oid, t.xmin, t.ctid), chr(10) order by t.oid)) from pg_trigger t where t.tgrelid in (select oid from relations)
union all select 'rules', md5(string_agg(concat_ws(' ', r.oid, r.xmin, r.ctid), chr(10) order by r.oid)) from pg_rewrite r where r.ev_class in (select oid from relations)
union all select 'constraints', md5(string_agg(concat_ws(' ', k.oid, k.xmin, k.ctid), chr(10) order by k.oid)) from pg_constraint k where k.conrelid in (select oid from relations)
union all select 'types', md5(string_agg(concat_ws(' ', t.oid, t.xmin, t.ctid), chr(10) order by t.oid)) from pg_type t where t.typnamespace in (select oid from ours)
"""
"""Which versions of its rows say so: whoever finds the same ones need not read their text again, which takes longer."""
