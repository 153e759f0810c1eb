"""What the dashboard's pages read: the select behind each, through an index, and never over all rows.

Lists go from the latest row backwards by a key (keyset paging). A filter is held against the latest `WITHIN` rows
before the key, in one statement that ends as soon as a page is full; a page that is not full says how far was looked,
and the next one goes on from there. So a page costs the same whatever is asked for and however long the table is, and
no filter needs an index of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from pg_payments.database.query import Query, Row, SqlFunction, rows_as_they_are

WITHIN = 20_000
"""Rows that one page looks at, at most."""
PAGE = 50
"""Rows of a page."""
OVERVIEW = 20_000
"""Payments that the overview looks at, at most; as many are counted at a time after it was shown."""
COUNTED = 1000
"""What is counted for people to act on is counted up to here."""
MANY = 10_000
"""Subscriptions that the overview looks at, at most."""


@dataclass(frozen=True)
class Scope:
    """Whose rows: of an environment, and of the account behind its key (None) or of a connected one."""

    environment: str
    account: str | None = None

    def of(self, table: str) -> str:
        """The condition on the account: written out, so that each of the two finds its index."""
        return f"{table}.account_id is null" if self.account is None else f"{table}.account_id = %(account)s"

    def parameters(self) -> dict[str, object]:
        return {"environment": self.environment, "account": self.account}


@dataclass(frozen=True)
class Page:
    """Rows, the key from which the next page goes on (None: there is none), and whether it was full."""

    rows: Sequence[Row]
    next_key: tuple[object, str] | None
    full: bool


NEEDED = (
    "find_payments", "objects_of_payment", "audit_action", "outbox_paused_at", "replay_event", "worker_status",
    "count_volume", "counted_volume", "begin_dashboard_job", "tell_dashboard_job", "dashboard_job",
    "begin_sign_in", "note_sign_in", "end_dashboard_session", "dashboard_session_ended",
)  # fmt: skip
"""Functions that the pages call: where one is not there, the schema is older than this package."""

Key = tuple[datetime | None, UUID]


@SqlFunction
def read_only() -> Query[list[Row]]:
    """Until the transaction ends, nothing may be written."""
    return Query("select pg_catalog.set_config('transaction_read_only', 'on', true)", (), rows_as_they_are)


@SqlFunction
def tell_audit_log(name: str, source: str) -> Query[list[Row]]:
    """Until the transaction ends: what rows of the audit log say of who acts and from where."""
    return Query(
        """select pg_catalog.set_config('payments.audit_name', %s, true),
                  pg_catalog.set_config('payments.audit_source', %s, true)""",
        (name, source),
        rows_as_they_are,
    )


@SqlFunction
def audit_action(action: str, target: str | None, detail: str) -> Query[list[Row]]:
    """A row of the audit log; `detail` is JSON text."""
    return Query("select payments.audit_action(%s, %s, %s::jsonb)", (action, target, detail), rows_as_they_are)


@SqlFunction
def begin_sign_in(who: str) -> Query[int]:
    """Seconds until an address or a browser may try to sign in again; at none, this try counts as a wrong key."""
    return Query("select payments.begin_sign_in(%s) as seconds", (who,), lambda rows: rows[0]["seconds"])


@SqlFunction
def forget_wrong_keys(who: str) -> Query[list[Row]]:
    """This try was right, and those before it are forgotten."""
    return Query("select payments.note_sign_in(%s, true)", (who,), rows_as_they_are)


@SqlFunction
def end_session(session_id: str, until: int) -> Query[bool]:
    """Ends a session, or a way in, that would last until then (Unix time). Whether it had not been ended before."""
    return Query(
        "select payments.end_dashboard_session(%s, to_timestamp(%s)) as ended",
        (session_id, until),
        lambda rows: rows[0]["ended"],
    )


@SqlFunction
def session_ended(session_id: str) -> Query[bool]:
    """Whether somebody has ended a session before its time."""
    return Query("select payments.dashboard_session_ended(%s) as ended", (session_id,), lambda rows: rows[0]["ended"])


# Keyset paging --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _List:
    """A list by time, latest first, then by row id; rows without a time come last."""

    base: str
    """`from … where …`, up to its conditions; the table's alias is `t`."""
    time: str
    conditions: Sequence[str]
    parameters: Mapping[str, object]
    columns: str = "t.*"
    latest: str = "desc nulls last"
    """As the index has it that the list goes along."""

    def rows(self, key: Key | None, limit: int, within: int) -> Query[list[Row]]:
        return Query(
            f"""select {self.columns}
                  from ({self._looked_at(key)}) t
                 where {" and ".join(["true", *self.conditions])}
                 order by t.{self.time} {self.latest}, t.id
                 limit %(limit)s""",
            self._with(key, limit=limit, within=within),
            rows_as_they_are,
        )

    def last_looked_at(self, key: Key | None, within: int) -> Query[list[Row]]:
        """The last of `within` rows after the key, if there are so many."""
        return Query(
            f"select t.{self.time} as at, t.id from ({self._looked_at(key)}) t offset %(skip)s limit 1",
            self._with(key, within=within, skip=within - 1),
            rows_as_they_are,
        )

    def _looked_at(self, key: Key | None) -> str:
        after = ""
        if key is not None and key[0] is not None:
            after = f"and t.{self.time} <= %(key_at)s and (t.{self.time} < %(key_at)s or t.id > %(key_id)s)"
        elif key is not None:
            after = f"and t.{self.time} is null and t.id > %(key_id)s"
        return f"select t.* {self.base} {after} order by t.{self.time} {self.latest}, t.id limit %(within)s"

    def _with(self, key: Key | None, **more: object) -> dict[str, object]:
        at, row_id = key if key is not None else (None, None)
        return {**self.parameters, "key_at": at, "key_id": row_id, **more}


