"""An account moves to another machine, while its deliveries go on.

    copying     calls go to the source. Settled rows are copied, again and again until few are new
    switching   the account is locked at the router, and what asks all machines waits. The last settled rows are copied
                and all are compared; then the work: events that are to be tried again, queues, how far syncs have come
    switched    calls go to the target. The source's work is removed
    removing    the lock is given back. Events that the source was told of too late are given to the target; then
                all rows of the account are removed at the source

The router keeps the step (`payments_router.moves`), and each step may be done again. Between switching and removing the
router refuses what asks all machines, if the move was broken off there: there are two copies of the account's work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from pg_payments.counted import counted
from pg_payments.database import functions
from pg_payments.database.connections import connect
from pg_payments.errors import ConfigurationError, Conflict, PaymentsError
from pg_payments.router import copying
from pg_payments.router.copying import SETTLED, WORK, Account, Connection, run
from pg_payments.router.shards import ACCOUNT, Machine, Shards

ROUNDS: Final = 10
FEW: Final = 500
"""So many rows may be left to be copied under the lock."""
LOCK_TIMEOUT: Final = "500ms"
"""Shorter than `deadlock_timeout`: the mover gives way before anybody is told of a deadlock."""
PATIENCE: Final = 60.0
"""Seconds in which the lock has to be had."""
DRAIN: Final = 20.0
"""Seconds that what the source was told before the lock may take."""

_LOCK = "select pg_advisory_lock(payments_router.lock_key(%s), %s)"
_UNLOCK = "select pg_advisory_unlock(payments_router.lock_key(%s), %s)"
_RUNNING = """
select distinct l.virtualtransaction
  from pg_locks l join pg_class c on c.oid = l.relation
 where l.locktype = 'relation' and l.pid <> pg_backend_pid() and l.mode = any ('{RowExclusiveLock,RowShareLock}')
   and l.database = (select d.oid from pg_database d where d.datname = current_database())
   and c.relnamespace in (to_regnamespace('payments'), to_regnamespace('payments_private'))
"""


@dataclass(frozen=True)
class Move:
    """One that stands in the router."""

    account: str
    source: str
    target: str
    step: str
    began_at: datetime
    told_at: datetime


Tell = Callable[[str], None]


def router(url: str) -> Connection:
    """A connection to the router as payments_owner. Raises `ConfigurationError` where there is no router."""
    conn = psycopg.connect(url, autocommit=True, application_name="pg-payments shards")
    try:
        run(conn, "set search_path = pg_catalog, pg_temp")
        run(conn, "set default_transaction_isolation = 'read committed'")
        run(conn, "set role payments_owner")
        if run(conn, "select to_regclass('payments_router.moves')").fetchone() == (None,):
            raise ConfigurationError(
                f"database {conn.info.dbname} is no router", hint="pg-payments sql --router makes one"
            )
    except psycopg.errors.InsufficientPrivilege:
        login = conn.info.user
        conn.close()
        raise ConfigurationError(f"{login} may not act as payments_owner at the router") from None
    except BaseException:
        conn.close()
        raise
    return conn


def moves(conn: Connection) -> list[Move]:
    """Those that have not come to their end, the oldest first."""
    rows = run(
        conn,
        "select v.account_id, s.name, t.name, v.step, v.began_at, v.told_at from payments_router.moves v"
        " join payments_router.machines s on s.machine = v.source"
        " join payments_router.machines t on t.machine = v.target order by v.began_at, v.account_id",
    ).fetchall()
    return [Move(*row) for row in rows]


def accounts(conn: Connection) -> dict[str, int]:
    """How many accounts each machine has that were heard of, by the machines' names in their order."""
    rows = run(
        conn,
        "select m.name, (select count(*) from payments_router.accounts a where a.machine = m.machine)"
        " from payments_router.machines m order by m.machine",
    ).fetchall()
    return {str(name): int(number) for name, number in rows}


def is_up(machine: Machine) -> bool:
    """Whether it answers at the address at which the command line reaches it."""
    try:
        psycopg.connect(machine.owner or machine.full_address(), connect_timeout=5).close()
    except psycopg.Error:
        return False
    return True


