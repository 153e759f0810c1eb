"""One thin Python function per SQL function of schema `payments`; nothing here decides anything.

Each takes a psycopg connection first and answers in kind: a `Connection` gives the result, an `AsyncConnection` an
awaitable of it.

    row = functions.finish_checkout(conn, checkout_id, body)
    row = await functions.finish_checkout(async_conn, checkout_id, body)
    query = functions.finish_checkout.query(checkout_id, body)      # the statement alone, for somebody else to run

Stripe's bodies travel as the text that Stripe sent: Postgres is their first parser, so no number is rounded and no
key reordered on the way. Parameters go in text format, except a batch of bodies: as a text-format array every body
would be escaped and unescaped once more, which costs more than all of its SQL.
Errors are raised as psycopg raises them; `pg_payments.errors.from_database_error` gives them their class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pg_payments.database.query import Query, Row, SqlFunction, rows_as_they_are


def _row(rows: list[Row]) -> Row:
    (row,) = rows
    return row


def _row_if_any(rows: list[Row]) -> Row | None:
    return _row(rows) if rows else None


def _integer(rows: list[Row]) -> int:
    (value,) = _row(rows).values()
    return int(value)


def _boolean(rows: list[Row]) -> bool:
    (value,) = _row(rows).values()
    return bool(value)


def _text(rows: list[Row]) -> str | None:
    (value,) = _row(rows).values()
    return None if value is None else str(value)


def _some_text(rows: list[Row]) -> str:
    (value,) = _row(rows).values()
    return str(value)


def _texts(rows: list[Row]) -> list[str]:
    (values,) = _row(rows).values()
    return list(values)


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


# Events ---------------------------------------------------------------------------------------------------------------


@SqlFunction
def ingest_stripe_event(environment: str, payload: str) -> Query[Row]:
    """One verified event, through the whole pipeline: `{event_id, processing_status, duplicate, error}`."""
    return Query("select * from payments.ingest_stripe_event(%s, %s)", (environment, payload), _row)


@SqlFunction
def ingest_stripe_events(environment: str, payloads: Sequence[str]) -> Query[list[Row]]:
    """A batch of verified events: the same columns, one row each, in order."""
    return Query("select * from payments.ingest_stripe_events(%s, %b)", (environment, list(payloads)), rows_as_they_are)


@SqlFunction
def keep_failed_events(environment: str, payloads: Sequence[str], reason: str) -> Query[list[Row]]:
    """What the pipeline could not be brought to finish, as failed events: the same columns, one row each, in order."""
    return Query(
        "select * from payments.keep_failed_events(%s, %b, %s)", (environment, list(payloads), reason), rows_as_they_are
    )


@SqlFunction
def ingest_stripe_list(environment: str, page: str, account_id: str | None = None) -> Query[list[Row]]:
    """The events in a list's answer (JSON text) that are of projected types, each as Stripe wrote it: the same.

    To those of a connected account is added whose they are, as Stripe does where it delivers them.
    """
    return Query(
        """select * from payments.ingest_stripe_events(%s, array(
               select case when %s::text is null or e.value -> 'account' is not null then e.value::text
                        else '{"account": ' || to_json(%s::text) || ', '
                             || substr(ltrim(e.value::text, E' \n\r\t'), 2) end
                 from pg_catalog.json_array_elements(%s::json -> 'data') e
                where e.value ->> 'type' = any (payments.projected_event_types())))""",
        (environment, account_id, account_id, page),
        rows_as_they_are,
    )


@SqlFunction
def store_stripe_objects(
    environment: str, objects: str, observed_at: datetime | None = None, account_id: str | None = None
) -> Query[int]:
    """A JSON array (text) of objects that Stripe's API answered then, or just now: the number of rows changed."""
    return Query(
        "select payments.store_stripe_objects(%s, %s::jsonb, %s, %s)",
        (environment, objects, observed_at, account_id),
        _integer,
    )


@SqlFunction
def store_stripe_page(
    environment: str, page: str, observed_at: datetime | None, account_id: str | None = None
) -> Query[int]:
    """The same for the objects in a list's answer (JSON text), which is handed over as Stripe wrote it."""
    return Query(
        "select payments.store_stripe_objects(%s, (%s::jsonb) -> 'data', %s, %s)",
        (environment, page, observed_at, account_id),
        _integer,
    )


