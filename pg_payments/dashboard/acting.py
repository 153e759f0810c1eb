"""The one way to act: a page that asks, a form that carries this session's token, the deed, a notice."""

from __future__ import annotations

import psycopg
from starlette.responses import RedirectResponse, Response

from pg_payments.dashboard.context import Context, is_secure
from pg_payments.dashboard.forms import form_of
from pg_payments.dashboard.pages import catalogue, events, health, object_storage, settings
from pg_payments.dashboard.questions import Action, Field, Question
from pg_payments.dashboard.rendering import render
from pg_payments.dashboard.sessions import NOTICE, NOTICE_SECONDS
from pg_payments.dashboard.state import state_of
from pg_payments.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    PaymentsError,
    StripeRefused,
    from_database_error,
)

ACTIONS: dict[str, Action] = {
    **events.ACTIONS,
    **object_storage.ACTIONS,
    **catalogue.ACTIONS,
    **health.ACTIONS,
    **settings.ACTIONS,
}


async def ask(context: Context) -> Response:
    """The question."""
    action = await _action(context)
    return await _shown(context, await action.ask(context))


async def act(context: Context) -> Response:
    """The deed, if the form is of this session; what is wrong with it is said on the form."""
    state = state_of(context.request)
    form = await form_of(context.request)
    if not state.sessions.is_form_token(context.session, form.get("form_token", "")):
        raise Forbidden("this form is not of your session", hint="go back, load the page again and repeat it")
    action = await _action(context)
    try:
        done = await action.act(context, form)
    except (InvalidRequest, Conflict, StripeRefused) as error:
        return await _again(context, action, dict(form), error)
    except psycopg.Error as error:
        known = from_database_error(error)
        if not isinstance(known, InvalidRequest | Conflict):
            raise
        return await _again(context, action, dict(form), known)
    answer = RedirectResponse(done.where, 303)
    answer.set_cookie(
        NOTICE, state.sessions.notice(done.notice), max_age=NOTICE_SECONDS, path=context.root or "/",
        secure=is_secure(context.request, context.service.settings), httponly=True, samesite="strict",
    )  # fmt: skip
    return answer


async def _action(context: Context) -> Action:
    action = ACTIONS.get(context.request.path_params["action"])
    if action is None:
        raise NotFound("there is no such action")
    if action.for_keys:
        async with context.acting_on_keys():
            pass
    return action


async def _again(context: Context, action: Action, given: dict[str, str], error: PaymentsError) -> Response:
    question = await action.ask(context)
    said = f"{'Stripe refused: ' if isinstance(error, StripeRefused) else ''}{error.message}"
    fields = [
        field if field.kind == "password" or field.name not in given else _with(field, given[field.name])
        for field in question.fields
    ]
    status = error.status if isinstance(error, StripeRefused) else error.http_status
    return await _shown(context, question, fields, status if 400 <= status < 500 else 502, said, error.hint)


def _with(field: Field, value: str) -> Field:
    return Field(field.name, field.label, field.kind, value, field.hint, field.options, field.required, field.hidden)


async def _shown(
    context: Context,
    question: Question,
    fields: list[Field] | None = None,
    status: int = 200,
    error: str | None = None,
    hint: str | None = None,
) -> Response:
    return await render(
        context, "question.html", status, question=question, current=question.current, error=error, hint=hint,
        fields=question.fields if fields is None else fields, action=context.here(),
    )  # fmt: skip
