"""Reading a request: its environment, its caller, its body, and the service behind its application."""

from __future__ import annotations

from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from pg_payments.caller import Caller
from pg_payments.errors import InvalidRequest
from pg_payments.http.bounds import small_body
from pg_payments.http.state import Service
from pg_payments.settings import ENVIRONMENTS, Environment


def service_of(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def environment_of(request: Request) -> Environment:
    """The environment in the path. Raises `InvalidRequest`."""
    return known_environment(request.path_params["environment"])


def known_environment(name: str) -> Environment:
    """The environment of that name. Raises `InvalidRequest`."""
    for environment in ENVIRONMENTS:
        if name == environment:
            return environment
    raise InvalidRequest("environment: must be 'test' or 'live'", detail="environment")


async def caller_of(request: Request) -> Caller:
    """Who the request's token says is calling; raises as `TokenVerifier.caller`."""
    # in a thread, because the issuer's keys may have to be fetched
    return await run_in_threadpool(service_of(request).tokens.caller, request.headers.get("authorization"))


async def body_of(request: Request) -> bytes:
    """The body of a page or an administrator. Raises `BodyTooLarge`, `BodyTooSlow`."""
    return await small_body(request, service_of(request).settings.max_body_bytes)