@SqlFunction
def with_rest_of_list(answer: str, steps: Sequence[str | int], pages: Sequence[str]) -> Query[str]:
    """Stripe's answer (JSON text), with the list at `steps` in it made whole by its other pages (JSON texts)."""
    return Query(
        """select jsonb_set(a.answer, l.path, (a.answer #> l.path) || jsonb_build_object('has_more', false, 'data',
                    (a.answer #> l.path -> 'data') || (
                      select coalesce(jsonb_agg(e.value order by p.page, e.place), '[]')
                        from unnest(%s::text[]) with ordinality p (body, page),
                             jsonb_array_elements(p.body::jsonb -> 'data') with ordinality e (value, place))))::text
             from (select %s::jsonb) a (answer), (select %s::text[]) l (path)""",
        (list(pages), answer, [str(step) for step in steps]),
        _some_text,
    )


@SqlFunction
def as_jsonb(text: str) -> Query[Row]:
    """That `jsonb` can hold a JSON text. Raises one of `errors.UNSTORABLE` where it cannot.

    It holds no \\u0000, no half of a surrogate pair and no number out of numeric's range (Postgres: JSON Types).
    """
    return Query("select %s::jsonb is not null as is_held", (text,), _row)


@SqlFunction
def connect_account(environment: str, account: str, livemode: bool | None) -> Query[Row]:
    """Stripe's account (JSON text) behind an environment: its `payments.provider_connections` row."""
    return Query("select * from payments.connect_account(%s, %s::jsonb, %s)", (environment, account, livemode), _row)


@SqlFunction
def finish_sync(environment: str, counts: Mapping[str, int] | None, error: str | None = None) -> Query[Row]:
    """A sync's end, good or bad: the `payments.provider_connections` row."""
    return Query("select * from payments.finish_sync(%s, %s::jsonb, %s)", (environment, _json(counts), error), _row)


@SqlFunction
def replay_event(event_id: UUID) -> Query[Row]:
    """One event again, on purpose: `{processing_status, error}`."""
    return Query("select * from payments.replay_event(%s)", (event_id,), _row)


@SqlFunction
def retry_failed_events(max_events: int) -> Query[int]:
    """At most `max_events` failed events whose time has come: the number retried."""
    return Query("select payments.retry_failed_events(%s)", (max_events,), _integer)


@SqlFunction
def purge_events(older_than: str | timedelta, max_rows: int) -> Query[int]:
    """At most `max_rows` events settled longer ago than an interval, out of the ledger: the number purged."""
    return Query(
        "select payments.purge_events(older_than => %s::interval, max_rows => %s)", (older_than, max_rows), _integer
    )


@SqlFunction
def purge_guest_attempts(older_than: timedelta, max_rows: int) -> Query[int]:
    """At most `max_rows` attempts that guests began longer ago and never paid: the number purged."""
    return Query(
        "select payments.purge_guest_attempts(older_than => %s, max_rows => %s)", (older_than, max_rows), _integer
    )


@SqlFunction
def rebuild_projections(environment: str) -> Query[int]:
    """Every projection computed again from the stored objects: the number of objects read."""
    return Query("select payments.rebuild_projections(%s)", (environment,), _integer)


@SqlFunction
def rebuild_projections_step(
    environment: str, after: str | None, max_objects: int, until: str | None = None
) -> Query[Row]:
    """A part of the same, to be committed: `{next, objects}`; `next` is the `after` of the next, None at the end."""
    return Query(
        """select * from payments.rebuild_projections_step(
               environment => %s, after => %s, max_objects => %s, until => %s)""",
        (environment, after, max_objects, until),
        _row,
    )


@SqlFunction
def rebuild_projections_ranges(
    environment: str, after: str | None, max_objects: int, max_ranges: int
) -> Query[list[Row]]:
    """Parts of the same that may be made at once: `{begins, ends}`, each the `after` and `until` of a first step."""
    return Query(
        """select * from payments.rebuild_projections_ranges(
               environment => %s, after => %s, max_objects => %s, max_ranges => %s)""",
        (environment, after, max_objects, max_ranges),
        rows_as_they_are,
    )


@SqlFunction
def verify_projections(environment: str) -> Query[list[Row]]:
    """The rows in which the projections differ from a rebuild; none when healthy."""
    return Query("select * from payments.verify_projections(%s)", (environment,), rows_as_they_are)


@SqlFunction
def webhook_events(event_ids: Sequence[UUID | None]) -> Query[list[Row]]:
    """The rows of these events without their payloads, in no order, where there are any."""
    return Query(
        "select * from payments.event_receipts(%s::uuid[])",
        (list(event_ids),),
        rows_as_they_are,
    )


