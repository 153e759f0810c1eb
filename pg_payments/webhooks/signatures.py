"""Verifying a delivery: its body is held against its signature as the bytes that Stripe signed."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

import stripe

from pg_payments.errors import ConfigurationError, InvalidPayload, SignatureInvalid, SignatureMissing


def refuse_unless_recent(signature: str | None, tolerance: int) -> None:
    """Says no to a header that no body could make good, before anything of the body is read.

    Raises `SignatureMissing`, and `SignatureInvalid` for one that is no signature of Stripe's or is too old.
    """
    if not signature:
        raise SignatureMissing("the delivery has no Stripe-Signature header", hint="only Stripe delivers here")
    parts = [part.partition("=") for part in signature.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if not times or not re.fullmatch("[0-9]{1,15}", times[0]) or not any(name == "v1" for name, _, _ in parts):
        raise SignatureInvalid("the Stripe-Signature header is none of Stripe's", hint="only Stripe delivers here")
    age = int(time.time()) - int(times[0])
    if age > tolerance:
        raise SignatureInvalid(
            f"the signature is {age} seconds old",
            detail="clock",
            hint="deliver it again; if every delivery is refused so, set this server's clock right",
        )


def verified_text(body: bytes, signature: str | None, secrets: Sequence[str], tolerance: int) -> str:
    """The body as text, if one of the secrets signed it within the last `tolerance` seconds.

    Raises `SignatureMissing`, `SignatureInvalid`, `InvalidPayload` (not UTF-8, which JSON always is), and
    `ConfigurationError` when there is no secret to hold it against.
    """
    if not signature:
        raise SignatureMissing("the delivery has no Stripe-Signature header")
    if not secrets:
        raise ConfigurationError("no webhook secret is set for this environment", detail="webhook secret")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidPayload("the body is not UTF-8") from None
    if not any(_signed_with(secret, text, signature, tolerance) for secret in secrets):
        raise SignatureInvalid(
            "no configured secret made this signature, or it is too old",
            detail="secret",
            hint="set the signing secret of the endpoint that Stripe delivers to",
        )
    if "\0" in text:
        raise InvalidPayload("the body is not JSON")
    return text


def _signed_with(secret: str, text: str, signature: str, tolerance: int) -> bool:
    try:
        stripe.WebhookSignature.verify_header(text, signature, secret, tolerance)
    except stripe.SignatureVerificationError:
        return False
    except TypeError:  # a header that isn't even ASCII
        return False
    return True