NOTHING = UUID(int=0)
"""Before every row id."""


async def _page(conn: AsyncConnection[Any], what: _List, key: Key | None, limit: int, within: int = WITHIN) -> Page:
    rows = await what.rows(key, limit + 1, within).run_async(conn)
    if len(rows) > limit:
        last = rows[limit - 1]
        return Page(rows[:limit], (last[what.time], str(last["id"])), full=True)
    reached = await what.last_looked_at(key, within).run_async(conn)
    if reached:
        return Page(rows, (reached[0]["at"], str(reached[0]["id"])), full=False)
    if key is not None and key[0] is not None:  # what has no time comes after what has one
        rest = await _page(conn, what, (None, NOTHING), limit - len(rows), within) if len(rows) < limit else None
        if rest is None:
            return Page(rows, (None, str(NOTHING)), full=True)
        return Page([*rows, *rest.rows], rest.next_key, rest.full)
    return Page(rows, None, full=False)


# Payments -------------------------------------------------------------------------------------------------------------


PAYMENTS = ("one_time_payment", "subscription_invoice", "failed_payment")
"""Types of row that are payments; the others are refunds and disputes."""
REFUNDED = ("refunded", "partially_refunded")
"""Statuses of what was given back, all or a part."""


@dataclass(frozen=True)
class PaymentFilter:
    """What a list of payments shows; None leaves it out. Type any_payment and status any_refund stand for several."""

    status: str | None = None
    type: str | None = None
    currency: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    least: int | None = None
    most: int | None = None
    subject: str | None = None
    customer: str | None = None
    word: str | None = None


