"""`pg-payments rebuild` and `verify`: the projections computed again from the stored objects."""

from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

import typer

from pg_payments.cli.connections import connected, stripe_clients
from pg_payments.cli.options import DatabaseUrl, Json, OnlyEnvironment
from pg_payments.cli.output import counting, print_json, print_rows, progressing
from pg_payments.counted import counted
from pg_payments.database.rebuild import MOST_JOBS, USUAL_JOBS, rebuild_on
from pg_payments.errors import Conflict, InvalidRequest
from pg_payments.settings import ENVIRONMENTS, Environment, Settings
from pg_payments.stripe import verification
from pg_payments.stripe.lists import USUAL, lists_named
from pg_payments.stripe.ranges import Say

commands = typer.Typer()


@commands.command()
def rebuild(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            max=MOST_JOBS,
            help="How much is computed at once. Each job takes a connection and a core of the database. "
            "Default: 2, or 1 where this machine has one core.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compute the projections again from the stored objects, while deliveries go on."""
    with ExitStack() as stack:
        conns = [stack.enter_context(connected(database_url)) for _ in range(jobs or USUAL_JOBS)]
        say = stack.enter_context(counting())
        rebuilt = [
            {"environment": name, "objects": rebuild_on(conns, name, partial(_prefixed, say, name))}
            for name in ([environment] if environment else ENVIRONMENTS)
        ]
    if as_json:
        print_json(rebuilt)
    else:
        print_rows(["environment", "objects"], rebuilt)


@commands.command()
def verify(
    database_url: DatabaseUrl = None,
    environment: OnlyEnvironment = None,
    with_stripe: Annotated[bool, typer.Option("--stripe", help="Compare with Stripe, too.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="With --stripe: make right what differs.")] = False,
    sample: Annotated[
        int | None, typer.Option(min=1, help="With --stripe: only so many objects of each list.", show_default=False)
    ] = None,
    objects: Annotated[
        list[str] | None,
        typer.Option("--object", help="With --stripe: only this list; may be repeated.", metavar="LIST"),
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Only what is of this connected account (acct_…).", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the projections with a rebuild from the stored objects; exits with 1 if any row differs.

    With --stripe: first the stored objects with Stripe, object by object; exits with 1 if any difference is left.
    """
    if with_stripe:
        _verify_stripe(
            database_url,
            environment,
            lists_named(objects) if objects else list(USUAL),
            sample,
            repair,
            account,
            as_json,
        )
        return
    if repair or sample or objects:
        raise InvalidRequest("--repair, --sample and --object go with --stripe")
    differing: list[dict[str, Any]] = []
    with connected(database_url) as conn, counting(quiet_elsewhere=True) as say:
        for name in [environment] if environment else ENVIRONMENTS:
            say(f"{name} rows that differ from a rebuild", 0)
            rows = verification.rows_of(conn, name, account)
            say(f"{name} rows that differ from a rebuild", len(rows))
            differing += [{"environment": name} | row for row in rows]
    if as_json:
        print_json(differing)
    else:
        print_rows(list(differing[0]) if differing else [], differing)
    if differing:
        raise Conflict(f"{counted(len(differing), 'row differs', 'rows differ')} from a rebuild")


def _verify_stripe(
    database_url: str | None, environment: Environment | None, names: list[str], sample: int | None, repair: bool,
    account: str | None, as_json: bool,
) -> None:  # fmt: skip
    settings = Settings.load()
    rows: list[dict[str, object]] = []
    left = 0
    with connected(database_url) as conn, progressing() as (say, _):
        for name, client in stripe_clients(conn, settings, environment, account).items():
            stripe = client.of_account(account)
            telling = partial(_prefixed, say, name)
            done = verification.verify(conn, stripe, name, names, sample, repair, telling)
            still = {(each.table, each.key) for each in done.left}
            left += len(done.left)
            rows += [
                {"environment": name, "kind": each.kind, "table": each.table, "key": each.key,
                 "fields": list(each.fields) if as_json else ", ".join(each.fields),
                 "repaired": repair and (each.table, each.key) not in still}
                for each in done.found
            ]  # fmt: skip
    if as_json:
        print_json(rows)
    else:
        print_rows(("environment", "kind", "table", "key", "fields", "repaired"), rows)
    if left:
        raise Conflict(f"{counted(left, 'difference')} from Stripe")


def _prefixed(say: Say, environment: str, what: str, count: int) -> None:
    say(f"{environment} {what}", count)
