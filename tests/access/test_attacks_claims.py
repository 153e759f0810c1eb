# ruff: noqa: E501 - SQL is kept in one piece
"""The claims come from outside. Whatever they are, they make the caller somebody known, or nobody."""

import json

import pytest

from tests.access.stage import MALLORY, NOTHING, Attempt, Caller, Stage

READ = "select * from payments.stripe_checkout_sessions"
BUY = """select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://a.example/', 'https://a.example/')"""
BILL = """select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://a.example/', 'https://a.example/', 'user', 'ada')"""

NOBODY = {
    "nothing": "",
    "no JSON": "{sub: ada}",
    "half of a JSON": '{"sub": "ada"',
    "a JSON string": '"ada"',
    "an array": '["ada"]',
    "an array of claims": '[{"sub": "ada"}]',
    "a number": "1",
    "null": "null",
    "true": "true",
    "no sub": "{}",
    "a null sub": '{"sub": null}',
    "an empty sub": '{"sub": ""}',
    "a number for a sub": '{"sub": 1}',
    "true for a sub": '{"sub": true}',
    "an array for a sub": '{"sub": ["ada"]}',
    "an object for a sub": '{"sub": {"sub": "ada"}}',
    "a nested sub": '{"user": {"sub": "ada"}}',
    "a sub in capitals": '{"SUB": "ada"}',
    "a sub with a NUL": r'{"sub": "ada\u0000"}',
    "half of a surrogate": r'{"sub": "\ud800"}',
    "a user_id instead": '{"user_id": "ada", "email": "ada@shop.example"}',
    "two documents": '{"sub": "ada"} {"sub": "ada"}',
}

SOMEBODY_ELSE = {
    "Ada in capitals": "ADA",
    "Ada and a blank": "ada ",
    "a blank and Ada": " ada",
    "Ada and a newline": "ada\n",
    "Ada with a letter that looks like it": "\u0430da",
    "Ada with a letter of no width": "ada\u200b",
    "her subject": "user:ada",
    "the team": "team:t1",
    "a pattern": "%",
    "a pattern of one": "a_a",
    "a quote": "ada' or true --",
    "a brace": "{ada}",
    "an array of subjects": "{user:ada,team:t1}",
    "a colon": ":",
    "nobody, then Ada": "\tada",
    "a very long name": "ada" + "a" * 5000,
}

ATTEMPTS = [
    *(
        Attempt(f"claims {what} and reads", Caller("attack_user", claims), READ, NOTHING)
        for what, claims in NOBODY.items()
    ),
    *(
        Attempt(f"claims {what} and buys", Caller("attack_user", claims), BUY, "PY002")
        for what, claims in NOBODY.items()
    ),
    *(
        Attempt(f"claims to be {who} and reads", Caller("attack_user", json.dumps({"sub": sub})), READ, NOTHING)
        for who, sub in SOMEBODY_ELSE.items()
    ),
    *(
        Attempt(f"claims to be {who} and bills Ada", Caller("attack_user", json.dumps({"sub": sub})), BILL, "42501")
        for who, sub in SOMEBODY_ELSE.items()
    ),
    Attempt(
        "claims very deep JSON",
        MALLORY,
        f"select set_config('request.jwt.claims', repeat('[', 200000), false) is null; {READ}",
        NOTHING,
    ),
    Attempt(
        "claims very deep objects",
        MALLORY,
        "select set_config('request.jwt.claims', repeat('{\"sub\":', 100000), false) is null; " + BUY,
        "PY002",
    ),
    Attempt(
        "claims a role that it is not in",
        Caller("attack_user", '{"sub": "mallory", "role": "payments_admin"}'),
        READ,
        NOTHING,
    ),
    Attempt(
        "claims to be an administrator",
        Caller("attack_user", '{"sub": "mallory", "admin": true, "is_superuser": true}'),
        "select payments.rebuild_projections('test')",
        "42501",
    ),
    Attempt(
        "claims a subject to bill",
        Caller("attack_user", '{"sub": "mallory", "subject_keys": ["user:ada"], "team_id": "t1"}'),
        BILL,
        "42501",
    ),
    Attempt(
        "claims in PostgREST's old way",
        MALLORY,
        f"select set_config('request.jwt.claim.sub', 'ada', false); {READ}",
        NOTHING,
    ),
    Attempt(
        "claims in a setting of its own",
        MALLORY,
        f"select set_config('payments.sub', 'ada', false), set_config('request.jwt', '{{\"sub\": \"ada\"}}', false); {READ}",
        NOTHING,
    ),
    Attempt(
        "has claims whose first sub is another",
        Caller("attack_user", '{"sub": "ada", "sub": "mallory"}'),
        READ,
        NOTHING,
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)
