"""What the tests fetch for themselves is fetched once, though several processes find it missing at the same time."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Waits until no other process is in this block with the same directory, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A temporary directory that all processes of a run share: who comes first fills it with ``make``, others wait."""
    base = factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with one_at_a_time(home):
        if not (home / ".made").exists():
            make(home)
            (home / ".made").touch()
    return home