def _payments(scope: Scope, asked: PaymentFilter) -> _List:
    named = {
        "t.status = any (%(statuses)s)": asked.status,
        "t.type = any (%(types)s)": asked.type,
        "t.currency = %(currency)s": asked.currency,
        "t.amount >= %(least)s": asked.least,
        "t.amount <= %(most)s": asked.most,
    }
    conditions = [condition for condition, value in named.items() if value is not None]
    times = ("and t.provider_created_at >= %(since)s " if asked.since else "") + (
        "and t.provider_created_at < %(until)s" if asked.until else ""
    )
    own = "from payments.transactions t where t.environment = %(environment)s and " + scope.of("t")
    if asked.word is not None:
        found = """t.id = any (array(select payments.find_payments(%(environment)s, %(word)s, %(account)s)))"""
        base = f"from (select t.* {own} and {found} offset 0) t where true {times}"
    elif asked.customer is not None:
        base = f"from (select t.* {own} and t.provider_customer_id = %(customer)s offset 0) t where true {times}"
    elif asked.subject is not None:
        # the environment told in this way leads to the index of each subject's latest (see listings)
        base = f"""from payments.transactions t
                  where t.subject_key = %(subject)s and (t.environment = 'live') = (select %(environment)s = 'live')
                    and {scope.of("t")} {times}"""
    else:
        base = f"{own} {times}"
    if asked.subject is not None and (asked.word or asked.customer):
        conditions.append("t.subject_key = %(subject)s")
    if asked.customer is not None and asked.word:
        conditions.append("t.provider_customer_id = %(customer)s")
    several = {
        "types": list(PAYMENTS) if asked.type == "any_payment" else [asked.type],
        "statuses": list(REFUNDED) if asked.status == "any_refund" else [asked.status],
    }
    return _List(base, "provider_created_at", conditions, scope.parameters() | vars(asked) | several)


async def payments(
    conn: AsyncConnection[Any], scope: Scope, asked: PaymentFilter, key: Key | None, limit: int = PAGE
) -> Page:
    """Payments, refunds and disputes, latest first, from a key on."""
    return await _page(conn, _payments(scope, asked), key, limit)


@SqlFunction
def payment(scope: Scope, payment_id: UUID) -> Query[list[Row]]:
    """One row of `payments.transactions`."""
    return Query(
        f"select t.* from payments.transactions t where t.id = %(id)s and t.environment = %(environment)s "
        f"and {scope.of('t')}",
        scope.parameters() | {"id": payment_id},
        rows_as_they_are,
    )


@SqlFunction
def objects_of_payment(scope: Scope, object_type: str, object_id: str) -> Query[list[Row]]:
    """The objects of its payment group as they are stored, with their bodies as indented JSON text."""
    return Query(
        """select g.member_type as object_type, g.member_id as object_id, g.observed_at, g.deleted,
                  jsonb_pretty(o.data) as body, o.data ->> 'status' as status,
                  o.data -> 'last_payment_error' ->> 'message' as payment_error,
                  o.data ->> 'failure_message' as failure_message, o.data -> 'outcome' ->> 'seller_message' as outcome
             from payments.objects_of_payment(%(environment)s, %(type)s, %(id)s, %(account)s) g
            cross join lateral (
              select o.data from payments.stripe_objects o
               where o.environment = %(environment)s and o.object_type = g.member_type and o.object_id = g.member_id
                 and o.account_id is not distinct from %(account)s
              offset 0) o
            limit 100""",
        scope.parameters() | {"type": object_type, "id": object_id},
        rows_as_they_are,
    )


@SqlFunction
def events_of(scope: Scope, object_ids: Sequence[str]) -> Query[list[Row]]:
    """The events of these objects, in the order in which Stripe made them; the latest 200."""
    return Query(
        f"""select * from (
              select e.id, e.provider_event_id, e.event_type, e.object_type, e.object_id, e.provider_created_at,
                     e.received_at, e.processed_at, e.processing_status, e.attempt_count, e.last_error
                from payments.webhook_events e
               where e.object_id = any (%(ids)s) and e.environment = %(environment)s and {scope.of("e")}
               order by e.provider_created_at desc nulls last, e.provider_event_id desc
               limit 200) e
            order by e.provider_created_at, e.provider_event_id""",
        scope.parameters() | {"ids": list(object_ids)},
        rows_as_they_are,
    )


