"""How a router answers each function of the interface: which machine, or all of them.

A function is in the interface when it is granted to one of the groups. One that is in none of these lists, and has no
parameter ``account_id``, is refused by `generate`: decide here how a router answers it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

OF_CALLERS: Final = frozenset({"payments_user", "payments_anon"})
"""What these alone may execute runs under the caller's role and claims."""


@dataclass(frozen=True)
class ByAccount:
    """The machine of the account in the parameter ``account_id``; without one, the default machine.

    Of a name that a caller may have made up nothing is remembered.
    """

    may_be_made_up: bool = field(default=False)


@dataclass(frozen=True)
class Default:
    """The default machine: what is of the environment and of no account."""


@dataclass(frozen=True)
class ByRow:
    """The machine that has the row of a table whose ``id`` is the first parameter."""

    table: str


@dataclass(frozen=True)
class All:
    """All machines. With ``answer``, a select over ``found``, which are their rows; without, all of them."""

    answer: str | None = None
    one_row: bool = field(default=False)


@dataclass(frozen=True)
class Written:
    """The router has a function of its own, in base.sql or routed.sql."""


Route = ByAccount | Default | ByRow | All | Written

_SUM = "select sum({name}) from found"

ROUTES: Final[dict[str, Route]] = {
    # by what an event says of its account
    "ingest_stripe_event": Written(),
    "ingest_stripe_events": Written(),
    "keep_failed_events": Written(),
    "event_receipts": Written(),
    # by an account that a request names
    "account_key": ByAccount(may_be_made_up=True),
    # by the row that is meant
    "checkout_request": ByRow("stripe_checkout_sessions"),
    "finish_checkout": ByRow("stripe_checkout_sessions"),
    "fail_checkout": ByRow("stripe_checkout_sessions"),
    "put_off_checkout": ByRow("stripe_checkout_sessions"),
    "wait_for_checkout": ByRow("stripe_checkout_sessions"),
    "portal_request": ByRow("stripe_customer_portal_sessions"),
    "finish_portal_session": ByRow("stripe_customer_portal_sessions"),
    "fail_portal_session": ByRow("stripe_customer_portal_sessions"),
    "replay_event": ByRow("webhook_events"),
    "settle_push": ByRow("outbox"),
    "retry_push": ByRow("outbox"),
    "discard_push": ByRow("outbox"),
    # all, and their rows together
    "account_keys": All(),
    "accounts_due": All(),
    "claim_checkouts": All(),
    "claim_pushes": All(),
    "claim_refreshes": All(),
    "record_page": All(),
    "verify_projections": All(),
    "doctor": All("select distinct * from found"),
    # all, and one answer made of theirs
    "let_worker_ask": All(),
    "tell_account_keys": All(),
    "release_range": All(),
    "pause_outbox": All(),
    "resume_outbox": All(),
    "adopt_outbox": All(),
    "outbox_paused_at": All("select max({name}) from found"),
    "purge_events": All(_SUM),
    "purge_guest_attempts": All(_SUM),
    "retry_failed_events": All(_SUM),
    "rebuild_projections": All(_SUM),
    "record_confirmed": All("select bool_or({name}) from found"),
    "work_due": All("select f.job, min(f.seconds) from found f group by f.job"),
    "metrics": All(
        """select f.environment, sum(f.failed_events)::bigint, sum(f.dead_events)::bigint,
           max(f.oldest_unprocessed_seconds), max(f.sync_age_seconds)
      from found f group by f.environment order by f.environment desc"""
    ),
    "worker_status": All(
        """select f.environment, min(f.certain_until), min(f.swept_at), sum(f.missed_events)::bigint,
           max(f.last_missed_at), max(f.latest_arrival), min(f.latest_arrival_of), sum(f.gaps)::integer,
           sum(f.refreshes_waiting)::bigint, sum(f.refreshes_refused)::bigint,
           array(select distinct j from found g cross join lateral unnest(g.failed_jobs) j
                  where g.environment = f.environment order by j),
           min(f.verified_at), (array_agg(f.differences) filter (where f.differences is not null))[1],
           min(f.accounts_certain_until),
           array(select distinct a from found g cross join lateral unnest(g.failed_accounts) a
                  where g.environment = f.environment order by a)
      from found f group by f.environment order by f.environment desc"""
    ),
    "rebuild_projections_step": Written(),
    "rebuild_projections_ranges": Written(),
    # the router's own
    "lock_webhook_endpoint": Written(),
    # of the environment
    **dict.fromkeys(
        [
            "installation_id",
            "stripe_statuses",
            "projected_event_types",
            "connect_event_types",
            "audit_action",
            "tell_dashboard_job",
            "begin_dashboard_job",
            "dashboard_job",
            "verifications",
            "record_verification",
            "schedule_job",
            "claim_job",
            "hold_job",
            "settle_job",
            "connect_account",
            "replace_account",
            "finish_sync",
            "stored_secret",
            "reencrypt_secret",
            "forget_key",
            "set_signing_secret",
            "forget_signing_secret",
            "webhook_endpoint",
            "webhook_secrets",
            "record_webhook_endpoint",
            "caller_key",
            "billable_subjects",
            "begin_sign_in",
            "note_sign_in",
            "sign_in_wait",
            "end_dashboard_session",
            "dashboard_session_ended",
        ],
        Default(),
    ),
}

LEFT_OUT: Final = {
    "receive_stripe_webhook": "PostgREST calls it with a header that a router does not pass on: let Stripe call serve",
    "become_caller": "a machine's, for the router's login",
}
"""Functions that a router does not have, and why."""