@SqlFunction
def metrics(account: str | None = None) -> Query[list[Row]]:
    """What a monitor wants to know of the database, a row an environment: of all accounts, or of a connected one."""
    return Query("select * from payments.metrics(%s)", (account,), rows_as_they_are)


# Stored keys ----------------------------------------------------------------------------------------------------------


@SqlFunction
def replace_account(environment: str, account: str, livemode: bool | None, secret: str, masked: str) -> Query[Row]:
    """An account's encrypted key in place of the former one: the `payments.provider_connections` row."""
    return Query(
        "select * from payments.replace_account(%s, %s::jsonb, %s, %s, %s)",
        (environment, account, livemode, secret, masked),
        _row,
    )


@SqlFunction
def stored_secret(environment: str, name: str) -> Query[str | None]:
    """A secret as it was encrypted, if one is stored."""
    return Query("select payments.stored_secret(%s, %s) as secret", (environment, name), _text)


@SqlFunction
def reencrypt_secret(environment: str, name: str, formerly: str, secret: str) -> Query[bool]:
    """The same secret under another master key, unless it was replaced meanwhile."""
    return Query("select payments.reencrypt_secret(%s, %s, %s, %s)", (environment, name, formerly, secret), _boolean)


@SqlFunction
def forget_key(environment: str) -> Query[bool]:
    """The stored key is forgotten; whether there was one."""
    return Query("select payments.forget_key(%s)", (environment,), _boolean)


@SqlFunction
def store_account_key(
    environment: str, account_id: str, account: str, livemode: bool | None, secret: str, masked: str
) -> Query[Row]:
    """The encrypted key of an account's own: its `payments.accounts` row."""
    return Query(
        "select * from payments.store_account_key(%s, %s, %s::jsonb, %s, %s, %s)",
        (environment, account_id, account, livemode, secret, masked),
        _row,
    )


@SqlFunction
def forget_account_key(environment: str, account_id: str) -> Query[bool]:
    """The stored key of an account is forgotten; whether there was one."""
    return Query("select payments.forget_account_key(%s, %s)", (environment, account_id), _boolean)


@SqlFunction
def account_key(environment: str, account_id: str) -> Query[str | None]:
    """The key of an account's own as it was encrypted, if one is stored."""
    return Query("select payments.account_key(%s, %s) as secret", (environment, account_id), _text)


@SqlFunction
def account_keys(environment: str) -> Query[list[Row]]:
    """All stored keys of accounts' own: `account_id`, `secret` as it was encrypted."""
    return Query("select * from payments.account_keys(%s)", (environment,), rows_as_they_are)


@SqlFunction
def reencrypt_account_key(environment: str, account_id: str, formerly: str, secret: str) -> Query[bool]:
    """The same key under another master key, unless it was replaced meanwhile."""
    return Query(
        "select payments.reencrypt_account_key(%s, %s, %s, %s)", (environment, account_id, formerly, secret), _boolean
    )


@SqlFunction
def tell_account_keys(environment: str, account_ids: list[str]) -> Query[Row]:
    """For which accounts this process has a key in its settings."""
    return Query("select payments.tell_account_keys(%s, %s)", (environment, account_ids), _row)


# Managed webhook endpoints --------------------------------------------------------------------------------------------


@SqlFunction
def projected_event_types() -> Query[list[str]]:
    """The event types that a managed endpoint is for."""
    return Query("select payments.projected_event_types()", (), _texts)


@SqlFunction
def connect_event_types() -> Query[list[str]]:
    """The event types that the managed endpoint of connected accounts is for."""
    return Query("select payments.connect_event_types()", (), _texts)


@SqlFunction
def webhook_endpoint(environment: str, connect: bool = False) -> Query[Row | None]:
    """The endpoint on record: `{endpoint_id, url, configured_at, secret}`, the secret as it was encrypted."""
    return Query("select * from payments.webhook_endpoint(%s, %s)", (environment, connect), _row_if_any)


@SqlFunction
def webhook_secrets(environment: str) -> Query[list[Row]]:
    """The secrets that count, as they were encrypted: `{name, secret}` each, `name` as `reencrypt_secret` takes it."""
    return Query("select * from payments.webhook_secrets(%s)", (environment,), rows_as_they_are)


