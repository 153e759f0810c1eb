"""The plans of every statement that a block of code makes Postgres run, those inside functions included.

(Postgres documentation: auto_explain.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.errors import Diagnostic

Node = dict[str, Any]

SCHEMAS = ("payments", "payments_private")
SETTINGS = {
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_verbose": "on",  # names the schema of each table
    "auto_explain.log_format": "json",
    "client_min_messages": "log",
}


@dataclass(frozen=True)
class Statement:
    """One statement as it was run: the PL/pgSQL function it stands in, if any, its text, and its plan's top node."""

    function: str
    text: str
    plan: Node
    compiled: bool
    """Whether Postgres found it worth compiling (JIT), which costs more than most statements."""

    def nodes(self) -> Iterator[Node]:
        return _nodes(self.plan)

    def scans(self) -> Iterator[Scan]:
        for node in self.nodes():
            if node["Node Type"].endswith("Scan") and "Relation Name" in node and node.get("Schema") in SCHEMAS:
                yield Scan(self, node)

    def tables(self) -> set[str]:
        """Which of our tables it reads or writes."""
        return {n["Relation Name"] for n in self.nodes() if n.get("Schema") in SCHEMAS and "Relation Name" in n}


@dataclass(frozen=True)
class Scan:
    """How a statement reads one of our tables."""

    statement: Statement
    node: Node

    @property
    def table(self) -> str:
        return str(self.node["Relation Name"])

    @property
    def whole(self) -> bool:
        """No key leads it: it goes through the table, or through all of an index."""
        return not any("Index Cond" in node for node in _nodes(self.node))

    @property
    def rows(self) -> float:
        """Rows looked at each time, those that did not fit included."""
        return float(sum(self.node.get(name, 0) for name in (
            "Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")))  # fmt: skip

    @property
    def blocks(self) -> float:
        """Blocks of 8 kB touched each time; 0 where it calls a function of ours, whose blocks would be among them."""
        if re.search(r"payments(_private)?\.\w+\(", f"{self.node.get('Output')} {self.node.get('Filter')}"):
            return 0
        return _blocks(self.node) / float(max(self.node["Actual Loops"], 1))

    def __str__(self) -> str:
        shown = {k: v for k, v in self.node.items() if k in (
            "Node Type", "Index Name", "Index Cond", "Filter", "Actual Rows", "Actual Loops",
            "Rows Removed by Filter", "Shared Hit Blocks")}  # fmt: skip
        text = re.sub(r"\s+", " ", self.statement.text)
        return f"{self.statement.function or 'the client'}: {self.table} {shown}\n    in: {text[:300]}"


@contextmanager
def recorded_plans(conn: psycopg.Connection[Any]) -> Iterator[list[Statement]]:
    """What a superuser's connection runs meanwhile, as it ends; complete when the block has ended."""
    statements: list[Statement] = []

    def note(notice: Diagnostic) -> None:
        _, is_plan, plan = (notice.message_primary or "").partition("plan:\n")
        if is_plan:
            report = json.loads(plan)
            function = re.search(r'^PL/pgSQL function "?([\w.]+)', notice.context or "", re.MULTILINE)
            statements.append(
                Statement(function[1] if function else "", report["Query Text"], report["Plan"], "JIT" in report)
            )

    conn.execute("load 'auto_explain'")
    for name, value in SETTINGS.items():
        conn.execute("select set_config(%s, %s, false)", [name, value])
    conn.add_notice_handler(note)
    try:
        yield statements
    finally:
        conn.remove_notice_handler(note)
        conn.execute("set auto_explain.log_min_duration = -1")
        conn.execute("reset client_min_messages")


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _blocks(node: Node) -> int:
    """What the node touched itself: it counts its parameters' subplans too, but not what its bitmaps were read from."""
    others = sum(_total(child) for child in node.get("Plans", ()) if child["Parent Relationship"] != "Outer")
    return _total(node) - others


def _total(node: Node) -> int:
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])
