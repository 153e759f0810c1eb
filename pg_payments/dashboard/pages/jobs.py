"""What takes longer than a request: its page shows how far it is, by itself or on every reload."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from starlette.responses import Response

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.rendering import render
from pg_payments.dashboard.state import Say, state_of
from pg_payments.database import dashboard as queries
from pg_payments.errors import NotFound

SILENT = timedelta(minutes=1)
"""After so long without a word, whoever ran a job does so no more."""


async def begin(context: Context, title: str, run: Callable[[Say], str], back: str) -> str:
    """Starts it; the address of its page, which every process of the server can show."""
    async with context.acting() as conn:
        job_id = await queries.begin_job(conn, context.environment, title, back)
    state_of(context.request).jobs.start(job_id, run)
    return context.url(f"jobs/{job_id}")


async def show(context: Context) -> Response:
    async with context.reading() as conn:
        rows = await queries.job(conn, context.environment, context.request.path_params["id"])
    if not rows:
        raise NotFound("there is no such job here", hint="jobs are forgotten a day after their end")
    (job,) = rows
    if job["status"] == "running" and job["now"] - job["told_at"] > SILENT:
        job["status"] = "lost"
    template = "job_part.html" if "HX-Request" in context.request.headers else "job.html"
    return await render(context, template, job=job, current=job["back"])