@SqlFunction
def record_webhook_endpoint(
    environment: str, endpoint_id: str, url: str, secret: str, connect: bool = False
) -> Query[Row]:
    """A new endpoint with its encrypted secret: the `payments.provider_connections` row."""
    return Query(
        "select * from payments.record_webhook_endpoint(%s, %s, %s, %s, %s)",
        (environment, endpoint_id, url, secret, connect),
        _row,
    )


@SqlFunction
def installation_id() -> Query[str]:
    """What this installation stamps on what it has Stripe keep."""
    return Query("select payments.installation_id()", (), lambda rows: str(_text(rows)))


@SqlFunction
def lock_webhook_endpoint(environment: str) -> Query[Row]:
    """Until the transaction ends: nobody else replaces the endpoint of this environment."""
    return Query("select payments.lock_webhook_endpoint(%s)", (environment,), _row)


# The worker ---------------------------------------------------------------------------------------------------------


@SqlFunction
def work_due() -> Query[dict[str, float]]:
    """Jobs that may have something to do, and in how many seconds."""
    return Query(
        "select * from payments.work_due()", (), lambda rows: {row["job"]: float(row["seconds"]) for row in rows}
    )


@SqlFunction
def schedule_job(job: str, environment: str, every: timedelta) -> Query[Row]:
    """A job is due every so often."""
    return Query("select payments.schedule_job(%s, %s, %s)", (job, environment, every), _row)


@SqlFunction
def claim_job() -> Query[Row | None]:
    """The scheduled job that is due: `{job, environment}`."""
    return Query("select * from payments.claim_job()", (), _row_if_any)


@SqlFunction
def hold_job(job: str, environment: str) -> Query[Row]:
    """The caller is still at work on a job that it has claimed."""
    return Query("select payments.hold_job(%s, %s)", (job, environment), _row)


@SqlFunction
def settle_job(job: str, environment: str, error: str | None) -> Query[Row]:
    """How a claimed job ended."""
    return Query("select payments.settle_job(%s, %s, %s)", (job, environment, error), _row)


@SqlFunction
def request_refresh(environment: str, object_type: str, object_id: str, account_id: str | None = None) -> Query[Row]:
    """A worker fetches this object."""
    return Query(
        "select payments.request_refresh(%s, %s, %s, %s)", (environment, object_type, object_id, account_id), _row
    )


@SqlFunction
def refresh_state(
    environment: str, object_type: str, object_id: str, account_id: str | None = None
) -> Query[Row | None]:
    """Whether an object waits to be fetched, and why it is not in place: `{is_waiting, last_error}`."""
    return Query(
        "select * from payments.refresh_state(%s, %s, %s, %s)",
        (environment, object_type, object_id, account_id),
        _row_if_any,
    )


@SqlFunction
def claim_refreshes(max_objects: int) -> Query[list[Row]]:
    """Objects to be fetched now: `{environment, account_id, object_type, object_id, tries}` each."""
    return Query("select * from payments.claim_refreshes(%s)", (max_objects,), rows_as_they_are)


@SqlFunction
def settle_refresh(
    environment: str,
    account_id: str | None,
    object_type: str,
    object_id: str,
    error: str | None = None,
    retry_after: timedelta | None = None,
) -> Query[Row]:
    """What became of a claimed object; with an error and no `retry_after` it is not tried again by itself."""
    return Query(
        "select payments.settle_refresh(%s, %s, %s, %s, %s, %s)",
        (environment, account_id, object_type, object_id, error, retry_after),
        _row,
    )


@SqlFunction
def store_absence(
    environment: str, object_type: str, object_id: str, asked_at: datetime, account_id: str | None = None
) -> Query[bool]:
    """Stripe had no such object then: whether what is stored of it was marked deleted."""
    return Query(
        "select payments.store_absence(%s, %s, %s, %s, %s)",
        (environment, object_type, object_id, asked_at, account_id),
        _boolean,
    )


@SqlFunction
def let_worker_ask(answer: bool) -> Query[Row]:
    """Whether workers ask Stripe for attempts that plain SQL begins."""
    return Query("select payments.let_worker_ask(%s)", (answer,), _row)


@SqlFunction
def claim_checkouts(max_attempts: int) -> Query[list[Row]]:
    """Attempts for which Stripe is to be asked: `{id, environment}` each."""
    return Query("select * from payments.claim_checkouts(%s)", (max_attempts,), rows_as_they_are)


