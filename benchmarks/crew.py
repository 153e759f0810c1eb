"""Client processes that stay up for all measurements: one a connection, so that sixteen are really busy at once.

A process is given a task, makes and signs its bodies, warms up, says that it is ready, and starts together with the
others at a given time of the monotonic clock, which all processes of a machine share. It stops at the end of its time,
or when its bodies run out.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess

import psycopg

from benchmarks import endpoint, wrk
from benchmarks.contenders import DELIVER, Connection, Signed, sign
from benchmarks.processor import difference, seconds_of
from benchmarks.stream import Tape
from benchmarks.tasks import Tally, Task

LEAD = 0.05
"""Seconds between the word and the start."""


class Crew:
    """The client processes."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._members: list[tuple[BaseProcess, Pipe]] = []

    def perform(self, tasks: Sequence[Task]) -> list[Tally]:
        """One task a client, all at the same time."""
        context = multiprocessing.get_context("fork")
        while len(self._members) < len(tasks):
            ours, theirs = context.Pipe()
            not_theirs = [ours, *(pipe for _, pipe in self._members)]
            member = context.Process(target=_work, args=(theirs, not_theirs, self._tape), daemon=True)
            member.start()
            theirs.close()
            self._members.append((member, ours))
        pipes = [pipe for _, pipe in self._members[: len(tasks)]]
        for pipe, task in zip(pipes, tasks, strict=True):
            pipe.send(task)
        for pipe in pipes:
            _answer(pipe)
        start = time.monotonic() + LEAD
        for pipe in pipes:
            pipe.send(start)
        return [_answer(pipe) for pipe in pipes]

    def dismiss(self) -> None:
        """Ends the processes and their connections."""
        for member, pipe in self._members:
            pipe.close()
            member.join(10)
            member.terminate()
        self._members.clear()


@contextmanager
def crew(tape: Tape) -> Iterator[Crew]:
    members = Crew(tape)
    try:
        yield members
    finally:
        members.dismiss()


def _answer(pipe: Pipe) -> Tally:
    answer = pipe.recv()
    if isinstance(answer, str):
        raise RuntimeError(f"a client failed: {answer}")
    return answer  # type: ignore[no-any-return]


def _work(pipe: Pipe, inherited: Sequence[Pipe], tape: Tape) -> None:
    """The life of a client process; it ends when the other end of its pipe is closed."""
    for end in inherited:
        end.close()
    connections: dict[str, Connection] = {}
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            task = pipe.recv()
            try:
                pipe.send(_perform(task, tape, pipe, connections))
            except (psycopg.Error, AssertionError, OSError):
                pipe.send(traceback.format_exc())


def _perform(task: Task, tape: Tape, pipe: Pipe, connections: dict[str, Connection]) -> Tally:
    def ready() -> float:
        pipe.send(None)
        start: float = pipe.recv()
        time.sleep(max(0.0, start - time.monotonic()))
        return start

    stock = [sign(body) for body in tape.bodies(task.laps, task.share, task.shares)]
    gc.collect()
    gc.disable()
    try:
        if task.contender.served and wrk.available():
            return wrk.perform(task, stock, ready)
        if task.contender.served:
            return endpoint.perform(task, stock, ready)
        if task.target not in connections:
            connections[task.target] = psycopg.connect(task.target, autocommit=True)
        return _deliver(task, stock, ready, connections[task.target])
    finally:
        gc.enable()


def _deliver(task: Task, stock: list[Signed], ready: Callable[[], float], conn: Connection) -> Tally:
    deliver, backend = DELIVER[task.contender.kind], conn.info.backend_pid
    left = iter(stock)
    packages = iter(lambda: list(islice(left, task.contender.size)), [])
    sent = 0
    end = time.monotonic() + task.warm_up
    for package in packages:
        deliver(conn, package)
        sent += len(package)
        if time.monotonic() >= end:
            break
    warm, latencies = sent, list[float]()
    start = now = ready()
    end = start + task.seconds
    cpu, backend_cpu = time.process_time(), seconds_of([backend])
    for package in packages:
        began = now
        deliver(conn, package)
        now = time.monotonic()
        latencies.append(now - began)
        sent += len(package)
        if now >= end:
            break
    cpu, used = time.process_time() - cpu, difference(seconds_of([backend]), backend_cpu)
    conn.execute("select pg_stat_force_next_flush()")  # what it read shows in the statistics when this commits
    return Tally(sent, sent - warm, now - start, latencies, cpu, used)
