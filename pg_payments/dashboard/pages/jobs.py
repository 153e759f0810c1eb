"""What takes longer than a request: its page shows how far it is, by itself or on every reload."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.rendering import render
from pg_payments.dashboard.state import Job, Say, state_of
from pg_payments.errors import NotFound


def begin(context: Context, title: str, run: Callable[[Say], str], back: str) -> str:
    """Starts it; the address of its page."""
    name = state_of(context.request).jobs.start(Job(title, context.url(back)), run)
    return context.url(f"jobs/{name}")


async def show(context: Context) -> Response:
    job = state_of(context.request).jobs.get(context.request.path_params["id"])
    if job is None:
        raise NotFound("this job is not known here", hint="another process of the server runs it, or it ended long ago")
    template = "job_part.html" if "HX-Request" in context.request.headers else "job.html"
    return await render(context, template, job=job, current="")