@SqlFunction
def put_off_checkout(checkout_id: UUID, retry_after: timedelta) -> Query[Row]:
    """Stripe could not be asked for a claimed attempt now."""
    return Query("select payments.put_off_checkout(%s, %s)", (checkout_id, retry_after), _row)


@SqlFunction
def older_objects(
    environment: str,
    object_type: str,
    before: datetime,
    after_id: str | None,
    max_rows: int,
    account_id: str | None = None,
) -> Query[list[str]]:
    """Ids of objects that are stored as they were before that time, the next after an id."""
    return Query(
        "select * from payments.older_objects(%s, %s, %s, %s, %s, %s)",
        (environment, object_type, before, after_id, max_rows, account_id),
        lambda rows: [row["object_id"] for row in rows],
    )


@SqlFunction
def compare_with_stripe(
    environment: str, page: str, observed_at: datetime, account_id: str | None, with_rows: bool
) -> Query[list[Row]]:
    """What is not as the objects in a list's answer (JSON text): `{kind, table_name, key, fields}` each."""
    return Query(
        "select * from payments.compare_with_stripe(%s, (%s::jsonb) -> 'data', %s, %s, %s)",
        (environment, page, observed_at, account_id, with_rows),
        rows_as_they_are,
    )


@SqlFunction
def sample_objects(environment: str, object_type: str, sample: int | None, account_id: str | None) -> Query[list[str]]:
    """Ids of so many stored objects, at random."""
    return Query(
        "select * from payments.sample_objects(%s, %s, %s, %s)",
        (environment, object_type, sample, account_id),
        lambda rows: [row["object_id"] for row in rows],
    )


@SqlFunction
def record_verification(
    environment: str, objects: int, sampled: bool, differences: Mapping[str, int], repaired: int
) -> Query[Row]:
    """How the mirror compared with Stripe."""
    return Query(
        "select payments.record_verification(%s, %s, %s, %s::jsonb, %s)",
        (environment, objects, sampled, _json(differences), repaired),
        _row,
    )


@SqlFunction
def verifications() -> Query[list[Row]]:
    """How the mirror last compared with Stripe, a row for each environment that was compared."""
    return Query("select * from payments.verifications()", (), rows_as_they_are)


@SqlFunction
def take_read(environment: str, account_id: str | None) -> Query[float]:
    """Takes one request out of what the account may be asked now: 0, or the seconds after which to try again."""
    return Query("select payments.take_read(%s, %s) as wait", (environment, account_id), lambda rows: rows[0]["wait"])


@SqlFunction
def begin_list(
    environment: str,
    account_id: str | None,
    name: str,
    began_at: datetime,
    splits: bool,
    confirms: str | None,
    since: datetime | None,
    opened: int | None,
) -> Query[bool]:
    """Has one of Stripe's lists be read; whether an earlier sync of it goes on."""
    return Query(
        "select payments.begin_list(%s, %s, %s, %s, %s, %s, %s, %s)",
        (environment, account_id, name, began_at, splits, confirms, since, opened),
        _boolean,
    )


@SqlFunction
def lists_at_end(
    environment: str, account_id: str | None, lists: Sequence[str], since: datetime | None
) -> Query[list[str]]:
    """Which of these lists a sync that was broken off has read to their ends."""
    return Query(
        "select * from payments.lists_at_end(%s, %s, %s, %s)",
        (environment, account_id, list(lists), since),
        lambda rows: [row["list"] for row in rows],
    )


@SqlFunction
def claim_range(environment: str, account_id: str | None, lists: Sequence[str]) -> Query[Row | None]:
    """A part of these lists, for the caller alone; None if there is none that nobody reads."""
    return Query("select * from payments.claim_range(%s, %s, %s)", (environment, account_id, list(lists)), _row_if_any)


@SqlFunction
def release_range(range_id: UUID, claim: int, error: str | None = None) -> Query[Row]:
    """The caller reads a part no further."""
    return Query("select payments.release_range(%s, %s, %s)", (range_id, claim, error), _row)


@SqlFunction
def ranges_left(environment: str, account_id: str | None, lists: Sequence[str]) -> Query[int]:
    """How many parts of these lists are neither read nor failed."""
    return Query("select payments.ranges_left(%s, %s, %s)", (environment, account_id, list(lists)), _integer)


