"""The stage for attacks, one for each server."""

from collections.abc import Iterator

import pytest

from tests.access.stage import Stage, stage_on
from tests.support.servers import Server


@pytest.fixture(scope="session")
def stage(server: Server, template: str) -> Iterator[Stage]:
    with stage_on(server, template) as ready:
        yield ready
