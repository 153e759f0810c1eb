"""Tests that measure seconds run while no other test does, whatever order and processes they come in.

Every test is in a room with others; a test marked ``alone`` has it to itself. Who wants that closes the door first, so
that those who come later wait outside.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def room(item: pytest.Item) -> Iterator[None]:
    """Shared by tests that run beside each other, or had alone. One process that runs all needs none."""
    if not hasattr(item.config, "workerinput"):
        yield
        return
    shared = Path(item.config.option.basetemp).parent
    mode = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
    with (shared / "door").open("w") as door, (shared / "room").open("w") as inside:
        fcntl.flock(door, mode)
        fcntl.flock(inside, mode)
        if mode == fcntl.LOCK_SH:
            fcntl.flock(door, fcntl.LOCK_UN)
        yield
