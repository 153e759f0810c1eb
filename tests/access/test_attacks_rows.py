# ruff: noqa: E501 - SQL is kept in one piece
"""Mallory wants other people's rows: to read, to write, to take away."""

import pytest

from tests.access.stage import ADA, DAN, GUEST, HARMLESS, MALLORY, NOTHING, SERVICE, STRANGER, Attempt, Stage

CHECKOUTS = "payments.stripe_checkout_sessions"
PORTALS = "payments.stripe_customer_portal_sessions"
ADAS = "00000000-0000-4000-8000-000000000ada"
REQUEST = "environment, mode, line_items, success_url, cancel_url"
VALUES = """'test', 'payment', '[{"price": "price_1"}]', 'https://shop.example/', 'https://shop.example/'"""

READS = [
    Attempt("reads all checkouts", MALLORY, f"select * from {CHECKOUTS}", NOTHING),
    Attempt(
        "reads a checkout whose id it has learnt", MALLORY, f"select * from {CHECKOUTS} where id = '{ADAS}'", NOTHING
    ),
    Attempt("reads checkouts of a team", MALLORY, f"select * from {CHECKOUTS} where subject_key = 'team:t1'", NOTHING),
    Attempt("reads checkouts of a team it is in but may not bill", DAN, f"select * from {CHECKOUTS}", NOTHING),
    Attempt("counts checkouts", MALLORY, f"select count(*) from {CHECKOUTS}", [(0,)]),
    Attempt("asks whether there are any", MALLORY, f"select exists (select from only {CHECKOUTS})", [(False,)]),
    Attempt("adds up", MALLORY, f"select max(url), string_agg(customer_email, ',') from {CHECKOUTS}", [(None, None)]),
    Attempt("reads by place in the table", MALLORY, f"select * from {CHECKOUTS} where ctid = '(0,1)'", NOTHING),
    Attempt("reads with row security off", MALLORY, f"set row_security = off; select * from {CHECKOUTS}", "42501"),
    Attempt(
        "reads through a join",
        MALLORY,
        f"select s.* from (values (1)) v left join lateral (select * from {CHECKOUTS}) s on true where s.id is not null",
        NOTHING,
    ),
    Attempt(
        "reads through a recursive query",
        MALLORY,
        f"with recursive r as (select id, url from {CHECKOUTS} union select r.id, s.url from r, {CHECKOUTS} s) select * from r",
        NOTHING,
    ),
    Attempt(
        "copies checkouts out",
        MALLORY,
        f"create temp table loot as select * from {CHECKOUTS}; select * from loot",
        NOTHING,
    ),
    Attempt("samples checkouts", MALLORY, f"select * from {CHECKOUTS} tablesample system (100)", NOTHING),
    Attempt("reads portals", MALLORY, f"select * from {PORTALS}", NOTHING),
    Attempt(
        "reads subscriptions of others",
        MALLORY,
        "select subscription_id, status from payments.stripe_subscriptions",
        NOTHING,
    ),
    Attempt(
        "reads items of others' subscriptions",
        MALLORY,
        "select subscription_item_id from payments.stripe_subscription_items",
        NOTHING,
    ),
    Attempt(
        "reads items of a subscription it knows of",
        MALLORY,
        "select subscription_item_id from payments.stripe_subscription_items where subscription_id like 'sub%'",
        NOTHING,
    ),
    Attempt("reads transactions of others", MALLORY, "select amount, description from payments.transactions", NOTHING),
    Attempt(
        "reads transactions of a team it may not bill",
        DAN,
        "select amount, description from payments.transactions",
        NOTHING,
    ),
    Attempt(
        "reads internal columns of its own transactions",
        ADA,
        "select customer_email_snapshot from payments.transactions",
        "42501",
    ),
    Attempt("reads all columns of its own transactions", ADA, "select * from payments.transactions", "42501"),
    Attempt("reads a transaction as a whole", ADA, "select t from payments.transactions t", "42501"),
    Attempt(
        "reads the links of its own transactions", ADA, "select related_object_ids from payments.transactions", "42501"
    ),
    Attempt(
        "sorts by an internal column",
        ADA,
        "select amount from payments.transactions order by provider_customer_id",
        "42501",
    ),
    Attempt(
        "filters by an internal column",
        ADA,
        "select amount from payments.transactions where provider_customer_id like 'c%'",
        "42501",
    ),
    Attempt(
        "joins on an internal column",
        ADA,
        "select 1 from payments.transactions t join payments.stripe_subscriptions s on s.customer_id = t.provider_customer_id",
        "42501",
    ),
    Attempt(
        "reads the customer of its own subscription",
        ADA,
        "select customer_id from payments.stripe_subscriptions",
        "42501",
    ),
    Attempt("reads metadata of the catalogue", MALLORY, "select metadata from payments.stripe_products", "42501"),
    Attempt(
        "reads products that are not for sale", MALLORY, "select name from payments.stripe_products", [("Poster",)]
    ),
    Attempt("reads mappings", MALLORY, "select * from payments.customer_mappings", "42501"),
    Attempt("reads customers", MALLORY, "select * from payments.customers", "42501"),
    Attempt("reads raw objects", MALLORY, "select * from payments.stripe_objects", "42501"),
    Attempt("reads the ledger", MALLORY, "select * from payments.webhook_events", "42501"),
    Attempt(
        "reads one harmless column of the ledger",
        MALLORY,
        "select processing_status from payments.webhook_events",
        "42501",
    ),
    Attempt("reads dead events", MALLORY, "select * from payments.dead_events", "42501"),
    Attempt("reads connections", MALLORY, "select * from payments.provider_connections", "42501"),
    Attempt("is a stranger and reads", STRANGER, f"select * from {CHECKOUTS}", "42501"),
    Attempt("is the service and reads checkouts", SERVICE, f"select * from {CHECKOUTS}", "42501"),
    Attempt("is the service and reads transactions", SERVICE, "select * from payments.transactions", "42501"),
    Attempt("is the service and reads the application's tables", SERVICE, "select * from app.team_members", "42501"),
    Attempt("reads the application's members", MALLORY, "select * from app.team_members", "42501"),
]

