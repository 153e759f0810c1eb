"""``shards.toml``: which machines there are, and which account is on which."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pg_payments.errors import ConfigurationError

NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
ACCOUNT = re.compile(r"[A-Za-z0-9_]{1,255}")
OF_THE_LOGIN = frozenset({"user", "password"})
"""What of an address is the login's and not the machine's."""


@dataclass(frozen=True)
class Machine:
    """One database with the whole package in it."""

    number: int
    name: str
    address: dict[str, str]
    """How the router's server reaches it, as libpq takes it, without user and password."""
    user: str
    password: str | None
    owner: str | None
    """How the command line reaches it as somebody who may act as payments_owner; None: not said."""
    takes_new_accounts: bool

    def full_address(self) -> str:
        """The address as the file has it."""
        login = {"user": self.user} | ({} if self.password is None else {"password": self.password})
        return make_conninfo("", **self.address, **login)


@dataclass(frozen=True)
class Shards:
    """All machines, in their order, and the accounts whose machine is said."""

    machines: tuple[Machine, ...]
    default: Machine
    """Where the account behind the environment's key is, and everything that is of no account."""
    accounts: dict[str, Machine]

    def named(self, name: str) -> Machine:
        """Raises `ConfigurationError` for a name that no machine has."""
        for machine in self.machines:
            if machine.name == name:
                return machine
        raise ConfigurationError(f"no machine is called {name}", hint=", ".join(m.name for m in self.machines))


def read(path: Path) -> Shards:
    """Raises `ConfigurationError` for a file that is not there, or does not say what it has to."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from None
    try:
        return _shards(found)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.message}", hint=error.hint) from None


def _shards(found: dict[str, Any]) -> Shards:
    _only(found, "the file", {"default", "machines", "accounts"})
    tables = found.get("machines")
    if not isinstance(tables, dict) or not tables:
        raise ConfigurationError("there are no machines", hint="[machines.NAME] with an address, for each")
    machines = tuple(_machine(number, name, table) for number, (name, table) in enumerate(tables.items()))
    if len({(machine.user, machine.password) for machine in machines}) > 1:
        raise ConfigurationError("all addresses must have one user and password", hint="PL/Proxy has one login for all")
    if not any(machine.takes_new_accounts for machine in machines):
        raise ConfigurationError("no machine takes new accounts")
    by_name = {machine.name: machine for machine in machines}
    accounts = found.get("accounts", {})
    for name in [found.get("default"), *accounts.values()]:
        if name not in by_name:
            raise ConfigurationError(f"no machine is called {name}", hint=", ".join(by_name))
    for account in accounts:
        if not ACCOUNT.fullmatch(account):
            raise ConfigurationError(f"{account} is no account's id")
    return Shards(machines, by_name[found["default"]], {a: by_name[name] for a, name in accounts.items()})


def _machine(number: int, name: str, table: object) -> Machine:
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"{name} is no machine's name", hint="lower-case letters, digits and _")
    if not isinstance(table, dict) or not isinstance(table.get("address"), str):
        raise ConfigurationError(f"machine {name} has no address", hint='address = "postgresql://login@host/database"')
    _only(table, f"machine {name}", {"address", "owner", "new_accounts"})
    try:
        address = {key: str(value) for key, value in conninfo_to_dict(table["address"]).items()}
        conninfo_to_dict(table.get("owner") or "")
    except psycopg.Error:
        raise ConfigurationError(f"machine {name} has an address that libpq does not understand") from None
    if "user" not in address or "dbname" not in address:
        raise ConfigurationError(f"the address of machine {name} must name its user and its database")
    return Machine(
        number,
        name,
        {key: value for key, value in address.items() if key not in OF_THE_LOGIN},
        address["user"],
        address.get("password"),
        table.get("owner"),
        bool(table.get("new_accounts", True)),
    )


def _only(table: dict[str, Any], what: str, known: set[str]) -> None:
    if unknown := set(table) - known:
        raise ConfigurationError(f"{what} says {', '.join(sorted(unknown))}", hint=f"known: {', '.join(sorted(known))}")
