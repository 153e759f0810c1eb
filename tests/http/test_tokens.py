"""Tokens: who gets in, and what is tried to get in without one."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pg_payments.demo.serving import loopback_socket, served
from pg_payments.errors import ConfigurationError, Forbidden, NotSignedIn
from pg_payments.http import key_set
from pg_payments.http.key_set import KeysUnavailable
from pg_payments.http.tokens import TokenVerifier
from tests.support.site import ADA, ADMIN_KEY, JWT_SECRET, site_settings, token
from tests.support.waiting import wait_until

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def verifier(**changes: Any) -> TokenVerifier:
    return TokenVerifier(site_settings("postgresql:///nowhere", **changes))


def claims(**changes: Any) -> dict[str, Any]:
    return {"sub": ADA, "role": "authenticated", "exp": int(time.time()) + 86_400} | changes


@pytest.mark.parametrize("name", ["cut \ud83d", "a\0b", float("inf")], ids=repr)
def test_a_name_that_postgres_cannot_hold_locks_nobody_out(name: Any) -> None:
    told = claims(user_metadata={"names": [name], "city": "Zürich 🏔"})
    caller = verifier().caller(f"Bearer {jwt.encode(told, JWT_SECRET, 'HS256')}")
    assert json.loads(caller.claims, parse_constant=pytest.fail)["user_metadata"]["city"] == "Zürich 🏔"
    assert not re.search(r"(?i)\\u0000|\\ud83d(?!\\ud)", caller.claims)


def test_who_is_calling_is_never_made_somebody_else() -> None:
    caller = verifier().caller(f"Bearer {jwt.encode(claims(sub='a' + chr(0)), JWT_SECRET, 'HS256')}")
    assert json.loads(caller.claims)["sub"] == "a\0"  # for the database to refuse


class Issuer:
    """What an issuer publishes, and how often it was asked."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [public(RSA, kid="rsa"), public(EC, kid="ec")]
        self.asked = 0
        self.fails = False
        self.answering = threading.Event()
        self.answering.set()
        self.url = ""

    async def publish(self, _: Request) -> Response:
        self.asked += 1
        await run_in_threadpool(self.answering.wait, 10)
        return Response(status_code=500) if self.fails else JSONResponse({"keys": self.keys})


def public(key: Any, **members: str) -> dict[str, Any]:
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    made: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    return made | members


