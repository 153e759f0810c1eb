"""What all requests of one process share, each made when first needed."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

from starlette.requests import Request

from pg_payments.dashboard.service import Service
from pg_payments.dashboard.sessions import Patience, Sessions

Say = Callable[[str], None]


@dataclass
class Job:
    """Something that takes longer than a request; `state` is running, done or failed."""

    title: str
    back: str
    state: str = "running"
    lines: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None

    @property
    def seconds(self) -> int:
        return int(time.monotonic() - self.started)


class Jobs:
    """The latest jobs of this process."""

    KEPT = 50

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    def start(self, job: Job, run: Callable[[Say], str]) -> str:
        """Runs it in a thread; what it returns, or the message of what it raises, is the last line."""
        name = secrets.token_urlsafe(12)
        self._jobs[name] = job
        while len(self._jobs) > self.KEPT:
            self._jobs.popitem(last=False)
        job.task = asyncio.get_running_loop().create_task(self._run(job, run))
        return name

    def get(self, name: str) -> Job | None:
        return self._jobs.get(name)

    @staticmethod
    async def _run(job: Job, run: Callable[[Say], str]) -> None:
        def say(text: str) -> None:
            job.lines = [*job.lines[-199:], text]

        try:
            say(await asyncio.to_thread(run, say))
            job.state = "done"
        except Exception as error:
            say(getattr(error, "message", None) or f"it failed: {type(error).__name__}")
            job.state = "failed"


class State:
    """Of the dashboard."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.patience = Patience()
        self.jobs = Jobs()
        self.accounts: dict[str, tuple[float, list[str]]] = {}

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.service.settings)


def state_of(request: Request) -> State:
    return cast(State, request.app.state.dashboard)
