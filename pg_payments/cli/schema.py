"""`pg-payments migrate`, `status`, `rollback`, `uninstall` and `sql`: the schema in the database."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pg_payments.cli.connections import url_of
from pg_payments.cli.options import DatabaseUrl, Json
from pg_payments.cli.output import print_json, print_note, print_rows, quiet
from pg_payments.database.connections import connect
from pg_payments.errors import ConfigurationError, Conflict
from pg_payments.router import generate, shards
from pg_payments.schema import migrate as migrations
from pg_payments.schema import script as scripts

commands = typer.Typer()


@commands.command()
def migrate(
    database_url: DatabaseUrl = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Load functions and policies even if none changed.")] = False,
    accept_edited: Annotated[
        bool, typer.Option("--accept-edited", help="Take the new wording of edited migrations for what was applied.")
    ] = False,
    trusted: Annotated[
        list[str] | None,
        typer.Option(
            "--trust-role",
            metavar="NAME",
            help="Install although this role may act as payments_owner; may be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring the database to this version's schema."""
    if plan:
        _show_plan(migrations.plan(url_of(database_url)), accept_edited=accept_edited, as_json=as_json)
        return
    outcome = migrations.migrate(
        url_of(database_url),
        force=force,
        accept_edited=accept_edited,
        trusted=trusted or [],
        say=quiet if as_json else print,
        warn=print_note,
    )
    if as_json:
        print_json({"applied": outcome.applied, "loaded": outcome.loaded, "mended": outcome.mended})
    elif not (outcome.applied or outcome.loaded or outcome.mended):
        print("nothing to do")


def _show_plan(planned: migrations.Plan, *, accept_edited: bool, as_json: bool) -> None:
    found, longest = planned.status, planned.longest
    pending, to_load = found.migrations_in("pending"), found.files_to_load
    by_hand = list(found.functions)
    if as_json:
        print_json(
            {"apply": pending, "load": to_load, "changed_by_hand": by_hand, "mend": found.mending,
             "locks": planned.locks, "longest_transaction": None if longest is None else asdict(longest)}
        )  # fmt: skip
    else:
        for name in pending:
            print(f"would apply {name}{_locking(planned.locks.get(name))}")
        for name in to_load:
            print(f"would load {name} ({found.files[name]}){_locking(planned.locks.get(name))}")
        for signature in by_hand:
            print(f"{signature} was {found.functions[signature]}; --force loads the original")
        for line in found.mending:
            print(f"would mend {line}")
        if not (pending or to_load or found.mending):
            print("nothing to do")
        elif longest is not None:
            print_note(f"the longest open transaction: {longest}")
    migrations.refuse(found, accept_edited=accept_edited)
    migrations.refuse_lost(found)


def _locking(locks: dict[str, str] | None) -> str:
    """What a step locks, as the rest of its line."""
    if not locks:
        return ""
    modes = {mode: [table for table in locks if locks[table] == mode] for mode in dict.fromkeys(locks.values())}
    return "; locks " + "; ".join(f"{', '.join(tables)} ({mode})" for mode, tables in modes.items())


@commands.command()
def status(
    database_url: DatabaseUrl = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 unless all is as this version has it.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is applied, pending, or edited afterwards, and what was changed by hand: functions, owners, rights …"""
    found = migrations.status(url_of(database_url))
    rows = [
        {"kind": kind, "name": name, "state": state}
        for kind, states in (("migration", found.migrations), ("file", found.files), ("function", found.functions))
        for name, state in states.items()
    ] + [
        {"kind": kind, "name": name, "state": state}
        for kind, changed in (
            ("relation", found.relations),
            ("owner", found.owners),
            ("grant", found.grants),
            ("written", found.written),
        )
        for name, state in changed.items()
    ]
    rows += [{"kind": each.kind, "name": f"{each.table}.{each.name}", "state": each.state} for each in found.damages]
    rows += [{"kind": "role", "name": role, "state": f"has {attribute}"} for role, attribute in found.overpowered]
    if found.is_watched:
        rows.append({"kind": "trigger", "name": "payments.webhook_events", "state": "sees updates only: slower"})
    if as_json:
        print_json({"up_to_date": found.up_to_date, "items": rows})
    else:
        print_rows(["kind", "name", "state"], rows)
        if found.migrations and set(found.migrations.values()) == {"pending"}:
            print_note("not migrated yet: run pg-payments migrate")
    if check and not found.up_to_date:
        raise Conflict("the database is not as this version has it")


@commands.command()
def rollback(
    database_url: DatabaseUrl = None,
    steps: Annotated[int, typer.Option(min=1, help="How many migrations to undo.")] = 1,
    everything: Annotated[bool, typer.Option("--all", help="Undo every migration.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    drop_data: Annotated[bool, typer.Option("--drop-data", help="Also where tables or columns hold data.")] = False,
    as_json: Json = False,
) -> None:
    """Undo the latest migration; refuses where data would be lost, or what depends on it."""
    _ask("This drops what the migration has made. Go on?", "this drops what the migration has made", yes=yes)
    undone = migrations.rollback(
        url_of(database_url),
        steps=None if everything else steps,
        drop_data=drop_data,
        say=quiet if as_json else print,
    )
    if as_json:
        print_json({"rolled_back": undone})
    elif not undone:
        print("nothing to do")


def _ask(question: str, what: str, *, yes: bool) -> None:
    """Raises `Abort` for a no, `ConfigurationError` where nobody is there to be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(what, hint="say --yes to go on")
    typer.confirm(question, abort=True)


@commands.command()
def uninstall(
    database_url: DatabaseUrl = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove everything from the database, with all data, and the roles that nobody else uses."""
    _ask("This removes everything, with all data. Go on?", "this removes everything with all data", yes=yes)
    left = migrations.uninstall(url_of(database_url), say=quiet if as_json else print)
    if as_json:
        print_json({"roles_left": left})


@commands.command()
def sql(
    database_url: DatabaseUrl = None,
    with_test_helpers: Annotated[
        bool, typer.Option("--with-test-helpers", help="And schema payments_test, for an application's own tests.")
    ] = False,
    only_test_helpers: Annotated[
        bool, typer.Option("--only-test-helpers", help="Just these, for a database that is migrated.")
    ] = False,
    any_client: Annotated[
        bool, typer.Option("--any-client", help="With BEGIN and COMMIT, for clients other than psql.")
    ] = False,
    supabase: Annotated[
        bool, typer.Option("--supabase", help="Write it as supabase/migrations/<time>_pg_payments.sql.")
    ] = False,
    directory: Annotated[Path, typer.Option("--in", help="The project of --supabase.")] = Path(),
    router: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The script of a router for the machines in FILE.", show_default=False),
    ] = None,
) -> None:
    """Print everything as one reviewable script for psql -1 -f; needs no database, but with --router a machine."""
    if router:
        found = shards.read(router)
        with connect(found.default.owner or found.default.full_address()) as conn:
            print(generate.script(found, generate.interface(conn), generate.relations(conn)))
        return
    if supabase:
        print(scripts.supabase_migration(directory, datetime.now(UTC)))
        return
    if not only_test_helpers:
        print(scripts.script(any_client=any_client))
    if with_test_helpers or only_test_helpers:
        print(scripts.helpers_for_tests())
