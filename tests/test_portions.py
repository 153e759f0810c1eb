"""What the workers are given when everything runs: see ``tests/support/portions.py``."""

from itertools import groupby

import pytest

from tests.support.portions import portions


def sizes(nodeids: list[str]) -> list[int]:
    portion = portions(nodeids)
    assert list(portion) == nodeids
    together = [list(group) for _, group in groupby(nodeids, portion.__getitem__)]
    assert len({portion[group[0]] for group in together}) == len(together), "no portion is torn"
    return [len(group) for group in together]


@pytest.mark.parametrize(
    ("nodeids", "expected"),
    [
        (["a.py::test_x[pg15]", "a.py::test_x[pg15-one]", "a.py::test_y[pg15-two-pg18]"], [3]),
        (["a.py::test_x[pg15]", "a.py::test_x[pg18]", "a.py::test_y[pg18-one]"], [1, 2]),
        (["a.py::test_x", "b.py::test_x", "b.py::test_y[one]"], [1, 2]),
        (["a.py::test_x[pg15]", "b.py::test_x[pg15]", "a.py::test_alone[pg15]"], [1, 1, 1]),
        ([], []),
    ],
    ids=["a module", "a version", "without a server", "what comes last comes by itself", "nothing"],
)
def test_a_portion_is_what_follows_each_other_of_one_module_and_version(
    nodeids: list[str], expected: list[int]
) -> None:
    assert sizes(nodeids) == expected
