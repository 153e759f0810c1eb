"""What `/metrics` says after known deliveries, and what it says without a database."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from tests.http.test_webhooks import an_event
from tests.support.site import WEB, Site, running_site

Row = dict[str, Any]


def metrics(site: Site) -> dict[tuple[str, ...], float]:
    """`(name, label values in the order of their names …)` → value."""
    answer = WEB.get(f"{site.base}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name.removeprefix("pg_payments_"), *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_deliveries_are_counted_by_type_and_outcome(site: Site, conn: psycopg.Connection[Row]) -> None:
    assert metrics(site)["database_up",] == 1
    body = an_event()
    for text, secret in ((body, None), (body, None), (body, "whsec_other"), (an_event(livemode=True), None)):
        site.deliver(text, secret=secret)
    site.deliver(an_event(type="customer\nforged", id="evt_forged"))
    found = metrics(site)
    assert {key[1:]: value for key, value in found.items() if key[0] == "webhook_deliveries_total"} == {
        # duplicate, environment, outcome, type
        ("false", "test", "processed", "customer.updated"): 1,
        ("true", "test", "processed", "customer.updated"): 1,
        ("false", "test", "signature_invalid", ""): 1,
        ("false", "test", "livemode_mismatch", ""): 1,
        ("false", "test", "processed", ""): 1,
    }
    assert found["webhook_seconds_count", "test"] == 5
    assert found["webhook_batch_size_sum", "test"] == 4
    assert found["webhook_waiting",] == 0


def test_failed_and_dead_events_are_shown_until_they_are_mended(site: Site, conn: psycopg.Connection[Row]) -> None:
    conn.execute(
        """create function public.refuse() returns trigger language plpgsql as $$
           begin if new.processing_status = 'processed' then raise 'not today'; end if; return new; end $$;
           create trigger refuse before update on payments.webhook_events
             for each row execute function public.refuse()"""
    )
    failing = an_event()
    assert site.deliver(failing).status_code == 500
    assert site.deliver(an_event().replace('"Ada"', r'"A\u0000da"')).status_code == 200
    conn.execute("update payments.webhook_events set received_at = received_at - interval '1 hour'")
    found = metrics(site)
    assert (found["failed_events", "test"], found["dead_events", "test"]) == (1, 1)
    assert 3600 <= found["oldest_unprocessed_seconds", "test"] < 3700
    assert (found["failed_events", "live"], found["dead_events", "live"]) == (0, 0)
    assert ("oldest_unprocessed_seconds", "live") not in found
    assert found["webhook_deliveries_total", "false", "test", "dead", ""] == 1

    conn.execute("drop trigger refuse on payments.webhook_events")
    assert site.deliver(failing).status_code == 200
    found = metrics(site)
    assert (found["failed_events", "test"], found["dead_events", "test"]) == (0, 1)
    assert ("oldest_unprocessed_seconds", "test") not in found


def test_the_age_of_the_last_good_sync_is_told(site: Site, conn: psycopg.Connection[Row]) -> None:
    assert ("sync_age_seconds", "test") not in metrics(site)
    conn.execute(
        """insert into payments.provider_connections (environment, status, last_synced_at)
           values ('test', 'connected', now() - interval '2 hours')"""
    )
    assert 7200 <= metrics(site)["sync_age_seconds", "test"] < 7300


def test_a_poisoned_body_does_not_fail_its_batch(site: Site, conn: psycopg.Connection[Row]) -> None:
    """Even if what it provokes breaks the whole statement, which the real function takes care not to let happen."""
    conn.execute(
        """alter function payments_private.ingest(text, text[]) rename to ingest_well;
           create function payments_private.ingest(p_environment text, p_bodies text[])
             returns payments_private.incoming[]
           language plpgsql as $$ begin
             if exists (select from unnest(p_bodies) b where b like '%poison%') then raise division_by_zero; end if;
             return payments_private.ingest_well(p_environment, p_bodies);
           end $$;
           grant execute on function payments_private.ingest(text, text[]) to payments_owner"""
    )
    bodies = [an_event(id=f"evt_{'poison' if n == 20 else ''}{secrets.token_hex(8)}") for n in range(40)]
    with ThreadPoolExecutor(40) as pool:
        statuses = [answer.status_code for answer in pool.map(site.deliver, bodies)]
    assert statuses == [500 if n == 20 else 200 for n in range(40)]
    found = metrics(site)
    assert found["webhook_deliveries_total", "false", "test", "internal_error", ""] == 1
    assert found["webhook_batch_size_count", "test"] < 40


def test_without_a_database_the_process_still_tells_of_itself() -> None:
    with running_site("postgresql:///nowhere?host=/nonexistent") as site:
        site.deliver(an_event())
        found = metrics(site)
    assert found["database_up",] == 0
    assert found["webhook_deliveries_total", "false", "test", "database_unavailable", ""] == 1
    assert not any(name == "failed_events" for name, *_ in found)
