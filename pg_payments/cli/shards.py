"""`pg-payments shards …`: which machines a router has, and moving an account from one to another."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from pg_payments.cli.connections import url_of
from pg_payments.cli.groups import group
from pg_payments.cli.options import Json, RouterUrl
from pg_payments.cli.output import print_json, print_note, print_rows
from pg_payments.errors import ConfigurationError
from pg_payments.router import move as moving
from pg_payments.router import shards
from pg_payments.settings import Settings

commands = group("The machines behind a router, and which account is on which.")

FileOfMachines = Annotated[Path, typer.Option("--shards", metavar="FILE", help="Which machines there are.")]
DEFAULT = Path("shards.toml")

_MACHINES = ("machine", "accounts", "is_up", "takes_new_accounts", "is_default")
_MOVES = ("account", "source", "target", "step", "told_at", "next")


def _router(given: str | None) -> str:
    url = given or Settings.load().router_url
    if not url:
        raise ConfigurationError(
            "no router is named", hint="--router-url, as somebody who may act as payments_owner there"
        )
    return url_of(url)


@commands.command()
def status(router_url: RouterUrl = None, file: FileOfMachines = DEFAULT, as_json: Json = False) -> None:
    """Show the machines, how many accounts each has, and moves that have not come to their end."""
    found = shards.read(file)
    with closing(moving.router(_router(router_url))) as conn:
        numbers, standing = moving.accounts(conn), moving.moves(conn)
    machines = [
        {
            "machine": machine.name,
            "accounts": numbers.get(machine.name),
            "is_up": moving.is_up(machine),
            "takes_new_accounts": machine.takes_new_accounts,
            "is_default": machine is found.default,
        }
        for machine in found.machines
    ]
    on_their_way: list[dict[str, object]] = [
        {
            "account": move.account,
            "source": move.source,
            "target": move.target,
            "step": move.step,
            "told_at": move.told_at,
            "next": f"pg-payments shards move {move.account} --to {move.target}"
            + (f"; back: --to {move.source}" if move.step in ("copying", "switching") else ""),
        }
        for move in standing
    ]
    if as_json:
        print_json({"machines": machines, "moves": on_their_way})
        return
    print_rows(_MACHINES, machines)
    if on_their_way:
        print_rows(_MOVES, on_their_way)


@commands.command()
def move(
    account: Annotated[str, typer.Argument(help="The account, as acct_1Big.")],
    to: Annotated[str, typer.Option(help="The machine's name in the file.")],
    router_url: RouterUrl = None,
    file: FileOfMachines = DEFAULT,
    as_json: Json = False,
) -> None:
    """Move an account while its deliveries go on; again after it was broken off. To where it was: take it back."""
    found = shards.read(file)
    url = _router(router_url)
    moving.move(url, found, account, to, (lambda _: None) if as_json else print)
    placed = found.accounts.get(account)
    if placed is not None and placed.name != to:
        print_note(f'write {account} = "{to}" under [accounts] in {file}, which names {placed.name}')
    if as_json:
        print_json({"account": account, "machine": to})
