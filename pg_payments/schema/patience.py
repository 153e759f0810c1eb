"""Locks on tables while deliveries go on: waited for briefly, and in the end refused with the holder's name.

Whoever waits for a table stops everybody who comes after it. So nothing here waits longer than a delivery may, and
between two tries deliveries have the tables to themselves.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pg_payments.counted import counted
from pg_payments.errors import MigrationError
from pg_payments.schema.state import WORTH_ANOTHER_TRY, Connection, Say

R = TypeVar("R")


@dataclass(frozen=True)
class Patience:
    """How long a try waits for its locks, how many tries there are, and the shortest and longest pause in between."""

    seconds: float = 0.4
    tries: int = 25
    pause: tuple[float, float] = (0.5, 1.5)


PATIENCE = Patience()

_HOLDER = """
select l.pid, pg_catalog.concat_ws(', ', 'user ' || a.usename::text, nullif(a.application_name, ''), a.state,
                                   'since ' || pg_catalog.date_trunc('second', a.xact_start)::text)
  from pg_catalog.pg_locks l
  join pg_catalog.pg_class c on c.oid = l.relation
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_stat_activity a on a.pid = l.pid
 where l.granted and l.pid <> pg_catalog.pg_backend_pid()
   and (n.nspname in ('payments', 'payments_private') or exists (  -- or a linked table of the application's
     select from pg_catalog.pg_trigger t join pg_catalog.pg_proc p on p.oid = t.tgfoid
       join pg_catalog.pg_namespace q on q.oid = p.pronamespace
      where t.tgrelid = c.oid and q.nspname = 'payments_private'))
 order by a.xact_start nulls last, l.pid
 limit 1
"""


def patiently(conn: Connection, say: Say, work: Callable[[], R], patience: Patience | None = None) -> R:
    """The result of ``work``, which does all or nothing and is tried again where it did not get its locks.

    Raises `MigrationError`, which names who holds them, after the last try.
    """
    patience = patience or PATIENCE
    milliseconds = int(patience.seconds * 1000)
    for left in reversed(range(patience.tries)):
        conn.execute(f"set lock_timeout = {milliseconds}")
        try:
            return work()
        except WORTH_ANOTHER_TRY as error:
            holder = _holder(conn)
            if not left:
                raise MigrationError(
                    f"could not lock the tables in {counted(patience.tries, 'try', 'tries')}; {holder} holds one",
                    detail=str(error),
                    hint="nothing was changed by this step: run migrate again when that has ended",
                ) from error
            say(f"waiting for the tables, of which {holder} holds one: {counted(left, 'more try', 'more tries')}")
        finally:
            if not conn.closed:
                conn.execute("set lock_timeout = 0")
        time.sleep(random.uniform(*patience.pause))  # noqa: S311
    raise AssertionError("unreachable")


def lock_tables(conn: Connection, tables: list[str], patience: Patience | None = None) -> None:
    """Locks tables, those that are there, against everybody until the transaction ends, in one order.

    It is the order in which deliveries come by: the internal ones, then the others in the order of their making.
    """
    found = conn.execute(
        "select c.oid::pg_catalog.regclass::text from pg_catalog.pg_class c"
        " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where c.oid = any (array(select pg_catalog.to_regclass(t.name)::oid from unnest(%s::text[]) t (name)))"
        " and c.relkind in ('r', 'p') order by n.nspname = 'payments', c.oid",
        [tables],
    ).fetchall()
    if not found:
        return
    conn.execute(f"set local statement_timeout = {int((patience or PATIENCE).seconds * 1000)}")
    conn.execute(f"lock table {', '.join(name for (name,) in found)} in access exclusive mode".encode())
    conn.execute("set local statement_timeout = 0")


def _holder(conn: Connection) -> str:
    row = conn.execute(_HOLDER).fetchone()
    return f"process {row[0]} ({row[1]})" if row else "somebody who has just let go"
