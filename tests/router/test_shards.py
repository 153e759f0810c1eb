"""What ``shards.toml`` may say."""

from pathlib import Path

import pytest

from pg_payments.errors import ConfigurationError
from pg_payments.router import shards

TWO = """
default = "main"
[machines.main]
address = "postgresql://router:secret@db1:5433/app?sslmode=require"
[machines.second]
address = "host=db2 dbname=app user=router password=secret"
new_accounts = false
[accounts]
acct_1Big = "second"
"""


def written(directory: Path, text: str) -> Path:
    path = directory / "shards.toml"
    path.write_text(text)
    return path


def test_a_file_names_machines_in_their_order_and_the_accounts_placed_by_hand(tmp_path: Path) -> None:
    found = shards.read(written(tmp_path, TWO))
    assert [(m.number, m.name, m.takes_new_accounts) for m in found.machines] == [
        (0, "main", True),
        (1, "second", False),
    ]
    assert found.default.address == {"host": "db1", "port": "5433", "dbname": "app", "sslmode": "require"}
    assert (found.default.user, found.default.password) == ("router", "secret")
    assert found.accounts == {"acct_1Big": found.named("second")}


@pytest.mark.parametrize(
    ("former", "latter", "complaint"),
    [
        ('default = "main"', 'default = "third"', "no machine is called third"),
        ('acct_1Big = "second"', 'acct_1Big = "third"', "no machine is called third"),
        ('acct_1Big = "second"', '"acct\'1" = "second"', "is no account's id"),
        ("[machines.second]", '[machines."it\'s"]', "is no machine's name"),
        ("new_accounts", "new_account", "says new_account"),
        ("password=secret", "password=other", "one user and password"),
        ("user=router ", "", "must name its user"),
        ("[machines.main]", "[machines.main", "can't be read"),
    ],
)
def test_what_a_file_says_wrongly_is_named(tmp_path: Path, former: str, latter: str, complaint: str) -> None:
    assert former in TWO
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        shards.read(written(tmp_path, TWO.replace(former, latter)))
    assert "secret" not in str(caught.value)
