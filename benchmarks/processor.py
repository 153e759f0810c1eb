"""Processor time of other processes, read from Linux's /proc; None elsewhere.

Unlike the clock, it hardly changes while the machine has other things to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def seconds_of(pids: Iterable[int]) -> float | None:
    """What these processes have used so far, in user and kernel mode; those that are gone count nothing."""
    if not Path("/proc/self/stat").exists():
        return None
    return sum(_seconds(pid) for pid in pids)


def difference(after: float | None, before: float | None) -> float | None:
    """What was used between two readings."""
    return None if after is None or before is None else after - before


def resident_bytes(pid: int) -> int | None:
    """A process's memory of its own, without what it shares with others (RssAnon)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


def _seconds(pid: int) -> float:
    try:
        on_processor, _, _ = Path(f"/proc/{pid}/schedstat").read_text().split()  # nanoseconds
        if int(on_processor):
            return int(on_processor) / 1e9
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # ticks, where the other isn't kept
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK
