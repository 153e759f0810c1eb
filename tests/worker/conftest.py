"""What a worker needs to reach an account at Stripe."""

from __future__ import annotations

import pytest

from pg_payments.stripe.client import StripeApi
from tests.support.stripe_events import StripeEvents

KEY = "sk_test_of_the_shop"


@pytest.fixture
def stripe(account: StripeEvents) -> StripeApi:
    return StripeApi(KEY, account.base_url)


@pytest.fixture
def variables(service_url: str, account: StripeEvents) -> dict[str, str]:
    """The environment of a command."""
    return {
        "PAYMENTS_DATABASE_URL": service_url, "STRIPE_TEST_SECRET_KEY": KEY, "STRIPE_API_BASE": account.base_url,
        "PAYMENTS_WORKER_SYNC_HOURS": "0", "PAYMENTS_WORKER_SWEEP_SECONDS": "0",
    }  # fmt: skip
