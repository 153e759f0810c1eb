"""A finding: one sentence on one topic, how bad it is, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pg_payments.settings import Environment

Level = Literal["skipped", "green", "yellow", "red"]
"""`red`: payments are wrong, late, lost or open to others until somebody acts; `yellow`: worth a look; `skipped`: this
login or key may not look, or Stripe was out of reach."""
LEVELS: tuple[Level, ...] = ("red", "yellow", "skipped", "green")
"""The worst first."""

Fix = Literal["mend", "retry", "analyze"]
"""What `--fix` may do without asking: put back what was changed by hand, retry due events, gather statistics."""


SKEW_SECONDS = 5
"""How far two clocks may be apart before it is told."""


@dataclass(frozen=True)
class Finding:
    """What a check found. `next_step` is a command, a statement or a sentence; None where nothing is to be done."""

    topic: str
    level: Level
    finding: str
    next_step: str | None = None
    environment: Environment | None = None
    fix: Fix | None = None


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level among them; `green` if there is none. What was skipped counts as green."""
    found = {finding.level for finding in findings}
    return "red" if "red" in found else "yellow" if "yellow" in found else "green"
