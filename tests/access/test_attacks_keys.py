# ruff: noqa: E501 - SQL is kept in one piece
"""Keys and errors as an oracle: what may not be seen can't be squatted, probed or told from what is not there."""

import pytest

from tests.access.stage import ADA, DAN, GUEST, MALLORY, NOTHING, Attempt, Caller, Stage

CHECKOUTS = "payments.stripe_checkout_sessions"
REQUEST = "environment, mode, line_items, success_url, cancel_url"
VALUES = """'test', 'payment', '[{"price": "price_1"}]', 'https://shop.example/', 'https://shop.example/'"""
INTO = f"insert into {CHECKOUTS} ({REQUEST}, idempotency_key) values ({VALUES}, 'order:1')"


def begin(key: str, subject: str = "", more: str = "") -> str:
    return f"select status from payments.begin_checkout({VALUES}{subject}, idempotency_key => '{key}'{more})"


ATTEMPTS = [
    Attempt("squats Ada's key", MALLORY, begin("order:1"), [("initialized",)], begins=1),
    Attempt("squats Ada's key with an insert", MALLORY, f"{INTO} returning status", [("initialized",)], begins=1),
    Attempt("squats a key that Ada is about to use", MALLORY, begin("order:2"), [("initialized",)], begins=1),
    Attempt("probes Ada's key for another subject", MALLORY, begin("order:1", ", 'user', 'ada'"), "42501"),
    Attempt("probes the team's key", DAN, begin("team:1", ", 'team', 't1'"), "42501"),
    Attempt(
        "probes a key by doing nothing on conflict",
        MALLORY,
        f"{INTO} on conflict do nothing returning status",
        [("initialized",)],
        begins=1,
    ),
    Attempt(
        "probes a key with an arbiter",
        MALLORY,
        f"{INTO} on conflict (environment, owner_key, idempotency_key) where idempotency_key is not null do nothing returning status",
        [("initialized",)],
        begins=1,
    ),
    Attempt(
        "probes a session's id with an arbiter",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, checkout_session_id) values ({VALUES}, 'cs_test_1') on conflict (environment, checkout_session_id, account_id) where checkout_session_id is not null do nothing",
        "42501",
    ),
    Attempt(
        "probes an id with an arbiter",
        MALLORY,
        f"insert into {CHECKOUTS} ({REQUEST}, id) values ({VALUES}, '00000000-0000-4000-8000-000000000ada') on conflict (id) do nothing",
        "42501",
    ),
    Attempt(
        "reads what is in the way of an insert",
        MALLORY,
        f"{INTO} on conflict (environment, owner_key, idempotency_key) where idempotency_key is not null do update set last_error = excluded.url returning *",
        "42501",
    ),
    Attempt("squats a key as a guest", GUEST, begin("order:1"), [("initialized",)], begins=1),
    Attempt("repeats its own key twice in a row", MALLORY, f"{INTO}; {INTO}", "23505"),
    Attempt(
        "reuses its own key for another request",
        MALLORY,
        begin("k", more=', metadata => \'{"a": "b"}\''),
        "PY003",
        first=begin("k"),
        begins=0,
    ),
    Attempt(
        "reuses its own key in the other environment",
        MALLORY,
        begin("k").replace("'test'", "'live'"),
        [("initialized",)],
        first=begin("k"),
        begins=1,
    ),
    Attempt("looks a key up", MALLORY, f"select id from {CHECKOUTS} where idempotency_key = 'order:1'", NOTHING),
    Attempt("looks a hash up", MALLORY, f"select id from {CHECKOUTS} where request_hash is not null", NOTHING),
    Attempt(
        "has a key with a NUL",
        MALLORY,
        rf"select payments.begin_checkout({VALUES}, idempotency_key => E'a\x00')",
        ("22021", "PY001"),
    ),
    Attempt("has an empty key", MALLORY, begin(""), "PY001"),
    Attempt(
        "references a checkout it may not see",
        MALLORY,
        f"create table hostile.probe (id uuid references {CHECKOUTS})",
        "42501",
    ),
    Attempt(
        "has a key with a control character",
        MALLORY,
        f"select payments.begin_checkout({VALUES}, idempotency_key => E'a\\x01')",
        "PY001",
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)


PORTAL = "select payments.begin_portal_session('test', $TYPE, $ID)"
CHECKOUT = f"select payments.begin_checkout({VALUES}, $TYPE, $ID, idempotency_key => 'order:1')"
READ = f"select * from {CHECKOUTS} where subject_type = $TYPE and subject_id = $ID"
HAVING_A_CUSTOMER = ("user", "ada")
OTHERS = [
    ("user", "carol"),
    ("user", "erin"),
    ("user", "never heard of"),
    ("team", "t1"),
    ("team", "t2"),
    ("team", "none"),
    ("company", "ada"),
]


def about(question: str, subject: tuple[str, str]) -> str:
    return question.replace("$TYPE", f"'{subject[0]}'").replace("$ID", f"'{subject[1]}'")


@pytest.mark.parametrize("question", [PORTAL, CHECKOUT, READ], ids=["portal", "checkout", "read"])
@pytest.mark.parametrize("who", [MALLORY, DAN, Caller("attack_user", "")], ids=["mallory", "dan", "nobody"])
@pytest.mark.parametrize("other", OTHERS, ids=":".join)
def test_the_answer_does_not_tell_whether_it_exists(
    question: str, who: Caller, other: tuple[str, str], stage: Stage
) -> None:
    """Message, detail and hint included."""
    with stage.connected(who) as attacker:
        known = attacker.run(about(question, HAVING_A_CUSTOMER))
        unknown = attacker.run(about(question, other))
    assert (known.error, known.rows) == (unknown.error, unknown.rows)
    assert known.rows == []


@pytest.mark.parametrize(
    "setting", ["constraint_exclusion = on", "enable_indexscan = off", "plan_cache_mode = force_generic_plan"]
)
def test_one_s_own_missing_customer_is_told_to_oneself_only(setting: str, stage: Stage) -> None:
    """PY004 for who may bill and has no customer; those who may not never get that far."""
    with stage.connected(MALLORY) as attacker:
        attacker.run(f"set {setting}")
        assert attacker.run(about(PORTAL, ("user", "mallory"))).sqlstate == "PY004"
        assert attacker.run(about(PORTAL, ("user", "ada"))).sqlstate == "42501"
    with stage.connected(ADA) as owner:
        assert owner.run("begin; " + about(PORTAL, ("user", "ada")) + "; rollback").sqlstate is None