WRITES = [
    Attempt(
        "bills another user",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, subject_type, subject_id) values ({VALUES}, 'user', 'ada')",
        "42501",
    ),
    Attempt(
        "bills a team it is not in",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, subject_type, subject_id) values ({VALUES}, 'team', 't1')",
        "42501",
    ),
    Attempt(
        "bills a team as a plain member",
        DAN,
        f"insert into {CHECKOUTS} ({REQUEST}, subject_type, subject_id) values ({VALUES}, 'team', 't1')",
        "42501",
    ),
    Attempt(
        "bills another user among its own",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, subject_type, subject_id) values ({VALUES}, 'user', 'mallory'), ({VALUES}, 'user', 'ada')",
        "42501",
    ),
    Attempt(
        "bills a subject of a type that nobody registered",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, subject_type, subject_id) values ({VALUES}, 'company', 'mallory')",
        "42501",
    ),
    Attempt(
        "bills another user through the function",
        MALLORY,
        f"select payments.begin_checkout({VALUES}, 'user', 'ada')",
        "42501",
    ),
    Attempt(
        "bills another user with INSERT … SELECT",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, subject_type, subject_id) select {VALUES}, 'user', u from unnest(array['ada', 'mallory']) u",
        "42501",
    ),
    Attempt(
        "bills another user with MERGE",
        MALLORY,
        f"merge into {CHECKOUTS} s using (values ('ada')) v (id) on false when not matched then insert ({REQUEST}, subject_type, subject_id) values ({VALUES}, 'user', v.id)",
        "42501",
    ),
    Attempt(
        "updates by MERGE",
        MALLORY,
        f"merge into {CHECKOUTS} s using (values (1)) v on true when matched then update set metadata = '{{}}'",
        "42501",
    ),
    Attempt(
        "deletes by MERGE",
        MALLORY,
        f"merge into {CHECKOUTS} s using (values (1)) v on true when matched then delete",
        "42501",
    ),
    Attempt(
        "bills another user in a WITH",
        MALLORY,
        f"with i as (insert into {CHECKOUTS} ({REQUEST}, subject_type, subject_id) values ({VALUES}, 'user', 'ada') returning *) select * from i",
        "42501",
    ),
    Attempt("copies rows in", MALLORY, f"copy {CHECKOUTS} ({REQUEST}) from stdin", ("0A000", "42501")),
    Attempt("updates all checkouts", MALLORY, f"update {CHECKOUTS} set metadata = '{{}}'", "42501"),
    Attempt(
        "updates its own checkout",
        ADA,
        f"update {CHECKOUTS} set cancel_url = 'https://elsewhere.example/' where owner_key = 'user:ada'",
        "42501",
    ),
    Attempt("updates and returns", MALLORY, f"update {CHECKOUTS} set mode = mode returning *", "42501"),
    Attempt("deletes all checkouts", MALLORY, f"delete from {CHECKOUTS}", "42501"),
    Attempt(
        "deletes its own checkout", ADA, f"delete from {CHECKOUTS} where owner_key = 'user:ada' returning *", "42501"
    ),
    Attempt("truncates checkouts", MALLORY, f"truncate {CHECKOUTS}", "42501"),
    Attempt(
        "overwrites on conflict",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}) values ({VALUES}) on conflict (id) do update set url = 'x'",
        "42501",
    ),
    Attempt(
        "opens a portal for another user",
        MALLORY,
        "select payments.begin_portal_session('test', 'user', 'ada')",
        "42501",
    ),
    Attempt(
        "opens a portal for a team as a plain member",
        DAN,
        "select payments.begin_portal_session('test', 'team', 't1')",
        "42501",
    ),
    Attempt(
        "inserts a portal for another user",
        MALLORY,
        f"insert into {PORTALS} (environment, subject_type, subject_id) values ('test', 'user', 'ada')",
        "42501",
    ),
    Attempt("updates a portal", ADA, f"update {PORTALS} set url = 'https://elsewhere.example/'", "42501"),
    Attempt("deletes a portal", ADA, f"delete from {PORTALS}", "42501"),
    Attempt(
        "is a guest and opens a portal", GUEST, "select payments.begin_portal_session('test', 'user', 'ada')", "42501"
    ),
    Attempt(
        "writes a subscription",
        ADA,
        "insert into payments.stripe_subscriptions (environment, subscription_id, synced_at) values ('test', 'sub_free', now())",
        "42501",
    ),
    Attempt(
        "prolongs its own subscription",
        ADA,
        "update payments.stripe_subscriptions set current_period_end = 'infinity'",
        "42501",
    ),
    Attempt("refunds itself", ADA, "update payments.transactions set status = 'refunded'", "42501"),
    Attempt(
        "maps a customer to itself",
        MALLORY,
        "insert into payments.customer_mappings (environment, subject_type, subject_id, provider_customer_id) values ('test', 'user', 'mallory', 'cus_1')",
        "42501",
    ),
    Attempt("lowers a price", MALLORY, "update payments.stripe_prices set unit_amount = 1", "42501"),
    Attempt(
        "is the service and writes transactions",
        SERVICE,
        "insert into payments.transactions (environment, type, status, provider_object_type, provider_object_id) values ('test', 'refund', 'pending', 'refund', 're_1')",
        "42501",
    ),
    Attempt("is the service and begins a checkout", SERVICE, f"select payments.begin_checkout({VALUES})", "42501"),
    Attempt(
        "makes itself a member", MALLORY, "insert into app.team_members values ('t1', 'mallory', 'owner')", "42501"
    ),
    Attempt(
        "begins its own, which is all it may",
        MALLORY,
        f"select status from payments.begin_checkout({VALUES}, 'user', 'mallory')",
        [("initialized",)],
        begins=1,
    ),
    Attempt(
        "repeats the team's own request without being in it",
        MALLORY,
        f"select payments.begin_checkout({VALUES}, 'team', 't1', idempotency_key => 'team:1')",
        "42501",
    ),
    Attempt("analyses a table of ours", MALLORY, f"analyze {CHECKOUTS}; vacuum {CHECKOUTS}", HARMLESS),
]


@pytest.mark.parametrize("attempt", READS + WRITES, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)
