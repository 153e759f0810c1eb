"""Where the tests' own clusters are: in memory if there is plenty, since copying a database there takes a tenth."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
CONTROL_GROUP = Path("/sys/fs/cgroup")
PLENTY = 10 * 2**30
"""Bytes: four workers with two clusters each stay below a third of it."""


def memory_for_clusters() -> Path | None:
    """A directory in memory, emptied of what killed runs left there; None where there is not plenty of it."""
    if not SHARED_MEMORY.is_dir() or not os.access(SHARED_MEMORY, os.W_OK):
        return None
    remove_leftovers(SHARED_MEMORY)
    return SHARED_MEMORY if min(shutil.disk_usage(SHARED_MEMORY).free, available()) >= PLENTY else None


def available() -> int:
    """Bytes that processes here may still take: what the machine has, or what a container may."""
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    found = int(lines["MemAvailable"].split()[0]) * 1024
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        if (CONTROL_GROUP / limit).exists() and (most := (CONTROL_GROUP / limit).read_text().strip()).isdigit():
            found = min(found, int(most) - int((CONTROL_GROUP / used).read_text()))
    return found


def remove_leftovers(directory: Path) -> None:
    """Clusters of an hour ago and longer, whose server has gone without removing them."""
    for pid_file in directory.glob("pg-payments-*/data/postmaster.pid"):
        with suppress(OSError):
            gone = not Path("/proc", pid_file.read_text().partition("\n")[0]).exists()
            if gone and time.time() - pid_file.stat().st_mtime > 3600:
                shutil.rmtree(pid_file.parents[1], ignore_errors=True)
