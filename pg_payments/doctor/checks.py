"""The checks: one function each, in `CHECKS`, by topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from psycopg import Connection

from pg_payments import __version__
from pg_payments.counted import counted
from pg_payments.database import functions
from pg_payments.database.connections import SEARCH_PATH
from pg_payments.database.query import Row
from pg_payments.doctor.at_stripe import asked
from pg_payments.doctor.findings import SKEW_SECONDS, Finding, Fix, Level
from pg_payments.errors import ConfigurationError, MigrationError
from pg_payments.schema import members, state
from pg_payments.schema.migrate import RESTORE
from pg_payments.schema.sql_files import packaged
from pg_payments.schema.state import Status
from pg_payments.settings import ENVIRONMENTS, Environment, Settings
from pg_payments.stripe.keys import NAME, AccountKeys, account_keys_of, masked
from pg_payments.stripe.webhook_endpoints import endpoint_url


@dataclass
class Patient:
    """What checks look at; what several of them want is asked for once. Without settings, theirs are left out."""

    conn: Connection[Any]
    settings: Settings | None
    environments: list[Environment] = field(default_factory=lambda: list(ENVIRONMENTS))
    asks_stripe: bool = False

    @cached_property
    def status(self) -> Status:
        try:
            return state.compare(self.conn, packaged())
        finally:
            self.conn.execute(f"set search_path = {SEARCH_PATH}")

    @cached_property
    def told(self) -> list[Row]:
        """What `payments.doctor()` returns."""
        return functions.doctor(self.conn)

    def verifies_in_sql(self, environment: Environment) -> bool:
        """Whether `payments.receive_stripe_webhook()` has a secret."""
        return any(row["topic"] == "webhooks in SQL" and row["environment"] == environment for row in self.told)

    def key(self, environment: Environment) -> str | None:
        """The key in the settings, else the stored one. Raises `ConfigurationError` if that does not open."""
        if self.settings is None:
            return None
        if self.settings.has_stripe_key(environment):
            return self.settings.stripe_secret_key(environment)
        token = functions.stored_secret(self.conn, environment, NAME)
        if token is None:
            return None
        from pg_payments.encryption import Vault  # only who stores keys needs what it needs

        return Vault(self.settings).decrypted(token, environment, NAME)

    def account_keys(self, environment: Environment) -> AccountKeys:
        """The keys of accounts' own, in the settings or stored."""
        return account_keys_of(self.conn, self.settings, environment) if self.settings else {}


Check = Callable[[Patient], Iterator[Finding]]


def reachable(conn: Connection[Any]) -> Finding | None:
    """Why nothing else can be asked: another's schemas, a server too old, nothing installed; None if all can be."""
    try:
        with state.naming(state.preconditions()):
            conn.execute(state.preconditions().text.encode())
    except MigrationError as error:
        return Finding("database", "red", error.message.partition(": ")[2] or error.message, error.hint)
    absent, _ = functions.missing_functions(conn, ["ingest_stripe_events", "doctor"], [])
    if "ingest_stripe_events" in absent:
        say = f"database {conn.info.dbname} is not migrated: it has no schema payments of this version"
        return Finding("database", "red", say, "pg-payments migrate")
    if absent:
        return Finding("database", "red", "the schema is older than this version", "pg-payments migrate")
    return None


def schema(patient: Patient) -> Iterator[Finding]:
    """Whether a migrate would do anything."""
    found = patient.status
    if unknown := found.migrations_in("unknown"):
        say = f"a newer version than {__version__} has migrated: {', '.join(unknown)}"
        yield Finding("schema", "red", say, "install that version of pg-payments")
    if edited := found.migrations_in("edited"):
        say = f"edited after they were applied: {', '.join(edited)}"
        yield Finding("schema", "red", say, "restore the files, or pg-payments migrate --accept-edited")
    pending, files = found.migrations_in("pending"), found.files_to_load
    if pending or files:
        waits = counted(len(pending), "migration is", "migrations are")
        say = f"{waits} pending, {counted(len(files), 'file differs', 'files differ')} from version {__version__}"
        yield Finding("schema", "yellow", say, "pg-payments migrate --plan, then pg-payments migrate")
    elif not (unknown or edited):
        yield Finding("schema", "green", f"the schema is that of version {__version__}")


