"""`pg-payments demo`: an order from checkout to fulfilment, to watch."""

from typing import Annotated

import typer

from pg_payments.cli.connections import needing_extra

commands = typer.Typer()


@commands.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server up and print its URI.")] = False,
    stripe: Annotated[bool, typer.Option("--stripe", help="Use Stripe itself, with STRIPE_TEST_SECRET_KEY.")] = False,
    database_url: Annotated[
        str | None, typer.Option(metavar="URI", help="Use this empty database instead.", show_default=False)
    ] = None,
) -> int:
    """Watch an order being checked out, paid, recorded and fulfilled, in a Postgres made for it."""
    with needing_extra("demo"):
        from pg_payments.demo import run

    return run(keep=keep, stripe=stripe, database_url=database_url)
