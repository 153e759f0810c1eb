"""Real-shaped events bent out of shape: other types, missing parts, numbers and text that databases dislike."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from tests.stripe_simulator.models import Json

VERBATIM = {
    "@1e400@": "1e400",
    "@1e200000@": "1e200000",
    "@-0@": "-0",
    "@1.0@": "1.0",
    "@big@": "9" * 40,
    "@huge@": "9" * 200_000,
}
"""Numbers as they stand in the body; Python's json would change or refuse them."""

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    2**53,
    2**63,
    -(2**63) - 1,
    *VERBATIM,
    "",
    " ",
    "x",
    "null",
    "\u0000",
    "a\u0000b",
    "\ud800",
    "\udc00x",
    "\U0001f4b8",
    "'; drop schema payments cascade; --",
    "%s %(x)s $1 {}",
    "x" * 5000,
    "2020-01-01",
    "12",
    [],
    {},
    [[]],
    [None],
    [1, "x", {}],
    {"id": None},
    {"id": 5},
    {"id": ""},
    {"id": "obj_expanded"},
    {"id": {"id": "x"}},
    {"data": None},
    {"data": [None, 1, "x", [], {}]},
    {"object": "list", "data": {"0": 1}},
    {"payments_subject_type": "user"},
    {"payments_subject_type": "User:1", "payments_subject_id": "x"},
    {"payments_subject_type": 1, "payments_subject_id": []},
    {"payments_subject_type": "user", "payments_subject_id": "stolen"},
    {"subscription": {"id": []}},
)


def body(event: Any) -> str:
    """The event as JSON text, verbatim numbers put in."""
    text = json.dumps(event)
    for name, number in VERBATIM.items():
        text = text.replace(f'"{name}"', number)
    return text


def mutate(event: Json, rng: random.Random) -> Json:
    """A copy with one to four wounds, most of them in the object."""
    wounded = copy.deepcopy(event)
    for _ in range(rng.randint(1, 4)):
        root = wounded if rng.random() < 0.15 else wounded.get("data", wounded)
        holder, key = _somewhere(root, rng)
        if holder is None:
            continue
        match rng.random():
            case p if p < 0.65:
                holder[key] = copy.deepcopy(rng.choice(VALUES))
            case p if p < 0.85:
                del holder[key]
            case p if p < 0.93:
                holder[key] = [holder[key]]
            case p if p < 0.96:
                holder[key] = nested(rng.choice((10, 60)), holder[key])
            case _:
                donor, other = _somewhere(root, rng)
                if donor is not None:
                    holder[key] = copy.deepcopy(donor[other])
    return wounded


def nested(depth: int, core: Any) -> Any:
    for level in range(depth):
        core = {"x": core} if level % 2 else [core]
    return core


def mangle(text: str, rng: random.Random) -> str:
    """The body's text damaged: cut short, a byte changed, a key doubled, a part repeated."""
    at = rng.randrange(len(text))
    match rng.randrange(4):
        case 0:
            return text[:at]
        case 1:
            return text[:at] + rng.choice('{}[]",:0e-\\u\t ') + text[at + 1 :]
        case 2:
            return text.replace('"object":', f'"id": "evt_twice_{rng.randrange(10**9)}", "object":', 1)
        case _:
            return text[:at] + text[max(at - 40, 0) :]


def _somewhere(node: Any, rng: random.Random) -> tuple[Any, Any]:
    """A container and a key in it, chosen by a random walk; (None, None) where there is none."""
    holder, key = None, None
    while isinstance(node, dict | list) and node:
        holder = node
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        node = holder[key]
        if rng.random() < 0.35:
            break
    return holder, key