def move(router_url: str, shards: Shards, account: str, name: str, tell: Tell) -> None:
    """Moves an account to the machine of this name, or goes on with that, or takes a move from there back.

    `tell` is called after each step. Raises `ConfigurationError` where it can't be moved, `Conflict` while somebody
    else moves it or the lock is not to be had; then it stands where it stood, and may be called again.
    """
    wanted = shards.named(name)
    if not ACCOUNT.fullmatch(account):
        raise ConfigurationError(f"{account} is no account's id", hint="as acct_1Big")
    with router(router_url) as conn:
        _check_machines(conn, shards)
        if run(conn, "select pg_try_advisory_lock(payments_router.lock_key('mover'), payments_router.lock_key(%s))",
               [account]).fetchone() == (False,):  # fmt: skip
            raise Conflict(f"{account} is being moved by somebody else")
        while found := next((each for each in moves(conn) if each.account == account), None):
            with _mover(conn, shards, found, tell) as mover:
                if found.source == name and found.step in ("copying", "switching"):
                    mover.take_back()
                else:
                    mover.go_on()
        row = run(conn, "select payments_router.machine_of(%s)", [account]).fetchone()
        here = next(machine for machine in shards.machines if row and machine.number == row[0])
        if here.number == wanted.number:
            return
        begun = Move(account, here.name, name, "", datetime.min, datetime.min)
        with _mover(conn, shards, begun, tell) as mover:
            mover.begin()
            mover.go_on()


def _check_machines(conn: Connection, shards: Shards) -> None:
    known = dict(run(conn, "select m.machine, m.name from payments_router.machines m").fetchall())
    if known != {machine.number: machine.name for machine in shards.machines}:
        raise ConfigurationError(
            "the router knows other machines than the file",
            hint="run what pg-payments sql --router prints at the router",
        )


@contextmanager
def _mover(conn: Connection, shards: Shards, found: Move, tell: Tell) -> Iterator[_Mover]:
    source, target = shards.named(found.source), shards.named(found.target)
    with ExitStack() as stack:
        ends = []
        for machine in (source, target):
            if machine.owner is None:
                raise ConfigurationError(
                    f"machine {machine.name} has no owner in the file", hint='owner = "postgresql://…"'
                )
            there = stack.enter_context(copying.connected(machine.owner))
            # whoever was cut off from the router may not know yet that somebody else goes on
            if run(there, "select pg_try_advisory_lock(hashtext('pg-payments mover'), hashtext(%s))",
                   [found.account]).fetchone() == (False,):  # fmt: skip
                raise Conflict(f"{found.account} is being moved by somebody else")
            ends.append(Account(there, found.account, copying.tables(there)))
        if _shape(ends[0]) != _shape(ends[1]):
            raise ConfigurationError(f"{source.name} and {target.name} are not of one version of the package")
        yield _Mover(conn, found.account, source, target, ends[0], ends[1], tell)


def _shape(end: Account) -> object:
    return {name: (table.columns, table.key) for name, table in end.tables.items()}


