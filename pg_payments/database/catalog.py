"""The mirrored catalogue, as administrators read it: products and their prices."""

from __future__ import annotations

from pg_payments.database.query import Query, Row, SqlFunction, rows_as_they_are


def _of(account: str | None) -> str:
    """The condition on the account: written out, so that each of the two finds its index."""
    return "p.account_id is null" if account is None else "p.account_id = %(account)s"


@SqlFunction
def products(environment: str, product_id: str | None = None, account: str | None = None) -> Query[list[Row]]:
    """All products by name, or one: of the environment's own account (None), or of a connected one."""
    return Query(
        f"""select p.*
             from payments.stripe_products p
            where p.environment = %(environment)s and {_of(account)}
              and (%(id)s::text is null or p.product_id = %(id)s)
            order by p.name, p.product_id""",
        {"environment": environment, "id": product_id, "account": account},
        rows_as_they_are,
    )


@SqlFunction
def prices(
    environment: str, price_id: str | None = None, product_id: str | None = None, account: str | None = None
) -> Query[list[Row]]:
    """All prices, those of a product together and smaller amounts first; or one product's; or one; as `products`."""
    return Query(
        f"""select p.*
             from payments.stripe_prices p
            where p.environment = %(environment)s and {_of(account)}
              and (%(id)s::text is null or p.price_id = %(id)s)
              and (%(product_id)s::text is null or p.product_id = %(product_id)s)
            order by p.product_id, p.currency, p.unit_amount, p.price_id""",
        {"environment": environment, "id": price_id, "product_id": product_id, "account": account},
        rows_as_they_are,
    )
