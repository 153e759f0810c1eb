"""What the tests fetch for themselves is fetched once, though several processes find it missing at the same time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Waits until no other process is in this block with the same directory, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
