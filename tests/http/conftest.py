"""A shop on the web, for whatever test needs no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.site import Site, running_site


@pytest.fixture
def site(users_url: str) -> Iterator[Site]:
    with running_site(users_url) as running:
        yield running