@SqlFunction
def transactions_of(scope: Scope, object_ids: Sequence[str]) -> Query[list[Row]]:
    """The rows of `payments.transactions` that these objects have: a payment, its refunds, its disputes."""
    return Query(
        f"""select t.* from payments.transactions t
            where t.provider = 'stripe' and t.environment = %(environment)s and {scope.of("t")}
              and t.provider_object_type = any ('{{payment_intent,invoice,charge,checkout_session,refund,dispute}}')
              and t.provider_object_id = any (%(ids)s)
            order by t.provider_created_at, t.id""",
        scope.parameters() | {"ids": list(object_ids)},
        rows_as_they_are,
    )


@SqlFunction
def attempts_of(scope: Scope, sessions: Sequence[str], intent: str | None) -> Query[list[Row]]:
    """The attempts that a payment answers: those of its sessions, or else of its intent."""
    return Query(
        f"""select a.* from payments.stripe_checkout_sessions a
            where a.environment = %(environment)s and {scope.of("a")} and a.checkout_session_id = any (%(sessions)s)
           union
           select a.* from payments.stripe_checkout_sessions a
            where a.environment = %(environment)s and {scope.of("a")} and a.payment_intent_id = %(intent)s""".replace(
            "select a.* from",
            "select a.id, a.mode, a.status, a.payment_status, a.subject_type, a.subject_id, "
            "a.customer_email, a.line_items::text as line_items, a.metadata::text as metadata, a.success_url, "
            "a.checkout_session_id, a.last_error, a.created_at from",
        ),
        scope.parameters() | {"sessions": list(sessions), "intent": intent},
        rows_as_they_are,
    )


# Overview -------------------------------------------------------------------------------------------------------------


@SqlFunction
def count_volume(scope: Scope, since: datetime) -> Query[int | None]:
    """Counts hours that are over, for `volume`: about `OVERVIEW` rows' at a time. How many rows; None: not now."""
    return Query(
        f"select payments.count_volume(%(environment)s, %(account)s, %(since)s, {OVERVIEW}) as number",
        scope.parameters() | {"since": since},
        lambda rows: rows[0]["number"],
    )


@SqlFunction
def volume(scope: Scope, since: datetime) -> Query[list[Row]]:
    """What payments since then (the beginning of an hour) amount to: a row a day (UTC), currency, type and status.

    Hours that are counted are taken as they are, and what is in the others is looked at: the latest `OVERVIEW` rows.
    Where that was not enough, `cut` is the time since when all is there, and nothing before it is.
    """
    return Query(
        f"""with counted as materialized (
              select c.* from payments.counted_volume(%(environment)s, %(account)s, %(since)s) c),
            hours as (
              select h.hour, case when h.hour = date_trunc('hour', now(), 'UTC') then 'infinity'
                                  else h.hour + interval '1 hour' end as until
                from generate_series(%(since)s, date_trunc('hour', now(), 'UTC'), interval '1 hour') h (hour)
               where h.hour not in (select c.hour from counted c)
               order by h.hour desc),
            looked as materialized (
              select h.hour, t.* from hours h
               cross join lateral (
                 select t.currency, t.type, t.status, t.amount, t.amount_refunded, t.paid_at
                   from payments.transactions t
                  where t.environment = %(environment)s and {scope.of("t")}
                    and t.provider_created_at >= h.hour and t.provider_created_at < h.until
                 offset 0) t
               order by h.hour desc
               limit {OVERVIEW}),
            reached as (  -- the last hour may not have been looked at to its end
              select min(l.hour) + interval '1 hour' as cut from looked l having count(*) >= {OVERVIEW}),
            found as (
              select c.hour, c.currency, c.type, c.status, c.number, c.amount, c.refunded, c.paid
                from counted c where c.number is not null
              union all
              select l.hour, l.currency, l.type, l.status, count(*), sum(l.amount), sum(l.amount_refunded),
                     sum(l.amount) filter (where l.paid_at is not null)
                from looked l group by 1, 2, 3, 4)
            select (f.hour at time zone 'UTC')::date as day, f.currency, f.type, f.status,
                   sum(f.number)::bigint as number, sum(f.amount)::bigint as amount,
                   sum(f.refunded)::bigint as refunded, sum(f.paid)::bigint as paid,
                   (select r.cut from reached r) as cut
              from found f
             where f.hour >= coalesce((select r.cut from reached r), f.hour)
             group by 1, 2, 3, 4
             order by 1, 2""",
        scope.parameters() | {"since": since},
        rows_as_they_are,
    )


