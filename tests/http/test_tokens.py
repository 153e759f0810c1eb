"""Tokens: who gets in, and what is tried to get in without one."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pg_payments.demo.serving import loopback_socket, served
from pg_payments.errors import ConfigurationError, Forbidden, NotSignedIn
from pg_payments.http.tokens import KeysUnavailable, TokenVerifier
from tests.support.site import ADA, JWT_SECRET, site_settings, token

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def verifier(**changes: Any) -> TokenVerifier:
    return TokenVerifier(site_settings("postgresql:///nowhere", **changes))


def claims(**changes: Any) -> dict[str, Any]:
    return {"sub": ADA, "role": "authenticated", "exp": int(time.time()) + 600} | changes


@pytest.fixture(scope="module")
def jwks_url() -> Iterator[str]:
    """The key set of an issuer with one RSA and one EC key."""

    async def keys(_: Request) -> JSONResponse:
        public = [(jwt.algorithms.RSAAlgorithm, RSA, "rsa"), (jwt.algorithms.ECAlgorithm, EC, "ec")]
        return JSONResponse(
            {"keys": [json.loads(kind.to_jwk(key.public_key())) | {"kid": kid} for kind, key, kid in public]}  # type: ignore[attr-defined]
        )

    with loopback_socket() as bound, served(Starlette(routes=[Route("/jwks.json", keys)]), bound) as base:
        yield f"{base}/jwks.json"


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
    "not yet": jwt.encode(claims(nbf=int(time.time()) + 600), JWT_SECRET, "HS256"),
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
    signed = jwt.encode(claims(), key, algorithm, headers={"kid": kid})
    assert verifier(jwt_secret=None, jwks_url=jwks_url).caller(f"Bearer {signed}").role == "authenticated"


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
    signed = jwt.encode(claims(), RSA, "RS256", headers={"kid": "rsa"})
    with pytest.raises(KeysUnavailable):
        verifier(jwks_url="http://127.0.0.1:9/jwks.json").caller(f"Bearer {signed}")
