"""Options that several commands have."""

from typing import Annotated

import typer

from pg_payments.settings import Environment

DatabaseUrl = Annotated[
    str | None,
    typer.Option(metavar="URI", help="Default: PAYMENTS_DATABASE_URL, then DATABASE_URL.", show_default=False),
]
RouterUrl = Annotated[
    str | None,
    typer.Option(metavar="URI", help="Of a router instead. Default: PAYMENTS_ROUTER_URL.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OnlyEnvironment = Annotated[
    Environment | None, typer.Option("--environment", help="Only this one.", show_default=False)
]