def changed_by_hand(patient: Patient) -> Iterator[Finding]:
    """What somebody changed behind our back. `migrate` mends all of it but functions, which it tells of."""
    found = patient.status
    for damage in found.damages:
        level: Level = "yellow" if damage.made is None else "red"
        yield Finding("tables", level, f"{damage} {damage.state}", damage.next_step)
    for name, changed in found.functions.items():
        yield Finding("functions", "red", f"{name} was {changed}", "pg-payments migrate --force loads the original")
    defaults = {name: how for name, how in found.grants.items() if " on new " in name}
    lost = {f"table {name}" for name in found.lost_tables}
    for name in sorted(lost):
        yield Finding("tables", "red", f"{name} is gone, with its rows", RESTORE)
    kinds: list[tuple[str, dict[str, str]]] = [
        ("tables and policies", {name: f"was {how}" for name, how in found.relations.items() if name not in lost}),
        ("owners", dict(found.owners)),
        ("rights", {name: f"is {how}" for name, how in found.grants.items() if name not in defaults}),
        ("default privileges", {name: f"is {how}" for name, how in defaults.items()}),
    ]
    mend: Fix | None = None if lost or _must_migrate(found) else "mend"
    for topic, changes in kinds:
        for name, how in list(changes.items())[:_TOLD]:
            yield Finding(topic, "red", f"{name} {how}", "pg-payments migrate puts it back", fix=mend)
        if len(changes) > _TOLD:
            say = f"and {len(changes) - _TOLD} more"
            yield Finding(topic, "red", say, "pg-payments status lists all", fix=mend)
    if not (found.functions or found.mending or found.damages):
        yield Finding("rights", "green", "owners, rights, policies, triggers and functions are as they were loaded")


_TOLD = 5
"""Changes of one kind that are told each."""


def _must_migrate(found: Status) -> bool:
    return bool(found.files_to_load or len(found.migrations_in("applied")) < len(found.migrations))


def membership(patient: Patient) -> Iterator[Finding]:
    """Who has the group roles that should not."""
    conn = patient.conn
    if owners := members.owners(conn):
        say = f"these roles may change every function of ours: {', '.join(owners)}"
        yield Finding("roles", "yellow", say, f"unless it migrates: revoke payments_owner from {owners[0]}")
    for role, attributes in members.overpowered(conn):
        yield Finding("roles", "red", f"the group {role} has {attributes}", f"alter role {role} no{attributes}")
    tokens = patient.settings.accepted_roles() if patient.settings else frozenset({"authenticated", "anon"})
    for role, groups in members.mighty(conn, sorted(tokens | {"payments_user", "payments_anon"})):
        say = f"{role}, which users act as, may act as {groups}"
        yield Finding("roles", "red", say, f"revoke {groups} from {role}")
    logins, elsewhere = members.strangers(conn)
    if logins and elsewhere:
        say = f"{', '.join(elsewhere)} shares the roles: {'; '.join(logins)} may act in this database, too"
        yield Finding("roles", "yellow", say, "revoke connect on this database from those with no business here")


def clocks(patient: Patient) -> Iterator[Finding]:
    """Whether this machine and the database agree what time it is: signatures carry times."""
    before = time.time()
    there = functions.clock(patient.conn)
    after = time.time()
    skew = max(before - there, there - after, 0.0)
    tolerance = patient.settings.webhook_tolerance if patient.settings else 300
    say = f"this machine's clock and the database's are {skew:.0f} s apart"
    if skew > SKEW_SECONDS:
        yield Finding("clock", "red" if skew > tolerance else "yellow", say, "have both keep time by NTP")
    else:
        yield Finding("clock", "green", "this machine's clock and the database's agree")


def transactions(patient: Patient) -> Iterator[Finding]:
    """Who has been in the way of vacuum and migrate for long."""
    for row in functions.long_transactions(patient.conn):
        length = counted(row["minutes"], "minute")
        say = f"process {row['pid']} of {row['usename']} has had a transaction open for {length}"
        step = f"vacuum and migrate wait for it: select pg_terminate_backend({row['pid']})"
        yield Finding("open transactions", "yellow", say, step)


