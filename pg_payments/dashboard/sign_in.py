"""Signing in with the administrators' key or an administrator's token, and out."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import time

import psycopg
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pg_payments.caller import Caller
from pg_payments.counted import counted
from pg_payments.dashboard.context import address_of, enter, is_secure, note
from pg_payments.dashboard.forms import Form, form_of
from pg_payments.dashboard.rendering import render_bare
from pg_payments.dashboard.sessions import COOKIE, KNOWN, KNOWN_SECONDS, SECONDS, Session, Sessions
from pg_payments.dashboard.state import State, state_of
from pg_payments.database import dashboard as queries
from pg_payments.errors import ConfigurationError, Forbidden, InvalidRequest, NotSignedIn, PaymentsError
from pg_payments.logs import line, log
from pg_payments.settings import Settings

ADMIN_ROLE = "payments_admin"
LONGEST_NAME = 80


async def show(request: Request) -> Response:
    """The form to sign in with."""
    return await _form(request, ended="ended" in request.query_params)


async def sign_in(request: Request) -> Response:
    """A cookie for who brings the key or a token of an administrator; else the form again, with the reason."""
    state, who = state_of(request), _who(request)
    form = await form_of(request)
    given = form.get("key", "").strip()
    if not given:
        return await _again(
            request, form, InvalidRequest("Enter the administrators' key, or an administrator's token.")
        )
    async with state.service.pool.connection() as conn:
        seconds = await queries.begin_sign_in(conn, who)
    if seconds:
        message = f"Too many wrong keys from your address. Wait {counted(seconds, 'second')}, then try again."
        answer = await _form(request, 429, message=message)
        answer.headers["Retry-After"] = str(seconds)
        return answer
    try:
        caller, by_key = await _known(state, given)
    except (NotSignedIn, Forbidden, ConfigurationError) as error:
        log.warning(line("dashboard sign-in refused", reason=error.code))
        return await _again(request, form, error)
    async with state.service.pool.connection() as conn:
        await queries.forget_wrong_keys(conn, who)
    try:
        session = await _let_in(state, request, form, caller, by_key=by_key)
    except (Forbidden, InvalidRequest) as error:
        return await _again(request, form, error)
    return _signed_in(request, state, session, _own_address(request, form.get("next", "")))


async def enter_once(request: Request) -> Response:
    """The way in that works once."""
    state = state_of(request)
    session, once, until = state.sessions.opened_ticket(request.query_params.get("ticket", "")) or (None, "", 0)
    if session is None or not await _end(state, once, until):
        return await _form(request, 401, message="This way in has been used already. Sign in with the key.")
    await _record(state, request, session)
    return _signed_in(request, state, session, _root(request) + "/")


async def sign_out(request: Request) -> Response:
    """No cookie any more."""
    state = state_of(request)
    form = await form_of(request)
    session = state.sessions.opened(request.cookies.get(COOKIE, ""))
    if session is not None and not state.sessions.is_form_token(session, form.get("form_token", "")):
        raise Forbidden("this form is not of your session", hint="go back, load the page again and repeat it")
    if session is not None:
        with contextlib.suppress(PaymentsError, psycopg.Error):  # whoever may not be here any more leaves all the same
            if await _end(state, session.id, session.expires):
                await _record(state, request, session, "sign out")
    answer = RedirectResponse(_root(request) + "/sign-in", 303)
    answer.delete_cookie(COOKIE, path=_root(request) or "/")
    return answer


ROUTES = [
    Route("/sign-in", show),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/enter", enter_once),
]


def way_in(settings: Settings, name: str) -> str:
    """A ticket for `/enter?ticket=…`, which lets somebody in once as the administrators' key does, under that name."""
    sessions = Sessions(settings)
    return sessions.ticket(sessions.began(Caller(ADMIN_ROLE, "{}", guest=False), name, by_key=True))


