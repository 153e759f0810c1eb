"""Linked customers that are accounts (`acct_…`): guard, foreign key, filling, moving, rebuild and verify."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.linked_tables.shop import TEAM, Json, Shop, customer, event, send, statuses, subscription
from tests.support.stripe_writes import StripeWrites

AT = 1_790_000_000
TEAM_ID = "7ea00000-0000-4000-8000-000000000001"
OTHER_ID = "7ea00000-0000-4000-8000-000000000002"
ROW = "select stripe_customer_id as c, stripe_payment_method_id as p from app.teams where id = %s"


def account(object_id: str = "acct_1", team: object = None, default: str | None = "pm_1", **fields: object) -> Json:
    metadata = {"payments_subject_type": "team", "payments_subject_id": str(team)} if team else {}
    return {
        "id": object_id, "object": "v2.core.account", "applied_configurations": ["customer"], "closed": False,
        "contact_email": "payer@shop.example", "contact_phone": None, "created": "2026-09-21T08:09:10.123Z",
        "display_name": "Payer", "livemode": False, "metadata": metadata,
        "configuration": {"customer": {"billing": {"default_payment_method": default}}},
    } | fields  # fmt: skip


def row(shop: Shop, team: str = TEAM_ID) -> tuple[Any, Any]:
    found = shop.one(ROW, team)
    return found["c"], found["p"]


def whole(shop: Shop) -> None:
    """Nothing differs from a rebuild, and a rebuild changes nothing."""
    assert shop.all("select * from payments.verify_projections('test')") == []
    before = shop.all("select * from app.teams order by id")
    shop.all("select payments.rebuild_projections('test')")
    assert shop.all("select * from app.teams order by id") == before


@pytest.fixture
def teams(shop: Shop) -> Shop:
    shop.all(f"insert into app.teams (id, name) values ('{TEAM_ID}', 'One'), ('{OTHER_ID}', 'Two')")
    return shop


def test_a_row_takes_the_id_of_an_account_that_is_a_customer(teams: Shop) -> None:
    teams.link("app.teams", "customer")
    teams.store(account(), account("acct_merchant", applied_configurations=["merchant"]), customer())
    for wrong in ("acct_unknown", "acct_merchant"):
        with pytest.raises(psycopg.Error) as caught:
            teams.all("update app.teams set stripe_customer_id = %s", wrong)
        assert caught.value.sqlstate == "PY011"
    teams.all("update app.teams set stripe_customer_id = 'acct_1' where id = %s", TEAM_ID)
    teams.all("update app.teams set stripe_customer_id = 'cus_1' where id = %s", OTHER_ID)
    assert row(teams) == ("acct_1", "pm_1")
    with pytest.raises(psycopg.Error) as caught:
        teams.all("update app.teams set stripe_payment_method_id = 'pm_forged' where id = %s", TEAM_ID)
    assert caught.value.sqlstate == "PY010"
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        teams.all("delete from payments_private.anchors_1 where object_id = 'acct_1'")
    teams.store(account(default="pm_2"))
    assert row(teams) == ("acct_1", "pm_2")
    whole(teams)
    for told in ({"applied_configurations": ["merchant"]}, {"closed": True}, {"default": None}):
        teams.store(account(**told))
        assert row(teams)[0] == "acct_1"
        teams.all("update payments_private.anchors_1 set data = '{}' where object_id = 'acct_1'")
        teams.all("select payments.rebuild_projections('test')")
        whole(teams)
        assert teams.all("select data = '{}' as lost from payments_private.anchors_1 where object_id = 'acct_1'") == [
            {"lost": False}
        ]
    assert row(teams) == ("acct_1", None)


@pytest.mark.parametrize("linked_first", [True, False], ids=["linked before", "linked after"])
@pytest.mark.parametrize("told_by", ["metadata", "subscription"])
def test_a_team_has_the_account_that_it_is_mapped_to(teams: Shop, linked_first: bool, told_by: str) -> None:
    if linked_first:
        teams.link("app.teams", "customer", by="subject", match=TEAM)
    if told_by == "metadata":
        teams.store(account(team=TEAM_ID))
    else:
        metadata = {"payments_subject_type": "team", "payments_subject_id": TEAM_ID}
        paying = subscription(metadata=metadata, customer=None, customer_account="acct_1")
        teams.deliver(event("customer.subscription.created", paying, AT))
        if linked_first:
            assert row(teams) == (None, None)  # nothing is stored of it yet
        teams.store(account())
    if not linked_first:
        teams.link("app.teams", "customer", by="subject", match=TEAM)
    assert row(teams) == ("acct_1", "pm_1")
    assert row(teams, OTHER_ID) == (None, None)
    whole(teams)


def test_a_team_that_moves_takes_the_account_along(teams: Shop) -> None:
    teams.link("app.teams", "customer", by="subject", match=TEAM)
    teams.store(account(team=TEAM_ID))
    teams.store(account(team=OTHER_ID))
    assert (row(teams), row(teams, OTHER_ID)) == ((None, None), ("acct_1", "pm_1"))
    teams.store(customer(team=TEAM_ID, invoice_settings={"default_payment_method": "pm_9"}))
    assert row(teams) == ("cus_1", "pm_9")
    whole(teams)
    teams.store(account(team=OTHER_ID, applied_configurations=["merchant"]))
    assert row(teams, OTHER_ID) == (None, None)
    teams.store(account(team=OTHER_ID))
    assert row(teams, OTHER_ID) == ("acct_1", "pm_1")
    teams.store(account(team=OTHER_ID, closed=True))
    assert row(teams, OTHER_ID) == (None, None)
    whole(teams)


def test_what_is_wrong_is_found_and_made_right(teams: Shop) -> None:
    teams.link("app.teams", "customer", by="subject", match=TEAM)
    teams.store(account(team=TEAM_ID))
    teams.all("update payments_private.anchors_1 set data = data || %s::jsonb", json.dumps({"configuration": None}))
    teams.all("alter table app.teams disable trigger user")
    teams.all("update app.teams set stripe_payment_method_id = 'pm_forged' where id = %s", TEAM_ID)
    teams.all("alter table app.teams enable always trigger zz_payments_fill_1")
    teams.all("alter table app.teams enable always trigger payments_check_1")
    (found,) = teams.all("select projection, stored, expected from payments.verify_projections('test')")
    assert (found["projection"], found["stored"]["stripe_payment_method_id"]) == ("app.teams", "pm_forged")
    assert found["expected"]["stripe_payment_method_id"] == "pm_1"
    teams.all("select payments.rebuild_projections('test')")
    assert row(teams) == ("acct_1", "pm_1")
    whole(teams)


def test_other_ways_and_columns(teams: Shop) -> None:
    columns = {"payer": "id", "payer_email": "email", "payer_name": "name", "payer_since": "created"}
    match = {"metadata_key": "team", "column": "id"}
    teams.link("app.teams", "object", object_type="customer", by="metadata", match=match, columns=columns)
    teams.store(account(metadata={"team": TEAM_ID}), customer(metadata={"team": OTHER_ID}))
    shown = "select payer, payer_email, payer_name, extract(epoch from payer_since)::bigint as at from app.teams "
    assert [tuple(each.values()) for each in teams.all(shown + "order by id")] == [
        ("acct_1", "payer@shop.example", "Payer", 1_789_978_150), ("cus_1", "payer@shop.example", "Payer", AT),
    ]  # fmt: skip
    earlier = account("acct_9", created="2026-09-20T00:00:00Z", metadata={"team": TEAM_ID})
    teams.store(earlier)
    assert teams.one("select payer from app.teams where id = %s", TEAM_ID)["payer"] == "acct_1"
    whole(teams)
    teams.link("app.orders", "object", object_type="v2.core.account", columns={"of": "id", "mail": "contact_email"})
    teams.all("insert into app.orders (id, of) values ('o1', 'acct_1')")
    assert teams.one("select mail from app.orders")["mail"] == "payer@shop.example"
    whole(teams)


def test_an_account_is_not_told_but_tells(teams: Shop, stripe: StripeWrites) -> None:
    teams.link("app.teams", "customer", push={"name": "name", "email": "email"}, owner="stripe")
    teams.hurry()
    teams.store(account())
    teams.all("update app.teams set stripe_customer_id = 'acct_1', name = 'Payer', email = 'payer@shop.example' "
              "where id = %s", TEAM_ID)  # fmt: skip
    send(teams, stripe)
    teams.store(account(display_name="Countess"))
    assert teams.one("select name from app.teams where id = %s", TEAM_ID)["name"] == "Countess"
    teams.all("update app.teams set name = 'Ours' where id = %s", TEAM_ID)
    send(teams, stripe)
    assert stripe.posts == []
    assert statuses(teams)[-1] == "refused"
    assert "account" in teams.outbox()[-1]["last_error"]
