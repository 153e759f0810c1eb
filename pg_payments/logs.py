"""What the server writes about itself: one line a record, as `key="value"` pairs or as JSON.

    time="2026-11-21T10:00:00.123Z" level="warning" logger="pg_payments.http" message="refused" method="POST" …
    {"time": "2026-11-21T10:00:00.123Z", "level": "warning", "logger": "pg_payments.http", "message": "refused", …}

A line holds nothing that a request, a row or Stripe brought: no body, no token, no key, no address. So an exception is
told by its class and by the places it came through, never by its message, which may quote any of these.
"""

from __future__ import annotations

import json
import logging
import logging.config
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any

log = logging.getLogger("pg_payments.http")

PLACES = 8
"""The innermost places that are told of an exception."""


class LogFormat(StrEnum):
    """How a line is written."""

    text = "text"
    json = "json"


class Line:
    """A message with facts. Under any other formatter it reads `message key="value" …` too."""

    def __init__(self, message: str, facts: Mapping[str, object]) -> None:
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        return " ".join(filter(None, [self.message, _pairs(self.facts)]))


def line(message: str, **facts: object) -> Line:
    """What to hand to a logger; values are quoted so that none can pass for another key or line."""
    return Line(message, facts)


class Formatter(logging.Formatter):
    """Writes our lines, and the first line of anybody else's."""

    def __init__(self, log_format: str) -> None:
        super().__init__()
        self._written = json.dumps if log_format == LogFormat.json else _pairs

    def format(self, record: logging.LogRecord) -> str:
        said = record.msg if isinstance(record.msg, Line) else Line(*_first_line(record.getMessage()))
        return self._written(
            {
                "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": said.message,
                **{name: _plain(fact) for name, fact in said.facts.items()},
                **(_exception(*record.exc_info) if record.exc_info else {}),
            }
        )


def log_config(log_format: LogFormat) -> dict[str, Any]:
    """For `logging.config.dictConfig`: everything to stderr; from other libraries, warnings only."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": "pg_payments.logs.Formatter", "log_format": log_format.value}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"pg_payments": {"level": "INFO"}, "uvicorn": {"level": "INFO"}},
    }


def start_logging(log_format: LogFormat) -> None:
    """Has this process log as `log_config` says."""
    logging.config.dictConfig(log_config(log_format))


def _pairs(facts: Mapping[str, object]) -> str:
    return " ".join(f"{name}={json.dumps(str(fact))}" for name, fact in facts.items())


def _plain(fact: object) -> object:
    return fact if fact is None or isinstance(fact, bool | int | float) else str(fact)


def _first_line(message: str) -> tuple[str, dict[str, object]]:
    return next(iter(message.splitlines()), ""), {}


def _exception(
    kind: type[BaseException] | None, _: BaseException | None, traceback: TracebackType | None
) -> dict[str, object]:
    if kind is None:
        return {}
    places = [
        f"{Path(frame.f_code.co_filename).name}:{line_number} {frame.f_code.co_name}"
        for frame, line_number in walk_tb(traceback)
    ]
    return {"exception": kind.__qualname__, "at": " > ".join(places[-PLACES:])}
