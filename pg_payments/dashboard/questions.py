"""An action is a question first: what will happen, what is needed for it, and a button. Without it nothing happens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from pg_payments.dashboard.context import Context
from pg_payments.dashboard.forms import Form


@dataclass(frozen=True)
class Field:
    """One thing that the form asks for."""

    name: str
    label: str
    kind: str = "text"
    value: str = ""
    hint: str = ""
    options: Sequence[tuple[str, str]] = ()
    required: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Question:
    """What is shown before anything is done."""

    title: str
    says: Sequence[str]
    button: str
    back: str
    fields: Sequence[Field] = ()
    facts: Sequence[tuple[str, str]] = ()
    danger: bool = False
    current: str = ""


@dataclass(frozen=True)
class Done:
    """What was done, in a sentence, and where to go on."""

    notice: str
    where: str


@dataclass(frozen=True)
class Action:
    """`ask` makes the question, `act` does it with what the form says. `for_keys`: only who may replace keys."""

    ask: Callable[[Context], Awaitable[Question]]
    act: Callable[[Context, Form], Awaitable[Done]]
    for_keys: bool = field(default=False)
