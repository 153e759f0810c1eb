"""`pg-payments rebuild` and `verify`: the projections computed again from the stored objects."""

from collections.abc import Callable
from typing import Any

import psycopg
import typer

from pg_payments.cli.connections import connected
from pg_payments.cli.options import DatabaseUrl, Json, OnlyEnvironment
from pg_payments.cli.output import counting, print_json, print_rows
from pg_payments.database import functions
from pg_payments.errors import Conflict
from pg_payments.settings import ENVIRONMENTS

commands = typer.Typer()


REBUILT_AT_ONCE = 100
"""Objects in one transaction of a rebuild: deliveries of these wait some 50 ms."""


@commands.command()
def rebuild(database_url: DatabaseUrl = None, environment: OnlyEnvironment = None, as_json: Json = False) -> None:
    """Compute the projections again from the stored objects, while deliveries go on."""
    with connected(database_url) as conn, counting() as say:
        rebuilt = [
            {"environment": name, "objects": _rebuild(conn, name, say)}
            for name in ([environment] if environment else ENVIRONMENTS)
        ]
    if as_json:
        print_json(rebuilt)
    else:
        print_rows(["environment", "objects"], rebuilt)


def _rebuild(conn: psycopg.Connection[Any], environment: str, say: Callable[[str, int], None]) -> int:
    """All steps of a rebuild, each its own transaction; says where it is as often as it begins with something else."""
    objects = 0
    after: str | None = None
    told: str | None = None
    while True:
        step = functions.rebuild_projections_step(conn, environment, after, REBUILT_AT_ONCE)
        objects += int(step["objects"])
        after = step["next"]
        if after is None:
            return objects
        what = after.partition("/")[0]
        if what != told:
            say(f"{environment} {what}", objects)
            told = what


@commands.command()
def verify(database_url: DatabaseUrl = None, environment: OnlyEnvironment = None, as_json: Json = False) -> None:
    """Compare the projections with a rebuild from the stored objects; exits with 1 if any row differs."""
    with connected(database_url) as conn:
        differing = [
            {"environment": name} | row
            for name in ([environment] if environment else ENVIRONMENTS)
            for row in functions.verify_projections(conn, name)
        ]
    if as_json:
        print_json(differing)
    else:
        print_rows(list(differing[0]) if differing else [], differing)
    if differing:
        raise Conflict(f"{len(differing)} {'row differs' if len(differing) == 1 else 'rows differ'} from a rebuild")
