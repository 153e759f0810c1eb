"""Programs that some tests need and a machine may lack: then they are skipped, with the reason.

Not where ``PAYMENTS_TEST_REQUIRE`` lists the program (``15,18,node,pgbouncer``): there, a lack is a failure.
"""

import os
import re
from typing import NoReturn

import pytest


def required() -> set[str]:
    """What ``PAYMENTS_TEST_REQUIRE`` lists: versions of Postgres and names of programs."""
    return set(re.findall(r"\w+", os.environ.get("PAYMENTS_TEST_REQUIRE", "")))


def lacking(program: str, reason: str) -> NoReturn:
    """Ends the test that needs ``program``, one of ``node`` and ``pgbouncer``."""
    if program in required():
        pytest.fail(f"PAYMENTS_TEST_REQUIRE lists {program}: {reason}", pytrace=False)
    pytest.skip(reason)
