"""The overview is answered first and counted afterwards, until nothing is left."""

from __future__ import annotations

import asyncio

import httpx
import psycopg
import pytest

from pg_payments.dashboard.state import Counting
from tests.dashboard.conftest import Board
from tests.support.waiting import wait_until


async def until_idle(counting: Counting) -> None:
    while counting._running:
        await asyncio.gather(*counting._running.values())


def test_it_goes_on_until_nothing_is_left_whoever_else_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "WAIT", 0)
    counting, left, begun = Counting(), iter([None, 7, None, 7, 0, 7]), []

    async def part() -> int | None:
        begun.append(1)
        return next(left)

    async def look() -> None:
        assert counting.go_on("here", part)
        assert counting.go_on("here", part)  # once for all who look
        await until_idle(counting)

    asyncio.run(look())
    assert len(begun) == 5


@pytest.mark.parametrize("error", [psycopg.errors.ReadOnlySqlTransaction("replica"), psycopg.OperationalError("gone")])
def test_where_it_fails_nobody_is_told_to_wait_for_it(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()

    async def part() -> int | None:
        raise error

    async def look() -> None:
        assert counting.go_on("here", part)
        await until_idle(counting)
        assert not counting.go_on("here", part)
        assert counting.go_on("elsewhere", part)
        await until_idle(counting)
        monkeypatch.setattr(counting, "_failed", {"here": 0.0})  # a while later
        assert counting.go_on("here", part)
        await until_idle(counting)

    asyncio.run(look())


def test_it_ends_where_somebody_else_never_lets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "WAIT", 0)
    counting, begun = Counting(), []

    async def part() -> int | None:
        begun.append(1)
        return None

    async def look() -> None:
        counting.go_on("here", part)
        await until_idle(counting)

    asyncio.run(look())
    assert len(begun) == Counting.TRIES


def test_the_first_look_is_counted_after_its_answer(board: Board, ada: httpx.Client) -> None:
    board.conn.execute("truncate payments_private.followed_volumes, payments_private.counted_hours")
    with board.conn.transaction():
        board.conn.execute("lock table payments_private.counted_hours in exclusive mode")  # nothing can be counted
        assert ada.get("test/overview").status_code == 200
    counted = "select count(*) as n from payments_private.counted_hours where environment = 'test'"

    def is_counted() -> bool:
        ada.get("test/overview")  # whoever looks again has it go on, should others have been in its way
        row = board.conn.execute(counted).fetchone()
        return bool(row and row["n"] > 24 * 28)

    wait_until(is_counted, "the hours are counted")