@SqlFunction
def record_page(
    range_id: UUID,
    claim: int,
    page: str,
    observed_at: datetime | None,
    starting_after: str | None,
    top_created: int | None,
    last_created: int | None,
    skipped: Sequence[str],
) -> Query[Row | None]:
    """Stores a page (JSON text) and moves its part's checkpoint: `{created_from, read, expected}`; None: it is lost."""
    return Query(
        "select * from payments.record_page(%s, %s, %s::jsonb, %s, %s, %s, %s, %s::text[])",
        (range_id, claim, page, observed_at, starting_after, top_created, last_created, list(skipped)),
        _row_if_any,
    )


@SqlFunction
def record_confirmed(
    range_id: UUID, claim: int, after_id: str | None, gone: int, skipped: Sequence[str]
) -> Query[bool]:
    """Stored objects up to this id (None: all) were asked for; False: somebody else does that now."""
    return Query(
        "select payments.record_confirmed(%s, %s, %s, %s, %s::text[])",
        (range_id, claim, after_id, gone, list(skipped)),
        _boolean,
    )


@SqlFunction
def sync_status(environment: str, account_id: str | None = None) -> Query[list[Row]]:
    """How the last sync of each list went, or how far it is."""
    return Query("select * from payments.sync_status(%s, %s)", (environment, account_id), rows_as_they_are)


@SqlFunction
def begin_sweep(environment: str, account_id: str | None = None) -> Query[Row]:
    """From when events are to be listed: `{since, undelivered_since, gap}`."""
    return Query("select * from payments.begin_sweep(%s, %s)", (environment, account_id), _row)


@SqlFunction
def note_swept(
    environment: str, event_ids: Sequence[UUID], duplicates: Sequence[bool], account_id: str | None = None
) -> Query[int]:
    """Counts events that a sweep has taken in: how many of them had been missed."""
    return Query(
        "select payments.note_swept(%s, %s::uuid[], %s::boolean[], %s)",
        (environment, list(event_ids), list(duplicates), account_id),
        _integer,
    )


@SqlFunction
def finish_sweep(environment: str, certain_until: datetime, gap: bool, account_id: str | None = None) -> Query[Row]:
    """A sweep has read all its lists."""
    return Query("select payments.finish_sweep(%s, %s, %s, %s)", (environment, certain_until, gap, account_id), _row)


@SqlFunction
def accounts_due(environment: str, job: str, max_accounts: int) -> Query[list[str]]:
    """The connected accounts for which a job was not done for longest."""
    return Query(
        "select * from payments.accounts_due(%s, %s, %s)",
        (environment, job, max_accounts),
        lambda rows: [row["account_id"] for row in rows],
    )


@SqlFunction
def settle_account(environment: str, account_id: str, job: str, error: str | None = None) -> Query[Row]:
    """How a job for a connected account ended."""
    return Query("select payments.settle_account(%s, %s, %s, %s)", (environment, account_id, job, error), _row)


@SqlFunction
def worker_status() -> Query[list[Row]]:
    """What is known of deliveries and of the worker's jobs, a row an environment."""
    return Query("select * from payments.worker_status()", (), rows_as_they_are)


# Checkout and billing portal ------------------------------------------------------------------------------------------


@SqlFunction
def billable_subjects() -> Query[list[Row]]:
    """The subjects that the caller may bill: `{subject_type, subject_id}` each."""
    return Query("select * from payments.billable_subjects()", (), rows_as_they_are)


@SqlFunction
def begin_checkout(
    environment: str,
    mode: str,
    line_items: Sequence[Mapping[str, object]],
    success_url: str,
    cancel_url: str,
    subject_type: str | None = None,
    subject_id: str | None = None,
    customer_email: str | None = None,
    metadata: Mapping[str, str] | None = None,
    idempotency_key: str | None = None,
    account_id: str | None = None,
) -> Query[Row]:
    """As the caller: a new `payments.stripe_checkout_sessions` row, or the caller's earlier one for the same key."""
    return Query(
        """select * from payments.begin_checkout(
               environment => %s, mode => %s, line_items => %s::jsonb, success_url => %s, cancel_url => %s,
               subject_type => %s, subject_id => %s, customer_email => %s, metadata => %s::jsonb,
               idempotency_key => %s, account_id => %s)""",
        (
            environment,
            mode,
            _json(line_items),
            success_url,
            cancel_url,
            subject_type,
            subject_id,
            customer_email,
            _json(metadata),
            idempotency_key,
            account_id,
        ),
        _row,
    )


