"""What the figures were measured on: the machine, its disk, and Postgres's settings."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.bench import Bench

SHOWN = (
    "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers", "max_wal_size",
    "checkpoint_timeout", "autovacuum", "jit", "io_method",
)  # fmt: skip
SETTINGS = "select name, current_setting(name) from pg_settings where name = any (%s) order by name"
WRITES = 200


def machine(bench: Bench) -> dict[str, str]:
    """{what: value}."""
    with psycopg.connect(bench.server.url()) as conn:
        (version,) = conn.execute("show server_version").fetchone() or ("",)
    directory = bench.server.directory
    return {
        "processor": f"{os.cpu_count()} × {_first('/proc/cpuinfo', 'model name') or platform.processor()}",
        "memory": _first("/proc/meminfo", "MemTotal") or "",
        "system": platform.platform(),
        "python": platform.python_version(),
        "psycopg": f"{psycopg.__version__} ({psycopg.pq.__impl__})",
        "postgres": version,
        "disk": f"{_filesystem(directory)}; {_flush(directory):.0f} µs for a flushed write of 8 kB",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()) + " before",
    }


def settings(bench: Bench, chosen: Mapping[str, str]) -> dict[str, str]:
    """{name: value} of those that matter and those that were chosen."""
    with psycopg.connect(bench.server.url()) as conn:
        rows = conn.execute(SETTINGS, [[*SHOWN, *chosen]]).fetchall()
    shown = {name: f"{value} (chosen)" if name in chosen else value for name, value in rows}
    return shown | {"all others": "as Postgres ships them; reached through a Unix socket"}


def _first(path: str, key: str) -> str | None:
    """The value of the first `key: value` of a file of /proc."""
    if not Path(path).exists():
        return None
    values = (line.partition(":") for line in Path(path).read_text().splitlines())
    return next((value.strip() for name, _, value in values if name.strip() == key), None)


def _filesystem(directory: Path) -> str:
    """Type of the file system that holds the data."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown file system"
    best = ("", "unknown file system")
    for line in mounts.read_text().splitlines():
        _, at, kind = line.split()[:3]
        if directory.resolve().is_relative_to(at) and len(at) > len(best[0]):
            best = (at, kind)
    return best[1]


def _flush(directory: Path) -> float:
    """Microseconds of writing 8 kB to the end of a file and flushing them, the median of many times."""
    path, block, took = directory / "flush", b"\0" * 8192, list[float]()
    with path.open("wb", buffering=0) as file:
        for _ in range(WRITES):
            began = time.perf_counter()
            file.write(block)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - began)
    path.unlink()
    return median(took) * 1e6
