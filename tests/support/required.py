"""Programs that some tests need and a machine may lack: then they are skipped, with the reason.

Not where ``PAYMENTS_TEST_REQUIRE`` lists the program: there, a lack is a failure. (``15,18,node,pgbouncer,plproxy`` …)
What is missing is said once, before the tests, with the command that brings it; nothing is installed unasked.
"""

import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import NoReturn

import pytest


def required() -> set[str]:
    """What ``PAYMENTS_TEST_REQUIRE`` lists: versions of Postgres and names of programs."""
    return set(re.findall(r"\w+", os.environ.get("PAYMENTS_TEST_REQUIRE", "")))


def lacking(program: str, reason: str) -> NoReturn:
    """Ends the test that needs ``program``, for instance ``node``, or a version of Postgres."""
    if program in required():
        pytest.fail(f"PAYMENTS_TEST_REQUIRE lists {program}: {reason}", pytrace=False)
    pytest.skip(reason)


def missing_here(missing_versions: Collection[int]) -> list[str]:
    """A line on what is missing on this machine and one with the command that brings it, if there is one."""
    packages = {f"Postgres {version}": f"postgresql-{version}" for version in missing_versions}
    if shutil.which("node") is None or shutil.which("npm") is None:
        packages["node"] = "nodejs npm"
    if not any(shutil.which("pgbouncer", path=path) for path in (None, "/usr/sbin:/usr/local/sbin")):
        packages["pgbouncer"] = "pgbouncer"
    if not any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")):
        packages["chromium"] = "chromium"
    if shutil.which("wrk") is None:
        packages["wrk"] = "wrk"
    if not Path("/usr/share/postgresql/15/extension/plproxy.control").exists():
        packages["plproxy"] = "postgresql-15-plproxy"
    if not packages:
        return []
    lines = [f"missing, so their tests are left out: {', '.join(packages)}"]
    if shutil.which("apt-get"):
        lines.append(f"to have them: sudo apt-get install -y --no-install-recommends {' '.join(packages.values())}")
    return lines