@SqlFunction
def checkout_request(checkout_id: UUID) -> Query[Row]:
    """`{request}`: the parameters of POST /v1/checkout/sessions for this attempt."""
    return Query("select payments.checkout_request(%s) as request", (checkout_id,), _row)


@SqlFunction
def finish_checkout(checkout_id: UUID, session: str) -> Query[Row]:
    """Stripe's session (JSON text) for this attempt: the updated row."""
    return Query("select * from payments.finish_checkout(%s, %s::jsonb)", (checkout_id, session), _row)


@SqlFunction
def fail_checkout(checkout_id: UUID, error: str) -> Query[Row]:
    """Stripe's refusal of this attempt, in its words: the updated row."""
    return Query("select * from payments.fail_checkout(%s, %s)", (checkout_id, error), _row)


@SqlFunction
def begin_portal_session(
    environment: str,
    subject_type: str,
    subject_id: str,
    return_url: str | None = None,
    configuration_id: str | None = None,
    account_id: str | None = None,
) -> Query[Row]:
    """As the caller: a new `payments.stripe_customer_portal_sessions` row."""
    return Query(
        """select * from payments.begin_portal_session(
               environment => %s, subject_type => %s, subject_id => %s, return_url => %s, configuration_id => %s,
               account_id => %s)""",
        (environment, subject_type, subject_id, return_url, configuration_id, account_id),
        _row,
    )


@SqlFunction
def portal_request(portal_id: UUID) -> Query[Row]:
    """`{request}`: the parameters of POST /v1/billing_portal/sessions for this row."""
    return Query("select payments.portal_request(%s) as request", (portal_id,), _row)


@SqlFunction
def finish_portal_session(portal_id: UUID, session: str) -> Query[Row]:
    """Stripe's portal session (JSON text) for this row: the updated row."""
    return Query("select * from payments.finish_portal_session(%s, %s::jsonb)", (portal_id, session), _row)


@SqlFunction
def fail_portal_session(portal_id: UUID, error: str) -> Query[Row]:
    """Stripe's refusal of this portal session, in its words: the updated row."""
    return Query("select * from payments.fail_portal_session(%s, %s)", (portal_id, error), _row)


# The connection itself ------------------------------------------------------------------------------------------------


@SqlFunction
def act_as(role: str, claims: str, guest_secret: str | None) -> Query[Row]:
    """Until the transaction ends: this role, these claims (JSON text) and, for a guest, this secret."""
    return Query(
        """select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
                  pg_catalog.set_config('request.jwt.claims', %s, true),
                  pg_catalog.set_config('payments.guest_secret', %s, true),
                  pg_catalog.set_config('payments.asks_stripe', 'on', true),
                  pg_catalog.set_config('role', %s, true)""",
        (claims, guest_secret or "", role),
        _row,
    )


@SqlFunction
def may_replace_keys() -> Query[bool]:
    """Whether the acting role is a member of `payments_keys`."""
    return Query("select pg_catalog.pg_has_role(current_user, 'payments_keys', 'usage') as may", (), _boolean)


@SqlFunction
def is_admin() -> Query[bool]:
    """Whether the acting role is a member of `payments_admin`."""
    return Query("select pg_catalog.pg_has_role(current_user, 'payments_admin', 'usage') as is_admin", (), _boolean)


@SqlFunction
def limit_statements(limit: str) -> Query[Row]:
    """Until the transaction ends no statement may take longer than that (as `2s`)."""
    return Query("select set_config('statement_timeout', %s, true)", (limit,), _row)


@SqlFunction
def blockers() -> Query[list[Row]]:
    """Who keeps sessions of this login waiting: `{pid, usename, application_name, state, query, seconds, waiting}`.

    `seconds` since its transaction began, `waiting` how many wait for it. Postgres shows its statement to its own
    login, and to members of `pg_read_all_stats`.
    """
    return Query(
        """select b.pid, b.usename::text, b.application_name, b.state, left(b.query, 200) as query,
                  extract(epoch from clock_timestamp() - b.xact_start)::double precision as seconds, count(*) as waiting
             from pg_stat_activity w
            cross join lateral unnest(pg_blocking_pids(w.pid)) p (pid)
             join pg_stat_activity b on b.pid = p.pid
            where w.usename = current_user and w.datname = current_database() and w.wait_event_type = 'Lock'
              and (b.usename is distinct from current_user or b.state like 'idle in transaction%%')  -- not one another
            group by b.pid, b.usename, b.application_name, b.state, b.query, b.xact_start
            order by seconds desc nulls last
            limit 5""",
        [],
        rows_as_they_are,
    )


