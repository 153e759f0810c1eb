"""An application of a test's own, on a port of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starlette.types import ASGIApp

from pg_payments.demo.serving import address_of, loopback_socket, served

Made = TypeVar("Made", bound=ASGIApp)


@contextmanager
def served_at(make: Callable[[str], Made]) -> Iterator[Made]:
    """What `make` makes of its own address answers there until the end."""
    with loopback_socket() as bound:
        made = make(address_of(bound))
        with served(made, bound):
            yield made