@SqlFunction
def recurring(scope: Scope) -> Query[list[Row]]:
    """Of the latest subscriptions: how many have each status, and per currency what the current ones bring a month.

    `mrr`: unit amount times quantity of every item of an active or past-due subscription, brought to a month: a year's
    price by 12, a week's by 52/12, a day's by 365/12. Neither discounts, taxes, trials nor prices without a fixed
    amount count. At most `MANY` subscriptions are looked at.
    """
    return Query(
        f"""with looked as materialized (
              select s.subscription_id, s.status from payments.stripe_subscriptions s
               where s.environment = %(environment)s and {scope.of("s")}
               order by s.created_at desc, s.id limit {MANY}),
            states as (select l.status, count(*) as number from looked l group by l.status),
            sold as materialized (
              select i.price_id, sum(coalesce(i.quantity, 1)) as quantity
                from looked l
               cross join lateral (
                 select i.price_id, i.quantity from payments.stripe_subscription_items i
                  where i.subscription_id = l.subscription_id and i.environment = %(environment)s and {scope.of("i")}
                 offset 0) i
               where l.status in ('active', 'past_due')
               group by i.price_id)
            select 'status' as kind, s.status as name, s.number, null::bigint as mrr from states s
            union all
            select 'mrr', p.currency, null,
                   round(sum(coalesce(p.unit_amount, p.unit_amount_decimal::numeric) * s.quantity
                     / coalesce(p.recurring_interval_count, 1)
                     * case p.recurring_interval when 'year' then 1/12.0 when 'week' then 52/12.0
                                                 when 'day' then 365/12.0 else 1 end))::bigint
              from sold s
             cross join lateral (
               select p.* from payments.stripe_prices p
                where p.price_id = s.price_id and p.environment = %(environment)s and {scope.of("p")}
               offset 0) p
             where p.type = 'recurring'
             group by p.currency""",
        scope.parameters(),
        rows_as_they_are,
    )


@SqlFunction
def attention(scope: Scope) -> Query[list[Row]]:
    """What waits for somebody: a row with a number (at most `COUNTED`) for each kind and account that there is.

    Of the key's own account, this is what waits in connected ones, too: the latter's `account_id` says whose.
    """
    of = "true" if scope.account is None else "{}.account_id = %(account)s"
    none = "true" if scope.account is None else "false"  # quarantine does not know of accounts
    return Query(
        f"""select 'failed events' as what, x.account_id, count(*) as number from (
              select e.account_id from payments.webhook_events e
               where e.environment = %(environment)s and e.next_attempt_at is not null and {of.format("e")}
               limit {COUNTED}) x group by x.account_id
            union all
            select 'parked events', x.account_id, count(*) from (
              select e.account_id from payments.webhook_events e
               where e.environment = %(environment)s and e.parked_at is not null and {of.format("e")}
               limit {COUNTED}) x group by x.account_id
            union all
            select 'events in quarantine', null, count(*) from (
              select 1 from payments.dead_events e
               where e.environment = %(environment)s and e.id is null and {none} limit {COUNTED}) x
            union all
            select 'refused pushes and conflicts', x.account_id, count(*) from (
              select o.account_id from payments.outbox o
               where o.environment = %(environment)s and o.status = any ('{{refused,conflict}}') and {of.format("o")}
               limit {COUNTED}) x group by x.account_id
            order by 1, 2 nulls first""",
        scope.parameters(),
        rows_as_they_are,
    )


@SqlFunction
def last_event(scope: Scope) -> Query[list[Row]]:
    """When the latest event of the account came, among the latest `WITHIN` of all."""
    return Query(
        f"""select e.received_at, e.event_type
              from (select e.environment, e.account_id, e.received_at, e.event_type from payments.webhook_events e
                     order by e.id desc limit {WITHIN}) e
             where e.environment = %(environment)s and {scope.of("e")} limit 1""",
        scope.parameters(),
        rows_as_they_are,
    )