async def _known(state: State, given: str) -> tuple[Caller, bool]:
    """Whose key or token that is, and whether it is the key. Raises what `tokens.administrator` does."""
    if not given.isascii() or not given.isprintable():
        raise NotSignedIn("this is not the administrators' key")
    caller = await run_in_threadpool(state.service.tokens.administrator, f"Bearer {given}", None)
    return caller, caller.role == ADMIN_ROLE and json.loads(caller.claims) == {}


async def _let_in(state: State, request: Request, form: Form, caller: Caller, *, by_key: bool) -> Session:
    name = " ".join("".join(c for c in form.get("name", "") if c.isprintable()).split())[:LONGEST_NAME]
    if by_key and not name:
        raise InvalidRequest("Enter your name as well: the key is shared, and the audit log tells who did what.")
    session = state.sessions.began(caller, name if by_key else "", by_key=by_key)
    await _record(state, request, session)
    return session


async def _end(state: State, session_id: str, until: int) -> bool:
    """Ends a session, or a way in; whether it had not been ended before."""
    async with state.service.pool.connection() as conn:
        return await queries.end_session(conn, session_id, until)


async def _record(state: State, request: Request, session: Session, action: str = "sign in") -> None:
    """A row of the audit log; that it can be written says that the role is an administrator's."""
    service = state.service
    async with service.pool.connection() as conn, conn.transaction():
        await queries.tell_audit_log(conn, session.name, f"dashboard {address_of(request)}")
        await enter(conn, service, session.role, session.claims, by_key=session.by_key)
        await note(conn, action, None, by="key" if session.by_key else "token")


def _who(request: Request) -> str:
    """Whose wrong keys are counted together: a browser's that has signed in before, else an address's."""
    browser = state_of(request).sessions.known_id(request.cookies.get(KNOWN, ""))
    if browser is not None:
        return f"browser {browser}"
    return counted_as(address_of(request))


def counted_as(address: str) -> str:
    """As what an address is counted: of an IPv6 one the network, since whoever has one has all of its addresses."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return f"address {address}"
    if isinstance(parsed, ipaddress.IPv4Address):
        return f"address {parsed}"
    return f"address {parsed.ipv4_mapped or ipaddress.ip_network((int(parsed), 64), strict=False)}"


def _signed_in(request: Request, state: State, session: Session, where: str) -> Response:
    answer = RedirectResponse(where, 303)
    answer.set_cookie(
        COOKIE,
        state.sessions.sealed(session),
        max_age=max(1, min(SECONDS, session.expires - int(time.time()))),
        path=_root(request) or "/",
        secure=is_secure(request, state.service.settings),
        httponly=True,
        samesite="strict",
    )
    answer.set_cookie(
        KNOWN,
        state.sessions.known(request.cookies.get(KNOWN, "")),
        max_age=KNOWN_SECONDS,
        path=(_root(request) or "") + "/sign-in",
        secure=is_secure(request, state.service.settings),
        httponly=True,
        samesite="strict",
    )
    return answer


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _own_address(request: Request, where: str) -> str:
    """Where to go on: an address of the dashboard, and never another site's."""
    root = _root(request)
    if where.startswith(root + "/") and not where.startswith("//") and where.isprintable() and "\\" not in where:
        return where
    return root + "/"


def _in_our_words(error: PaymentsError) -> str:
    if isinstance(error, NotSignedIn):
        return f"That did not open the door: {error.message}."
    if isinstance(error, ConfigurationError):
        return "This server takes no tokens. Sign in with the administrators' key."
    return error.message if error.message.endswith(".") else error.message[:1].upper() + error.message[1:] + "."


async def _again(request: Request, form: Form, error: PaymentsError) -> Response:
    return await _form(request, error.http_status, message=_in_our_words(error), after=form.get("next", ""))


async def _form(
    request: Request, status: int = 200, *, message: str | None = None, ended: bool = False, after: str | None = None
) -> Response:
    where = request.query_params.get("next", "") if after is None else after
    return await render_bare(request, "sign_in.html", status, message=message, ended=ended, after=where[:2000])
