"""A refund's or dispute's row has of its payment's what is named, so that a new column is null there until decided."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

Conn = psycopg.Connection[dict[str, Any]]

OF_THE_PAYMENT = {"subject_type", "subject_id", "provider_customer_id", "customer_email_snapshot", "related_object_ids"}
"""And the columns that point to it."""
ROW = """
select to_jsonb(t) as row, to_jsonb(p) as payment
  from (select jsonb_populate_record(
           null::payments.transactions,
           jsonb_object_agg(a.attname, case a.atttypid::regtype::text
             when 'uuid' then to_jsonb(gen_random_uuid()) when 'bigint' then to_jsonb(77)
             when 'timestamp with time zone' then to_jsonb(timestamptz '2001-01-01')
             when 'jsonb' then '{"invoice": "in_1"}'
             else to_jsonb('payment''s ' || a.attname) end)) p
          from pg_attribute a
         where a.attrelid = 'payments.transactions'::regclass and a.attnum > 0 and not a.attisdropped) p
 cross join lateral payments_private.refund_or_dispute_row(
         'test', null, jsonb_populate_record(null::payments_private.payment_facts, %s::jsonb), p.p, %s) t
"""


@pytest.mark.parametrize(
    ("reference", "status", "is_released"),
    [
        ("refund:re_1", "refunded", False),
        ("refund:re_1", "failed", False),
        ("refund:re_1", "refunded", True),
        ("dispute:dp_1", "disputed", False),
    ],
)
def test_it_copies_what_is_named_and_nothing_else(
    scratch_conn: Conn, reference: str, status: str, is_released: bool
) -> None:
    scratch_conn.execute("alter table payments.transactions add column decided_later text")
    scratch_conn.execute("discard plans")
    told = (
        f'{{"reference": "{reference}", "refs": ["charge:ch_1"], "status": "{status}", "amount_due": 5,'
        ' "currency": "eur"}'
    )
    found = scratch_conn.execute(ROW, [told, is_released]).fetchone()
    assert found is not None
    row, payment = found["row"], found["payment"].get("p", found["payment"])
    assert row["decided_later"] is None
    assert payment["decided_later"] == "payment's decided_later"
    assert {name for name, value in row.items() if value is not None and value == payment[name]} <= OF_THE_PAYMENT
    assert row["subject_id"] == payment["subject_id"]
    assert (row["id"], row["amount"], row["paid_at"]) == (None, 5, None)