@SqlFunction
def accounts(environment: str) -> Query[list[Row]]:
    """The connected accounts that have payments, at most 100: each is found by one step into an index."""
    return Query(
        """with recursive a (account_id, n) as (
             select (select min(t.account_id) from payments.transactions t where t.account_id is not null), 1
             union all
             select (select min(t.account_id) from payments.transactions t where t.account_id > a.account_id), a.n + 1
               from a where a.account_id is not null and a.n < 100)
           select a.account_id from a
            where exists (select from payments.transactions t
                           where t.account_id = a.account_id and t.environment = %(environment)s)""",
        {"environment": environment},
        rows_as_they_are,
    )


# Subscriptions and customers ------------------------------------------------------------------------------------------


async def subscriptions(
    conn: AsyncConnection[Any], scope: Scope, status: str | None, customer: str | None, key: Key | None
) -> Page:
    """Subscriptions with their items, latest first."""
    base = "from payments.stripe_subscriptions t where t.environment = %(environment)s and " + scope.of("t")
    if customer is not None:
        base = f"from (select t.* {base} and t.customer_id = %(customer)s offset 0) t where true"
    columns = """t.*, (
        select json_agg(json_build_object('product', coalesce(p.name, i.product_id), 'price', i.price_id, 'quantity',
                 i.quantity, 'unit_amount', c.unit_amount, 'currency', c.currency, 'interval', c.recurring_interval)
                 order by i.subscription_item_id)
          from payments.stripe_subscription_items i
          left join payments.stripe_prices c on c.environment = i.environment and c.price_id = i.price_id
           and c.account_id is not distinct from i.account_id
          left join payments.stripe_products p on p.environment = i.environment and p.product_id = i.product_id
           and p.account_id is not distinct from i.account_id
         where i.environment = t.environment and i.subscription_id = t.subscription_id
           and i.account_id is not distinct from t.account_id) as items"""
    conditions = ["t.status = %(status)s"] if status is not None else []
    parameters = scope.parameters() | {"status": status, "customer": customer}
    return await _page(conn, _List(base, "created_at", conditions, parameters, columns, latest="desc"), key, PAGE)


@SqlFunction
def subscription(scope: Scope, subscription_id: str) -> Query[list[Row]]:
    """One subscription, with its body as indented JSON text."""
    return Query(
        f"""select s.*, jsonb_pretty(o.data) as body from payments.stripe_subscriptions s
              left join payments.stripe_objects o on o.environment = s.environment and o.object_type = 'subscription'
               and o.object_id = s.subscription_id and o.account_id is not distinct from s.account_id
             where s.environment = %(environment)s and s.subscription_id = %(id)s and {scope.of("s")}""",
        scope.parameters() | {"id": subscription_id},
        rows_as_they_are,
    )


async def customers(conn: AsyncConnection[Any], scope: Scope, word: str | None, key: Key | None) -> Page:
    """Customers with their subjects, latest first; with a word, those of that id, e-mail address or subject id."""
    own = "from payments.customers t where t.environment = %(environment)s and " + scope.of("t")
    base = own
    if word is not None:
        mapped = f"""select m.provider_customer_id from payments.customer_mappings m
                      where m.subject_key = %(word)s and m.environment = %(environment)s and {scope.of("m")}"""
        base = f"""from (
            select t.* {own} and lower(t.email) = lower(%(word)s)
            union
            select t.* {own} and t.provider = 'stripe' and t.provider_customer_id = %(word)s
            union
            select t.* {own} and t.provider = 'stripe' and t.provider_customer_id = any (array({mapped}))) t
            where true""".replace(
            "select t.* ",
            "select t.id, t.environment, t.account_id, t.provider_customer_id, t.email, t.name, "
            "t.phone, t.deleted, t.provider_created_at, t.synced_at ",
        )
    columns = """t.*, array(
        select m.subject_type || ':' || m.subject_id from payments.customer_mappings m
         where m.provider_customer_id = t.provider_customer_id and m.environment = t.environment
           and m.account_id is not distinct from t.account_id limit 10) as subjects"""
    parameters = scope.parameters() | {"word": word}
    return await _page(conn, _List(base, "provider_created_at", [], parameters, columns), key, PAGE)


