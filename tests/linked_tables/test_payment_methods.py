"""`payments.stripe_payment_methods`: the mirror of payment methods, and who is the default."""

from __future__ import annotations

import itertools

import pytest

from tests.linked_tables.shop import Json, Shop, customer, event

AT = 1_790_000_000


def method(object_id: str = "pm_1", **fields: object) -> Json:
    return {
        "id": object_id, "object": "payment_method", "created": AT, "customer": "cus_1", "livemode": False,
        "metadata": {}, "type": "card",
        "card": {"brand": "visa", "exp_month": 4, "exp_year": 2030, "last4": "4242"},
    } | fields  # fmt: skip


def shown(shop: Shop) -> dict[str, tuple[object, ...]]:
    rows = shop.all("select * from payments.stripe_payment_methods")
    return {r["payment_method_id"]: (r["customer_id"], r["brand"], r["last4"], r["is_default"]) for r in rows}


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_default_is_what_the_customer_says_in_any_order(shop: Shop, order: tuple[int, ...]) -> None:
    events = [
        event("payment_method.attached", method(), AT),
        event("payment_method.attached", method("pm_2", type="sepa_debit", sepa_debit={"last4": "3000"}), AT + 1),
        event("customer.created", customer(), AT),
        event("customer.updated", customer(invoice_settings={"default_payment_method": "pm_2"}), AT + 2),
    ]
    for place in order:
        shop.deliver(events[place], events[place])
    assert shown(shop) == {"pm_1": ("cus_1", "visa", "4242", False), "pm_2": ("cus_1", None, "3000", True)}
    assert shop.all("select * from payments.verify_projections('test')") == []
    shop.all("select payments.rebuild_projections('test')")
    assert shown(shop)["pm_2"][3] is True


def test_one_that_is_detached_has_no_customer(shop: Shop) -> None:
    shop.store(customer(), method())
    assert shown(shop)["pm_1"] == ("cus_1", "visa", "4242", True)
    shop.deliver(event("payment_method.detached", method(customer=None), 1_800_000_000, customer="cus_1"))
    assert shown(shop)["pm_1"] == (None, "visa", "4242", False)


def test_a_user_reads_the_methods_of_its_own_customer_once_that_is_opened(shop: Shop) -> None:
    shop.all("do $$ begin create role authenticated; exception when duplicate_object then null; end $$")
    shop.all("grant payments_user to authenticated")
    mine = {"payments_subject_type": "user", "payments_subject_id": "ada"}
    shop.store(customer("cus_ada", metadata=mine), customer("cus_bob", metadata=mine | {"payments_subject_id": "bob"}))
    shop.store(method("pm_ada", customer="cus_ada"), method("pm_bob", customer="cus_bob"))
    shop.all("select payments.open_to_users('payment_methods')")
    with shop.conn.transaction():
        shop.all("set local role authenticated")
        shop.all("select set_config('request.jwt.claims', '{\"sub\": \"ada\"}', true)")
        rows = shop.all("select payment_method_id, last4 from payments.stripe_payment_methods")
    assert rows == [{"payment_method_id": "pm_ada", "last4": "4242"}]
