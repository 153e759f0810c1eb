"""The benchmarks run from end to end, and their stream of events is what it says it is. No speed is asserted here."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from benchmarks import wrk
from benchmarks.contenders import Contender
from benchmarks.report import Part, Report, Table
from benchmarks.stream import Tape
from benchmarks.tasks import Task
from tests.support.required import lacking
from tests.support.tools import ROOT

pytestmark = pytest.mark.slow

PARTS = {
    "pipeline": ["events taken in"],
    "size": ["tables", "indexes"],
    "repeats": ["events that tell nothing new"],
    "sync": ["objects stored"],
    "access": ["reading and retrying"],
    "rebuild": ["pg-payments rebuild"],
    "bloat": ["tables"],
    "linked": ["milliseconds each, medians of the rounds", "linking in steps"],
    "dashboard": ["pages"],
    "router": ["an event through a router"],
    "flat": ["cost of an event"],
}
CONTENDERS = ["baseline-1", "one-1", "baseline-16", "one-16", "batch-2", "asgi-64", "http-64"]
FIGURES = {"events", "rate", "p50", "p99", "backend_cpu", "client_cpu", "wal", "reads"}


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """What a short run of everything prints, and what it writes."""
    file = tmp_path_factory.mktemp("benchmarks") / "found.json"
    done = benchmarks("all", "--short", "--json", str(file))
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(file.read_text())


@pytest.mark.alone
def test_every_table_is_printed(short_run: tuple[str, dict[str, Any]]) -> None:
    printed, _ = short_run
    headings = [line.strip() for line in printed.splitlines()]
    for part, tables in PARTS.items():
        assert any(line.startswith(f"{part}: ") for line in headings), part
        for table in ["machine", "settings", *tables]:
            assert table in headings


@pytest.mark.parametrize("figure", ["1", "12,345", "1,234,567,890"])
def test_a_title_is_one_line_however_narrow_its_table(capsys: pytest.CaptureFixture[str], figure: str) -> None:
    title = "the cost of an event that tells nothing new to anybody"
    Report().add(Part("part", "about", [Table(title, ("what", "found"), [("it", figure)])]))
    assert title in capsys.readouterr().out.splitlines()


@pytest.mark.alone
def test_everything_printed_is_in_the_json(short_run: tuple[str, dict[str, Any]]) -> None:
    _, found = short_run
    assert set(found) == {"machine", "settings", "parts"}
    assert found["settings"].items() >= {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}.items()
    assert list(found["parts"]) == list(PARTS)
    for part, tables in PARTS.items():
        assert list(found["parts"][part]["tables"]) == tables
        assert all(found["parts"][part]["tables"].values())
    for part in ("pipeline", "size", "repeats", "sync", "access", "rebuild", "dashboard", "flat"):
        goals = found["parts"][part]["goals"]
        assert goals
        assert all(set(goal) == {"name", "found", "bound", "at_least", "unit", "met"} for goal in goals)
    pipeline = found["parts"]["pipeline"]["tables"]["events taken in"]
    assert [row["contender"] for row in pipeline] == CONTENDERS
    assert all(set(measured) == FIGURES for row in pipeline for measured in row["rounds"])


@pytest.mark.alone
def test_contenders_can_be_chosen(tmp_path: Path) -> None:
    done = benchmarks(
        "pipeline", "--short", "--only", "baseline-2,batch-1", "--markdown", "--json", str(tmp_path / "found.json")
    )
    assert done.returncode == 0, done.stderr
    assert "| baseline-2 | " in done.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["contender"] for row in found["parts"]["pipeline"]["tables"]["events taken in"]] == [
        "baseline-2",
        "batch-1",
    ]


@pytest.fixture(scope="module")
def tape() -> Tape:
    return Tape(seed=7, customers=100)


def test_the_stream_is_the_seeds(tape: Tape) -> None:
    laps = range(3, 5)
    assert list(Tape(seed=7, customers=100).bodies(laps)) == list(tape.bodies(laps))
    assert list(Tape(seed=8, customers=100).bodies(laps)) != list(tape.bodies(laps))


def test_a_body_is_about_three_kilobytes(tape: Tape) -> None:
    sizes = [len(body) for body in tape.bodies(range(2))]
    assert 2500 <= sum(sizes) / len(sizes) <= 3500
    assert 2500 <= tape.mean_bytes <= 3500


def test_laps_have_nothing_in_common_but_the_catalogue(tape: Tape) -> None:
    first, second = ([json.loads(body) for body in tape.bodies(range(lap, lap + 1))] for lap in (0, 1))

    def ids(events: list[dict[str, Any]]) -> set[str]:
        return {event["id"] for event in events} | {event["data"]["object"]["id"] for event in events}

    assert len({event["id"] for event in first + second}) == 2 * len(tape)
    assert not ids(first) & ids(second)
    assert [event["type"] for event in first] == [event["type"] for event in second]
    assert all(b["created"] - a["created"] == 900 for a, b in zip(first, second, strict=True))


def test_a_merchants_life_is_in_it(tape: Tape) -> None:
    types = {json.loads(body)["type"] for body in tape.bodies(range(1))}
    assert types >= {
        "customer.created", "checkout.session.completed", "checkout.session.expired", "customer.subscription.created",
        "customer.subscription.updated", "invoice.paid", "invoice_payment.paid", "charge.succeeded", "charge.refunded",
        "refund.created", "payment_intent.succeeded", "payment_intent.payment_failed",
    }  # fmt: skip


def test_shares_are_dealt_without_loss(tape: Tape) -> None:
    laps = range(2)
    dealt = [body for share in range(3) for body in tape.bodies(laps, share, 3)]
    assert len(dealt) == 2 * len(tape)
    assert sorted(dealt) == sorted(tape.bodies(laps))
    for share in range(3):
        own = [json.loads(body)["id"] for body in tape.bodies(laps, share, 3)]
        assert own == list(tape.ids(laps, share, 3))


def test_events_said_again_are_later_and_of_other_ids(tape: Tape) -> None:
    laps = range(1)
    first, again = ([json.loads(body) for body in bodies] for bodies in (tape.bodies(laps), tape.again(laps, 1)))
    assert [event["data"] for event in again] == [event["data"] for event in first]
    assert not {event["id"] for event in first} & {event["id"] for event in again}
    assert min(event["created"] for event in again) > max(event["created"] for event in first)


def test_a_load_that_runs_out_of_requests_is_not_refused() -> None:
    """The connection that is answered first asks for one more than there are; the others are not through yet."""
    if not wrk.available():
        lacking("wrk", "wrk is not installed")
    taken = itertools.count()

    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if next(taken) in range(1, 4):
                first_is_through.wait(10)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            if next(answered) == 1:
                first_is_through.set()

        def log_message(self, *_: object) -> None:
            pass

    first_is_through, answered = threading.Event(), itertools.count()
    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        task = Task(Contender.named("http-4"), url, range(1), 0, 1, connections=4, warm_up=0, seconds=1)
        tally = wrk.perform(task, [(b"{}", "t=1")] * 4, ready=lambda: 0.0)
        server.shutdown()
    assert 1 <= tally.timed <= 4