# Events ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EventFilter:
    """What a list of events shows; None leaves it out."""

    status: str | None = None
    event_type: str | None = None
    word: str | None = None


def _events(scope: Scope, asked: EventFilter) -> _List:
    base = f"from payments.webhook_events t where t.environment = %(environment)s and {scope.of('t')}"
    conditions = [] if asked.event_type is None else ["t.event_type = %(event_type)s"]
    if asked.status == "parked":
        base += " and t.parked_at is not null"
    elif asked.status == "failed":  # there is an index of these, and of no other status: it would cost every event
        base += " and (t.next_attempt_at is not null or t.parked_at is not null) and t.processing_status = 'failed'"
    elif asked.status is not None:
        conditions.append("t.processing_status = %(status)s")
    if asked.word is not None:
        base += """ and t.id = any (array(
            select e.id from payments.webhook_events e where e.object_id = %(word)s
            union select e.id from payments.webhook_events e
                   where e.provider = 'stripe' and e.environment = %(environment)s
                     and e.provider_event_id = %(word)s))"""
    columns = """t.id, t.provider_event_id, t.event_type, t.object_type, t.object_id, t.processing_status, t.parked_at,
        t.attempt_count, t.last_error, t.next_attempt_at, t.received_at, t.provider_created_at, t.processed_at"""
    return _List(base, "id", conditions, scope.parameters() | vars(asked), columns)


async def events(
    conn: AsyncConnection[Any], scope: Scope, asked: EventFilter, key: UUID | None, limit: int = PAGE
) -> Page:
    """Events without their bodies, latest first: the row's id is the order of time, to the millisecond."""
    what = _events(scope, asked)
    after = "" if key is None else "and t.id < %(key)s"
    parameters: dict[str, object] = {**what.parameters, "key": key, "within": WITHIN, "limit": limit + 1}
    looked = f"select t.* {what.base} {after} order by t.id desc limit %(within)s"
    where = " and ".join(["true", *what.conditions])
    rows = await Query(
        f"select {what.columns} from ({looked}) t where {where} order by t.id desc limit %(limit)s",
        parameters,
        rows_as_they_are,
    ).run_async(conn)
    if len(rows) > limit:
        return Page(rows[:limit], (None, str(rows[limit - 1]["id"])), full=True)
    reached = await Query(
        f"select t.id from ({looked}) t offset {WITHIN - 1} limit 1", parameters, rows_as_they_are
    ).run_async(conn)
    return Page(rows, (None, str(reached[0]["id"])) if reached else None, full=False)


@SqlFunction
def event(scope: Scope, event_id: UUID) -> Query[list[Row]]:
    """One event with its body as indented JSON text."""
    return Query(
        f"""select e.*, coalesce(jsonb_pretty(e.payload), e.raw_payload) as body from payments.webhook_events e
             where e.id = %(id)s and e.environment = %(environment)s and {scope.of("e")}""",
        scope.parameters() | {"id": event_id},
        rows_as_they_are,
    )


@SqlFunction
def fulfilment_triggers() -> Query[list[Row]]:
    """The application's triggers on the ledger: what fires again when an event is replayed."""
    return Query(
        """select t.tgname::text as name, p.oid::regproc::text as function
             from pg_trigger t join pg_proc p on p.oid = t.tgfoid
            where t.tgrelid = 'payments.webhook_events'::regclass and not t.tgisinternal and t.tgenabled <> 'D'
              and p.pronamespace is distinct from to_regnamespace('payments_private')
            order by t.tgname""",
        (),
        rows_as_they_are,
    )


# Object storage -------------------------------------------------------------------------------------------------------


