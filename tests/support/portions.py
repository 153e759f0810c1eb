"""What a worker is given at a time when everything runs: the tests of one module on one version, one after another.

So what a module has built, 100,000 rows for instance, is built once. The quick tests build nothing that is worth this,
and single tests are spread more evenly.
"""

from collections.abc import Sequence

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling


class Portions(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Gives out the portions in the order in which the tests were collected."""

    def __init__(self, config: pytest.Config, log: object) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # otherwise those of many tests would come first
        self._portion: dict[str, str] = {}

    def schedule(self) -> None:
        if self.collection is None:
            self._portion = portions(next(iter(self.registered_collections.values())))
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._portion[nodeid]


def portions(nodeids: Sequence[str]) -> dict[str, str]:
    """The portion of each test: those of one module and version that follow each other."""
    found: dict[str, str] = {}
    before: tuple[str, str] | None = None
    number = 0
    for nodeid in nodeids:
        module, _, test = nodeid.partition("::")
        which = (module, next((each for each in test.replace("[", "-").rstrip("]").split("-") if each[:2] == "pg"), ""))
        number += which != before
        before = which
        found[nodeid] = f"{number} {module}"
    return found
