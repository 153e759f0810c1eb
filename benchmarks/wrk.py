"""wrk as the load, where it is installed: a compiled client, which takes less of the machine that it measures with.

It is given the signed requests in a file and sends each once. It counts whole seconds, and what is under way when they
are over goes unanswered.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.contenders import Signed
from benchmarks.endpoint import request
from benchmarks.tasks import Tally, Task

SCRIPT = """
local file, asked = assert(io.open(REQUESTS, "rb")), 0
local function following()
  local length = file:read(8)
  return length and file:read(tonumber(length))
end
local first = following()
function request()
  asked = asked + 1
  if asked <= 2 then return first end  -- wrk looks at one before it begins
  return following() or first  -- none is left: this is taken too, and the next answer stops the run
end
function response(status)
  if status ~= 200 or asked > COUNT + 1 then wrk.thread:stop() end
end
function done(summary, latency)
  local values = {}
  for n = 1, 999 do values[n] = string.format("%d", latency:percentile(n / 10)) end
  local errors = summary.errors.status + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('{"requests": %d, "microseconds": %d, "errors": %d, "latencies": [%s]}',
                         summary.requests, summary.duration, errors, table.concat(values, ",")))
end
"""


def available() -> bool:
    return shutil.which("wrk") is not None


def perform(task: Task, stock: list[Signed], ready: Callable[[], float]) -> Tally:
    """The task's share, on as many connections as the contender has clients; without a warm-up."""
    parts = urlsplit(task.target)
    with tempfile.TemporaryDirectory() as directory:
        file, script = Path(directory) / "requests", Path(directory) / "deliver.lua"
        with file.open("wb") as written:
            for signed in stock:
                sent = request(task.target, signed)
                written.write(b"%08d" % len(sent) + sent)
        script.write_text(f"local REQUESTS, COUNT = {json.dumps(str(file))}, {len(stock)}\n{SCRIPT}")
        ready()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        told = subprocess.run(
            ["wrk", "-t1", f"-c{task.connections}", f"-d{max(1, round(task.seconds))}s", "-s", str(script),
             f"{parts.scheme}://{parts.netloc}{parts.path}"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(told[told.index("{") :])
    if found["errors"] or not found["requests"]:
        raise AssertionError(f"wrk was refused: {told}")
    answered = min(found["requests"], len(stock))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    latencies = [value / 1e6 for value in found["latencies"]]
    return Tally(answered, answered, found["microseconds"] / 1e6, latencies, cpu, None, task.connections)