@SqlFunction
def linked_tables(scope: Scope) -> Query[list[Row]]:
    """The tables that are linked."""
    return Query(
        f"""select l.target::text as target, l.kind, l.object_type, l.by, l.columns::text as columns,
                  l.push::text as push, l.owner, l.create_at_stripe, l.filled, l.rows, l.pending, l.refused, l.lag
             from payments.linked_tables l where l.environment = %(environment)s and {scope.of("l")}
            order by 1, 2 limit 200""",
        scope.parameters(),
        rows_as_they_are,
    )


@SqlFunction
def pushes(scope: Scope, status: str | None) -> Query[list[Row]]:
    """What Stripe is to be told and what it refused, latest first: at most 100."""
    conditions = {
        None: "o.status = any ('{refused,conflict}')",
        "waiting": "o.status = any ('{pending,claimed,paused}')",
    }
    where = conditions.get(status, "o.status = %(status)s")
    return Query(
        f"""select o.id, o.target::text as target, o.row_key::text as row_key, o.operation, o.object_type, o.object_id,
                  o.status, o.tries, o.last_error, o.base, o.wanted, o.found, o.created_at, o.settled_at,
                  o.next_try_at, o.stripe_request_id, o.account_id
             from (select o.* from payments.outbox o where {where} order by o.created_at desc limit {WITHIN}) o
            where o.environment = %(environment)s and {scope.of("o")}
            order by o.created_at desc limit 100""",
        scope.parameters() | {"status": status},
        rows_as_they_are,
    )


async def outbox_paused_at(conn: AsyncConnection[Any], environment: str) -> datetime | None:
    """Since when nothing is pushed; None while pushes are sent."""
    rows = await Query("select payments.outbox_paused_at(%s) as at", (environment,), rows_as_they_are).run_async(conn)
    at: datetime | None = rows[0]["at"]
    return at


@SqlFunction
def push(scope: Scope, push_id: UUID) -> Query[list[Row]]:
    """One row of the outbox."""
    return Query(
        f"select o.*, o.target::text as target from payments.outbox o where o.id = %(id)s "
        f"and o.environment = %(environment)s and {scope.of('o')}",
        scope.parameters() | {"id": push_id},
        rows_as_they_are,
    )


# Jobs -----------------------------------------------------------------------------------------------------------------


@SqlFunction
def begin_job(environment: str, title: str, back: str) -> Query[UUID]:
    """Enters a job; its id."""
    return Query(
        "select payments.begin_dashboard_job(%s, %s, %s) as id", (environment, title, back), lambda rows: rows[0]["id"]
    )


@SqlFunction
def tell_job(job_id: UUID, status: str, lines: Sequence[str]) -> Query[list[Row]]:
    """How far a job is."""
    return Query("select payments.tell_dashboard_job(%s, %s, %s)", (job_id, status, list(lines)), rows_as_they_are)


@SqlFunction
def job(environment: str, job_id: UUID) -> Query[list[Row]]:
    """One job of the environment."""
    return Query(
        "select j.* from payments.dashboard_job(%s) j where j.environment = %s",
        (job_id, environment),
        rows_as_they_are,
    )


# Health ---------------------------------------------------------------------------------------------------------------


@SqlFunction
def database() -> Query[list[Row]]:
    """What the database is."""
    return Query(
        """select current_setting('server_version') as version, current_database() as name,
                  pg_is_in_recovery() as is_replica, now() as now""",
        (),
        rows_as_they_are,
    )


@SqlFunction
def audit_log(limit: int = 100) -> Query[list[Row]]:
    """Who did what, latest first."""
    return Query(
        """select a.at, a.actor, a.source, a.action, a.target, a.detail::text as detail
             from payments.audit_log a order by a.at desc limit %s""",
        (limit,),
        rows_as_they_are,
    )


async def audit_page(conn: AsyncConnection[Any], key: Key | None) -> Page:
    """The audit log, a page at a time."""
    return await _page(conn, _List("from payments.audit_log t where true", "at", [], {}, latest="desc"), key, PAGE)