def keys(patient: Patient) -> Iterator[Finding]:
    """Whether Stripe's keys are there, open, and of their environment."""
    settings = patient.settings
    if settings is None:
        return
    missing = 0
    for environment in patient.environments:
        yield from _account_keys(patient.conn, settings, environment)
        try:
            key = patient.key(environment)
        except ConfigurationError as error:
            yield Finding("keys", "red", error.message, error.hint, environment)
            continue
        if key is None:
            missing += 1
            continue
        if not key.startswith((f"sk_{environment}_", f"rk_{environment}_")):
            say = f"{masked(key)} is no secret or restricted key of {environment}"
            yield Finding("keys", "red", say, f"pg-payments keys set {environment}", environment)
        else:
            yield Finding("keys", "green", f"{masked(key)} is set", None, environment)
        if settings.has_stripe_key(environment) and functions.stored_secret(patient.conn, environment, NAME):
            say = "a key is stored, too: the one in the environment's variable counts"
            yield Finding("keys", "yellow", say, f"pg-payments keys remove {environment}", environment)
    if missing == len(patient.environments) and not any(patient.account_keys(each) for each in patient.environments):
        say = "no Stripe key: nothing can be sold, synced or looked for"
        yield Finding("keys", "yellow", say, "set STRIPE_TEST_SECRET_KEY, or pg-payments keys set test")


def _account_keys(conn: Connection[Any], settings: Settings, environment: Environment) -> Iterator[Finding]:
    """Of accounts' own keys those that do not open, or do not count."""
    given = settings.account_keys(environment)
    for account, key in account_keys_of(conn, settings, environment).items():
        set_key = f"pg-payments keys set {environment} --account {account}"
        if key is None:
            say = f"the stored key of {account} does not open, so nothing is asked of it"
            yield Finding("keys", "red", say, f"see to PAYMENTS_MASTER_KEY, or {set_key}", environment)
        elif account in given and functions.account_key(conn, environment, account):
            say = f"a key of {account} is stored, too: the one in STRIPE_ACCOUNT_KEYS counts"
            remove = f"pg-payments keys remove {environment} --account {account}"
            yield Finding("keys", "yellow", say, remove, environment)


def webhooks(patient: Patient) -> Iterator[Finding]:
    """Whether deliveries can be verified, and the managed endpoint is of this address."""
    settings = patient.settings
    if settings is None:
        return
    for environment in patient.environments:
        try:
            has_key = patient.key(environment) is not None
        except ConfigurationError:
            has_key = True
        endpoint = functions.webhook_endpoint(patient.conn, environment)
        stored = functions.webhook_secrets(patient.conn, environment)
        given = settings.webhook_secrets(environment)
        for place, secret in enumerate(given, start=1):
            if not secret.startswith("whsec_"):
                name = f"STRIPE_{environment.upper()}_WEBHOOK_SECRET"
                yield Finding(
                    "webhooks", "red", f"number {place} of {name} does not begin with whsec_", None, environment
                )
        if not (given or stored or patient.verifies_in_sql(environment)):
            if has_key:
                say = "no signing secret: every delivery is refused"
                step = f"pg-payments webhooks configure --environment {environment}"
                yield Finding("webhooks", "red", say, step, environment)
            continue
        if stored and not given and not settings.master_keys():
            say = "PAYMENTS_MASTER_KEY is not set, so the stored signing secret does not open"
            yield Finding("webhooks", "red", say, "set PAYMENTS_MASTER_KEY", environment)
        elif endpoint and settings.public_url and endpoint["url"] != endpoint_url(settings, environment):
            say = f"the endpoint is for {endpoint['url']}, PAYMENTS_PUBLIC_URL says otherwise"
            step = f"pg-payments webhooks configure --environment {environment}"
            yield Finding("webhooks", "yellow", say, step, environment)
        else:
            yield Finding("webhooks", "green", "deliveries can be verified", None, environment)


def stripe(patient: Patient) -> Iterator[Finding]:
    """What Stripe says: whether it takes the key, whose that is, what time it is, and what it delivers where."""
    settings = patient.settings
    if settings is None or not patient.asks_stripe:
        return
    for environment in patient.environments:
        try:
            key = patient.key(environment)
        except ConfigurationError:
            continue  # told with the keys
        if key is not None and key.startswith((f"sk_{environment}_", f"rk_{environment}_")):
            yield from asked(patient.conn, settings, environment, key)


def database(patient: Patient) -> Iterator[Finding]:
    """What the database knows: `payments.doctor()`."""
    fixes: dict[str, Fix] = {"statistics": "analyze"}
    for row in patient.told:
        fix = fixes.get(row["topic"])
        if row["topic"] == "failed events" and row["level"] == "red":
            fix = "retry"
        yield Finding(row["topic"], row["level"], row["finding"], row["next_step"], row["environment"], fix)


CHECKS: dict[str, Check] = {
    "schema": schema,
    "rights": changed_by_hand,
    "roles": membership,
    "clock": clocks,
    "open transactions": transactions,
    "keys": keys,
    "webhooks": webhooks,
    "Stripe": stripe,
    "database": database,
}
"""All of them, in the order in which they are made."""