@SqlFunction
def ping() -> Query[Row]:
    """That the database answers."""
    return Query("select 1 as alive", (), _row)


@SqlFunction
def missing_functions(names: Sequence[str], executed: Sequence[str]) -> Query[tuple[list[str], list[str]]]:
    """Which of the names are no function of schema `payments`, and which of `executed` the login may not execute."""
    return Query(
        """select n.name, p.oid is null as is_absent,
                  not (has_schema_privilege(s.oid, 'usage') and has_function_privilege(p.oid, 'execute')) as is_closed
             from unnest(%s::text[]) with ordinality n (name, place)
             left join pg_namespace s on s.nspname = 'payments'
             left join pg_proc p on p.pronamespace = s.oid and p.proname = n.name
            order by n.place""",
        (list(names),),
        lambda rows: (
            [row["name"] for row in rows if row["is_absent"]],
            [row["name"] for row in rows if row["is_closed"] and row["name"] in executed],
        ),
    )


@SqlFunction
def doctor() -> Query[list[Row]]:
    """Findings, `{topic, environment, level, finding, next_step}` each."""
    return Query("select * from payments.doctor()", (), rows_as_they_are)


@SqlFunction
def clock() -> Query[float]:
    """What time it is for the database, in Unix seconds."""
    return Query(
        "select extract(epoch from clock_timestamp())::double precision as seconds",
        (),
        lambda rows: float(_row(rows)["seconds"]),
    )


@SqlFunction
def long_transactions() -> Query[list[Row]]:
    """Transactions open for more than an hour that the login may see: `{pid, usename, minutes}`, the oldest first."""
    return Query(
        """select a.pid, a.usename::text, extract(epoch from now() - a.xact_start)::integer / 60 as minutes
             from pg_stat_activity a
            where a.datname = current_database() and a.xact_start < now() - interval '1 hour'
              and a.backend_type = 'client backend'
            order by a.xact_start
            limit 3""",
        (),
        rows_as_they_are,
    )


@SqlFunction
def unanalyzed_tables() -> Query[list[str]]:
    """Our tables that have rows and no statistics, as SQL."""
    return Query(
        """select array(select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
                         where n.nspname in ('payments', 'payments_private') and c.relkind = 'r' and c.reltuples < 0
                           and pg_relation_size(c.oid) > 0 order by 1) as tables""",
        (),
        _texts,
    )


# Linked tables and the outbox -----------------------------------------------------------------------------------------


@SqlFunction
def claim_pushes(max_pushes: int) -> Query[list[Row]]:
    """Pushes that are due, claimed: `{id, environment, account_id, method, path, parameters, idempotency_key, search,
    creates}` each."""
    return Query("select * from payments.claim_pushes(max_pushes => %s)", (max_pushes,), rows_as_they_are)


@SqlFunction
def settle_push(
    push_id: UUID,
    outcome: str,
    stripe_object: str | None = None,
    error: str | None = None,
    retry_after: timedelta | None = None,
    observed_at: datetime | None = None,
    request_id: str | None = None,
) -> Query[Row]:
    """What became of a claimed push, with Stripe's object as JSON text: `{status}`, the row's own."""
    return Query(
        """select payments.settle_push(id => %s, outcome => %s, object => %s::jsonb, error => %s,
                                       retry_after => %s, observed_at => %s, request_id => %s) as status""",
        (push_id, outcome, stripe_object, error, retry_after, observed_at, request_id),
        _row,
    )


@SqlFunction
def pause_outbox(environment: str) -> Query[Row]:
    """Nothing is pushed until resumed."""
    return Query("select payments.pause_outbox(%s)", (environment,), _row)


@SqlFunction
def resume_outbox(environment: str) -> Query[Row]:
    """Pushes are sent again."""
    return Query("select payments.resume_outbox(%s)", (environment,), _row)


@SqlFunction
def adopt_outbox(environment: str) -> Query[Row]:
    """This database pushes from now on."""
    return Query("select payments.adopt_outbox(%s)", (environment,), _row)


@SqlFunction
def retry_push(push_id: UUID) -> Query[Row]:
    """A refused push or a conflict is sent again."""
    return Query("select payments.retry_push(%s)", (push_id,), _row)


@SqlFunction
def discard_push(push_id: UUID) -> Query[Row]:
    """Stripe is not told."""
    return Query("select payments.discard_push(%s)", (push_id,), _row)
