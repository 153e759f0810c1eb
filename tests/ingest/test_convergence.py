"""Any order, any duplicates, any batches, in any shape: the same projections, and the right ones.

Runs 40 generated histories, and 200 where slow tests run; PAYMENTS_TEST_HISTORIES=5000 runs as many there, and
other ones each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.stripe_simulator.histories import History, histories
from tests.stripe_simulator.models import Json
from tests.stripe_simulator.projections import (
    Connection,
    Rows,
    all_processed,
    begin,
    broken_facts,
    differences,
    finish,
    ingest,
    ingest_batch,
    projections,
    store,
)

HISTORIES = int(os.environ.get("PAYMENTS_TEST_HISTORIES", "200"))
TOLD_BY_EVENTS_ONLY = ("paid_at", "failed_at", "refunded_at")


@pytest.fixture
def conn(scratch_conn: Connection) -> Connection:
    return scratch_conn


@dataclass(frozen=True)
class Telling:
    """One way of hearing a history: which event when (an index comes twice for a duplicate), in batches of these sizes.

    Indexes beyond the events are the history's syncs.

    A batch of one goes through ingest_stripe_event. `answered` says before which delivery finish_checkout is called, if
    the process that asked Stripe lived to call it.
    """

    order: tuple[int, ...]
    batches: tuple[int, ...]
    answered: int


@st.composite
def tellings(draw: Callable[..., Any], count: int) -> Telling:
    order: list[int] = draw(st.permutations(range(count)))
    again: list[tuple[int, int]] = draw(
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count)), max_size=4)
    )
    for which, where in again:
        order.insert(where, which)
    sizes: list[int] = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    return Telling(tuple(order), tuple(sizes), draw(st.integers(0, count)))


MORE = pytest.mark.newest("more histories find more faults of the rules, which are one for all; some are told on each")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", [40, pytest.param(HISTORIES, marks=[pytest.mark.slow, MORE])], ids=["some", "many"])
def test_every_telling_of_a_history_ends_alike(conn: Connection, number: int) -> None:
    @settings(
        max_examples=number,
        deadline=None,
        derandomize="PAYMENTS_TEST_HISTORIES" not in os.environ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(histories(), st.booleans(), st.data())
    def converges(history: History, answered: bool, data: st.DataObject) -> None:
        telling = data.draw(tellings(len(history.events) + len(history.syncs)))
        event(history.shape)
        straight = in_true_order(conn, history, answered)
        assert not broken_facts(straight, history.facts)
        if history.connected is not None:
            assert not broken_facts(straight, history.connected[1], history.connected[0])
        with told(conn, history, telling, answered) as shuffled:
            assert not differences(straight, shuffled), "another order, other rows"
            assert not conn.execute("select * from payments.verify_projections('test')").fetchall()
            conn.execute("select payments.rebuild_projections('test')")
            assert not differences(shuffled, projections(conn)), "rebuilt otherwise"
        if history.final_objects is not None:
            assert not differences(*comparable(straight, final_state(conn, history, answered))), (
                "the API tells otherwise"
            )

    converges()


def in_true_order(conn: Connection, history: History, answered: bool) -> Rows:
    order = list(range(len(history.events)))
    for number, sync in reversed(list(enumerate(history.syncs))):
        order.insert(sync.after, len(history.events) + number)
    with told(conn, history, Telling(tuple(order), (1,), 0), answered) as rows:
        return rows


@contextmanager
def told(conn: Connection, history: History, telling: Telling, answered: bool) -> Iterator[Rows]:
    """The projections after such a telling; forgotten again when the block ends."""
    sizes = cycle(telling.batches)
    heard = not answered
    batch: list[Json] = []

    def deliver() -> None:
        if batch:
            assert all_processed(ingest(conn, batch) if len(batch) == 1 else ingest_batch(conn, batch))
            batch.clear()

    with conn.transaction(force_rollback=True):
        begin(conn, history.attempts)
        size = next(sizes)
        for done, step in enumerate(telling.order):
            if done >= telling.answered and not heard:
                answer(conn, history)
                heard = True
            if step >= len(history.events):
                sync = history.syncs[step - len(history.events)]
                deliver()
                store(conn, sync.objects, sync.observed)
                continue
            batch.append(history.events[step])
            if len(batch) >= size:
                deliver()
                size = next(sizes)
        deliver()
        if not heard:
            answer(conn, history)
        yield projections(conn)


def answer(conn: Connection, history: History) -> None:
    """finish_checkout with the session as Stripe created it."""
    for attempt, session in history.answers.items():
        finish(conn, attempt, session)


def final_state(conn: Connection, history: History, answered: bool) -> Rows:
    """After storing only what the API would list now; of open sessions only what was heard of otherwise."""
    heard = {o["id"] for sync in history.syncs for o in sync.objects}
    shown = [o for o in history.final_objects or [] if answered or not _open_session(o) or o["id"] in heard]
    with conn.transaction(force_rollback=True):
        begin(conn, history.attempts)
        store(conn, shown, history.ended)
        return projections(conn)


def comparable(by_events: Rows, by_api: Rows) -> tuple[Rows, Rows]:
    """Without what only events tell: since when a payment was made, and how a deleted customer looked."""
    gone = {r["provider_customer_id"] for r in by_events["customers"] if r["deleted"]}
    return _shared(by_events, gone), _shared(by_api, gone)


def _shared(rows: Rows, gone: set[str]) -> Rows:
    return {
        table: [
            {k: v for k, v in row.items() if not (table == "transactions" and k in TOLD_BY_EVENTS_ONLY)}
            for row in table_rows
            if not (table == "customers" and row["provider_customer_id"] in gone)
        ]
        for table, table_rows in rows.items()
    }


def _open_session(shown: Json) -> bool:
    return bool(shown["object"] == "checkout.session" and shown["status"] == "open")