def signed(kid: str | None, key: Any = RSA) -> str:
    """An `Authorization` header with a token that names `kid`."""
    return f"Bearer {jwt.encode(claims(), key, 'RS256', headers={'kid': kid} if kid else {})}"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer with one RSA and one EC key."""
    made = Issuer()
    app = Starlette(routes=[Route("/jwks.json", made.publish)])
    with loopback_socket() as bound, served(app, bound) as base:
        made.url = f"{base}/jwks.json"
        yield made
        made.answering.set()


@pytest.fixture
def jwks_url(issuer: Issuer) -> str:
    return issuer.url


def test_a_good_token_is_its_role_and_all_of_its_claims() -> None:
    caller = verifier().caller(f"Bearer {token(email='ada@shop.example')}")
    assert (caller.role, caller.guest) == ("authenticated", False)
    assert json.loads(caller.claims)["email"] == "ada@shop.example"


def test_the_scheme_may_be_written_in_any_case() -> None:
    assert verifier().caller(f"bearer {token()}").role == "authenticated"


def test_the_anon_role_is_a_guest() -> None:
    assert verifier().caller(f"Bearer {token(None, 'anon')}").guest


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YWRhOmFkYQ==", token()])
def test_no_token_is_not_signed_in(header: str | None) -> None:
    with pytest.raises(NotSignedIn):
        verifier().caller(header)


def unsigned(algorithm: str) -> str:
    parts = ({"alg": algorithm, "typ": "JWT"}, claims())
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts), ""])


BAD = {
    "garbage": "not.a.token",
    "empty parts": "..",
    "not even ascii": "ÿ.ÿ.ÿ",
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg missing its signature": unsigned("HS256"),
    "another secret": jwt.encode(claims(), "another secret of thirty-two characters", "HS256"),
    "another hash": jwt.encode(claims(), JWT_SECRET, "HS512"),
    "an algorithm without a key here": jwt.encode(claims(), RSA, "RS256"),
    "expired": jwt.encode(claims(exp=int(time.time()) - 120), JWT_SECRET, "HS256"),
    "never expires": jwt.encode({"sub": ADA, "role": "authenticated"}, JWT_SECRET, "HS256"),
    "not yet": jwt.encode(claims(nbf=int(time.time()) + 43_200), JWT_SECRET, "HS256"),
    "cut off": token()[:-4],
    "expiry is no number": jwt.encode(claims(exp="tomorrow"), JWT_SECRET, "HS256"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_token_that_does_not_verify_is_not_signed_in(bad: str) -> None:
    with pytest.raises(NotSignedIn):
        verifier().caller(f"Bearer {bad}")


def test_clocks_may_differ_a_little() -> None:
    assert verifier().caller(f"Bearer {token(exp=int(time.time()) - 10)}")


@pytest.mark.parametrize(
    "role", ["postgres", "payments_service", "payments_owner", "none", "", None, ["authenticated"], 1]
)
def test_a_role_that_is_not_listed_is_forbidden_though_signed(role: Any) -> None:
    with pytest.raises(Forbidden):
        verifier().caller(f"Bearer {token(role=role)}")


def test_the_listed_roles_are_a_setting() -> None:
    only_members = verifier(jwt_roles=" member , visitor", jwt_anon_role="visitor")
    assert not only_members.caller(f"Bearer {token(role='member')}").guest
    assert only_members.caller(f"Bearer {token(role='visitor')}").guest
    with pytest.raises(Forbidden):
        only_members.caller(f"Bearer {token()}")


def test_audience_and_issuer_are_held_against_the_settings() -> None:
    strict = verifier(jwt_audience="shop", jwt_issuer="https://issuer.example")
    good = {"aud": "shop", "iss": "https://issuer.example"}
    assert strict.caller(f"Bearer {token(**good)}")
    for wrong in ({}, good | {"aud": "other"}, good | {"iss": "https://evil.example"}, {"aud": "shop"}):
        with pytest.raises(NotSignedIn):
            strict.caller(f"Bearer {token(**wrong)}")


def test_an_audience_that_nobody_asked_for_is_no_obstacle() -> None:
    assert verifier().caller(f"Bearer {token(aud='authenticated')}")


def test_nothing_verifies_without_a_key() -> None:
    with pytest.raises(ConfigurationError):
        verifier(jwt_secret=None).caller(f"Bearer {token()}")


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec")])
def test_a_token_is_verified_with_the_issuers_keys(jwks_url: str, key: Any, algorithm: str, kid: str) -> None:
    made = jwt.encode(claims(), key, algorithm, headers={"kid": kid})
    assert verifier(jwt_secret=None, jwks_url=jwks_url).caller(f"Bearer {made}").role == "authenticated"


def test_a_public_key_is_no_shared_secret(jwks_url: str) -> None:
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims())
    )
    signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    mac = base64.urlsafe_b64encode(signature.sign(head + b"." + body, public)).rstrip(b"=")
    forged = b".".join((head, body, mac)).decode()
    for settings in ({"jwt_secret": None}, {}):
        with pytest.raises(NotSignedIn):
            verifier(jwks_url=jwks_url, **settings).caller(f"Bearer {forged}")


@pytest.mark.parametrize(
    "headers", [{"kid": "unknown"}, {}, {"kid": "ec"}, {"kid": "rsa", "jku": "https://evil.example"}]
)
def test_a_key_that_is_not_the_issuers_does_not_verify(jwks_url: str, headers: dict[str, str]) -> None:
    own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(NotSignedIn):
        verifier(jwks_url=jwks_url).caller(f"Bearer {jwt.encode(claims(), own, 'RS256', headers=headers)}")


def test_an_issuer_that_cannot_be_reached_is_a_passing_trouble() -> None:
    with pytest.raises(KeysUnavailable):
        verifier(jwks_url="http://127.0.0.1:9/jwks.json").caller(signed("rsa"))


@pytest.mark.parametrize(
    ("published", "named"),
    [(None, None), ("only", None), (None, "only")],
    ids=["neither", "in the set", "in the token"],
)
def test_the_only_key_is_meant_where_a_side_names_none(
    issuer: Issuer, published: str | None, named: str | None
) -> None:
    issuer.keys = [public(RSA, **{"kid": published} if published else {})]
    assert verifier(jwks_url=issuer.url).caller(signed(named)).role == "authenticated"


def test_a_token_that_names_another_than_the_only_key_does_not_verify(issuer: Issuer) -> None:
    issuer.keys = [public(RSA, kid="only")]
    with pytest.raises(NotSignedIn):
        verifier(jwks_url=issuer.url).caller(signed("other"))


def test_a_key_for_encryption_signs_nothing(issuer: Issuer) -> None:
    issuer.keys = [public(RSA, use="enc")]
    with pytest.raises(NotSignedIn):
        verifier(jwks_url=issuer.url).caller(signed(None))


def test_made_up_keys_make_no_request_each(issuer: Issuer) -> None:
    tokens = verifier(jwks_url=issuer.url)
    assert tokens.caller(signed("rsa"))
    for number in range(20):
        with pytest.raises(NotSignedIn):
            tokens.caller(signed(f"made up {number}"))
    assert issuer.asked == 1


def test_an_issuer_that_fails_is_not_asked_by_everybody(issuer: Issuer) -> None:
    issuer.fails, tokens = True, verifier(jwks_url=issuer.url)
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            tokens.caller(signed("rsa"))
    assert issuer.asked == 1


def test_a_rotated_key_is_found_after_the_pause(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = verifier(jwks_url=issuer.url)
    assert tokens.caller(signed("rsa"))
    issuer.keys = [public(RSA, kid="rsa 2")]
    monkeypatch.setattr(key_set, "PAUSE", 0)
    assert tokens.caller(signed("rsa 2"))


def test_keys_outlive_an_issuers_failure(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = verifier(jwks_url=issuer.url)
    assert tokens.caller(signed("rsa"))
    monkeypatch.setattr(key_set, "FRESH", 0)
    monkeypatch.setattr(key_set, "PAUSE", 0)
    issuer.fails = True
    assert tokens.caller(signed("rsa"))
    assert issuer.asked == 2
    monkeypatch.setattr(key_set, "KEPT", 0)
    with pytest.raises(KeysUnavailable):
        tokens.caller(signed("rsa"))


def test_a_key_that_left_the_set_verifies_no_more(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = verifier(jwks_url=issuer.url)
    assert tokens.caller(signed("rsa"))
    monkeypatch.setattr(key_set, "FRESH", 0)
    monkeypatch.setattr(key_set, "PAUSE", 0)
    issuer.keys = [public(RSA, kid="next")]
    with pytest.raises(NotSignedIn):
        tokens.caller(signed("rsa"))


def test_nobody_with_a_known_key_waits_for_a_slow_issuer(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = verifier(jwks_url=issuer.url)
    assert tokens.caller(signed("rsa"))
    monkeypatch.setattr(key_set, "PAUSE", 0)
    issuer.answering.clear()
    with ThreadPoolExecutor(20) as pool:
        others = [pool.submit(tokens.caller, signed("made up")) for _ in range(20)]
        wait_until(lambda: issuer.asked == 2, "the issuer is asked")
        wait_until(lambda: sum(other.done() for other in others) >= 20 - key_set.MAX_WAITING, "no more of them wait")
        assert tokens.caller(signed("rsa"))
        monkeypatch.setattr(key_set, "PAUSE", 60)
        issuer.answering.set()
    assert {type(other.exception()) for other in others} == {NotSignedIn, KeysUnavailable}
    assert issuer.asked == 2


@pytest.mark.parametrize("answer", [b"[]", b"{}", b'{"keys": 1}', b"no JSON", b'{"keys": []}'])
def test_what_is_no_key_set_is_a_passing_trouble(answer: bytes) -> None:
    async def publish(_: Request) -> Response:
        return Response(answer)

    app = Starlette(routes=[Route("/", publish)])
    with loopback_socket() as bound, served(app, bound) as base, pytest.raises(KeysUnavailable):
        verifier(jwks_url=base).caller(signed("rsa"))


@pytest.mark.parametrize(
    ("authorization", "api_key"), [(None, "wrong"), ("Bearer wrong", None), ("Bearer " + token(), "wrong")]
)
def test_a_wrong_admin_key_is_said_to_be_one(authorization: str | None, api_key: str | None) -> None:
    with pytest.raises(NotSignedIn, match="not the administrators' key") as refused:
        verifier(admin_api_key=SecretStr(ADMIN_KEY)).administrator(authorization, api_key)
    assert refused.value.hint
    with pytest.raises(NotSignedIn, match="no administrators' key here"):
        verifier(admin_api_key=None).administrator(authorization, api_key)
