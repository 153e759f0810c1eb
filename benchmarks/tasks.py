"""What a client process is asked for, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.contenders import Contender


@dataclass(frozen=True)
class Task:
    """One client process's part of a measurement: its share of the laps' events, for so many seconds."""

    contender: Contender
    target: str
    """libpq URI, or the URL of the webhook endpoint."""
    laps: range
    share: int
    shares: int
    connections: int
    """One, but for HTTP."""
    warm_up: float
    seconds: float


@dataclass(frozen=True)
class Tally:
    """What one client process did."""

    sent: int
    """Bodies from the beginning of its share, those of the warm-up included."""
    timed: int
    """Bodies within the measured time."""
    seconds: float
    latencies: list[float]
    """Seconds, one a delivery of one body or one batch."""
    client_cpu: float
    """Seconds."""
    server_cpu: float | None
    """Seconds of its own backend; None where unknown."""
    unanswered: int = 0
    """How many more may have been sent, and be kept."""