@dataclass
class _Mover:
    router: Connection
    account: str
    source: Machine
    target: Machine
    at_source: Account
    at_target: Account
    tell: Tell

    def begin(self) -> None:
        """Enters the move. Raises `ConfigurationError` for an account that can't be moved."""
        for end, machine in ((self.at_source, self.source), (self.at_target, self.target)):
            if linked := end.linked_table():
                raise ConfigurationError(
                    f"{self.account} has linked tables on machine {machine.name}: they can't be moved", detail=linked
                )
            own = "select from payments.provider_connections c where c.provider_account_id = %s"
            if run(end.conn, own, [self.account]).fetchone() is not None:
                raise ConfigurationError(f"{self.account} is the account behind the environment's key: it stays")
        if trigger := copying.firing_trigger(self.at_target.conn):
            raise ConfigurationError(
                f"{trigger} would fire for copied rows", hint="it is enabled always, or on replicas"
            )
        if there := self.at_target.counts():
            table = next(iter(there))
            raise ConfigurationError(
                f"machine {self.target.name} has rows of {self.account} already", detail=table,
                hint=f"{there[table]} in {table}: find out where they came from, and remove them",
            )  # fmt: skip
        run(
            self.router,
            "insert into payments_router.moves (account_id, source, target, step) values (%s, %s, %s, 'copying')",
            [self.account, self.source.number, self.target.number],
        )
        self.tell("begun")

    def go_on(self) -> None:
        """From wherever it stands to its end."""
        step = self._step()
        if step == "switching":  # broken off there: the target's copy of the work is removed, then the source goes on
            self._find_quarantined()
            self.at_target.remove(WORK)
            self._set_step("copying")
            step = "copying"
        if step == "copying":
            self._believe_stamps()
            for _ in range(ROUNDS):
                changed = copying.copy(self.at_source, self.at_target, SETTLED)
                self.tell(f"copied {changed}")
                if changed <= FEW:
                    break
            with self._locked():
                self._switch()
        elif step == "switched":
            with self._locked():
                self._end_switch()
        self.tell("unlocked")
        self._remove()

    def take_back(self) -> None:
        """The source stays the account's machine; what was copied is removed at the target."""
        if self._step() == "switching":
            self._find_quarantined()
            self.at_target.remove(WORK)
            self._set_step("copying")
        self.at_target.remove(None)
        self.tell("copy removed")
        self._forget()
        self.tell("taken back")

    def _switch(self) -> None:
        self._drain()
        self._find_quarantined()
        copying.copy(self.at_source, self.at_target, SETTLED)
        self.tell("caught up")
        if left := copying.copy(self.at_source, self.at_target, SETTLED):
            raise Conflict(f"{counted(left, 'row')} changed on machine {self.source.name} behind the router's back",
                           detail=self.account, hint="who calls this machine by itself?")  # fmt: skip
        self.tell("compared")
        self._set_step("switching")
        self.tell("switching")
        copying.copy(self.at_source, self.at_target, WORK)
        self.tell("work copied")
        with self.router.transaction():
            run(self.router, "update payments_router.accounts set machine = %s, since = now() where account_id = %s",
                [self.target.number, self.account])  # fmt: skip
            self._set_step("switched")
        self.tell("switched")
        self._end_switch()

    def _end_switch(self) -> None:
        self._find_quarantined()
        self.at_source.remove(WORK)
        self.tell("work removed")
        self._set_step("removing")
        self.tell("removing")

    def _remove(self) -> None:
        """Of what the source was told too late, all that counts is events: the target is told them now."""
        self._find_quarantined()
        late = [*copying.untold_events(self.at_source, self.at_target)]
        if late:
            with connect(self.target.owner or "", application_name="pg-payments shards") as conn:
                for environment, body in late:
                    functions.ingest_stripe_event(conn, environment, body)
            if [*copying.untold_events(self.at_source, self.at_target)]:
                raise PaymentsError(f"events are on machine {self.source.name} only", detail=self.account)
        self.tell("verified")
        self.at_source.remove(None)
        self.tell("source removed")
        self._forget()
        self.tell("moved")

    def _drain(self) -> None:
        """Waits until what wrote at the source when the lock was had has ended: its caller may be gone."""
        running = {row[0] for row in run(self.at_source.conn, _RUNNING).fetchall()}
        until = time.monotonic() + DRAIN
        while running := running & {row[0] for row in run(self.at_source.conn, _RUNNING).fetchall()}:
            if time.monotonic() > until:
                raise Conflict(
                    f"a transaction on machine {self.source.name} does not end", hint="try again when it has"
                )
            time.sleep(0.01)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the account, and with what asks all machines. Raises `Conflict` if that is not to be had."""
        row = run(self.router, "select payments_router.lock_key(%s)", [self.account]).fetchone()
        keys = [("all", 0), ("account", row[0] if row else 0)]
        until = time.monotonic() + PATIENCE
        while not self._lock(keys):
            if time.monotonic() > until:
                raise Conflict(f"{self.account} is too busy to be switched", hint="try again; its copy is kept")
            time.sleep(0.05)
        try:
            self.tell("locked")
            yield
        finally:
            if not self.router.closed and not self.router.broken:
                for key in keys:
                    run(self.router, _UNLOCK, key)

    def _lock(self, keys: list[tuple[str, int]]) -> bool:
        had = []
        run(self.router, f"set lock_timeout = '{LOCK_TIMEOUT}'")
        try:
            for key in keys:
                run(self.router, _LOCK, key)
                had.append(key)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            for key in had:
                run(self.router, _UNLOCK, key)
            return False
        finally:
            if not self.router.broken:
                run(self.router, "set lock_timeout = 0")
        return True

    def _step(self) -> str:
        row = run(
            self.router, "select step from payments_router.moves where account_id = %s", [self.account]
        ).fetchone()
        return str(row[0]) if row else ""

    def _set_step(self, step: str) -> None:
        run(self.router, "update payments_router.moves set step = %s, told_at = now() where account_id = %s",
            [step, self.account])  # fmt: skip

    def _forget(self) -> None:
        run(self.router, "delete from payments_router.moves where account_id = %s", [self.account])

    def _believe_stamps(self) -> None:
        """What the source has stamped into metadata at Stripe is the target's too."""
        ids = "select array_append(i.former_ids, i.installation_id) from payments_private.installation i"
        row = run(self.at_source.conn, ids).fetchone()
        run(
            self.at_target.conn,
            "update payments_private.installation i set former_ids = i.former_ids || array("
            "select f.id from unnest(%s::text[]) f (id)"
            " where f.id <> i.installation_id and f.id <> all (i.former_ids))",
            [row[0] if row else []],
        )

    def _find_quarantined(self) -> None:
        """Events in quarantine tell their account in the body; the router reads it as it does for a delivery."""
        for end in (self.at_source, self.at_target):
            table = end.tables[copying.QUARANTINE]
            rows: list[tuple[Any, ...]] = run(
                end.conn,
                f"select {table.keyed()}, t.body from {table.name} t where strpos(t.body, %s) > 0",
                [self.account],
            ).fetchall()
            end.quarantined = [
                str(key)
                for key, body in rows
                if run(self.router, "select payments_router.account_in_event(%s)", [body]).fetchone() == (self.account,)
            ]
