"""Lists of what is mirrored, for administrators: the select behind each.

Latest first, at most 100 rows, found through an index. They run as their reader: row-level security has the last word.
They show rows of the account behind the environment's key, or of one connected account.

Everybody's rows are in an index of the environment's latest, a subject's in the index of each subject's latest. The
planner would look for a subject's in the former too, among all others that are more recent; but where the environment
is told by `(select …)`, it can't know that it is that of the index (PostgreSQL documentation: Partial Indexes).
"""

from __future__ import annotations

from collections.abc import Mapping

from pg_payments.database.query import Query, Row, SqlFunction, rows_as_they_are


def _parameters(
    environment: str, subject_type: str | None, subject_id: str | None, limit: int, account: str | None
) -> Mapping[str, object]:
    return {"environment": environment, "type": subject_type, "id": subject_id, "limit": limit, "account": account}


def _of(account: str | None, table: str) -> str:
    """The condition on the account: written out, so that each of the two finds its index."""
    return f"{table}.account_id is null" if account is None else f"{table}.account_id = %(account)s"


@SqlFunction
def connections() -> Query[list[Row]]:
    """The connection of every environment, also of one that has none yet."""
    return Query(
        """select n.name as environment, coalesce(c.status, 'unconfigured') as status, c.provider_account_id,
                  c.account_email, c.account_livemode, c.webhook_endpoint_id, c.webhook_endpoint_url,
                  c.webhook_configured_at, c.last_synced_at, c.last_sync_status, c.last_sync_error, c.last_sync_counts,
                  c.masked_key
             from unnest(array['test', 'live']) with ordinality n (name, place)
             left join payments.provider_connections c on c.provider = 'stripe' and c.environment = n.name
            order by n.place""",
        (),
        rows_as_they_are,
    )


@SqlFunction
def accounts_with_keys() -> Query[list[Row]]:
    """The accounts that have a stored key of their own."""
    return Query(
        """select a.environment, a.account_id, a.masked_key, a.key_source,
                  case when a.deauthorized_at is null then 'connected' else 'deauthorized' end as status
             from payments.accounts a
            where a.masked_key is not null
            order by a.environment desc, a.account_id""",
        (),
        rows_as_they_are,
    )


@SqlFunction
def transactions(
    environment: str, subject_type: str | None, subject_id: str | None, limit: int, account: str | None = None
) -> Query[list[Row]]:
    """Payments, refunds and disputes."""
    return Query(
        f"""select t.*
             from payments.transactions t
            where {_of(account, "t")}
              and case when %(type)s::text is null then t.environment = %(environment)s
                  else t.subject_key = %(type)s || ':' || %(id)s
                       and (t.environment = 'live') = (select %(environment)s = 'live') end
            order by t.provider_created_at desc nulls last, t.id
            limit %(limit)s""",
        _parameters(environment, subject_type, subject_id, limit, account),
        rows_as_they_are,
    )


@SqlFunction
def subscriptions(
    environment: str, subject_type: str | None, subject_id: str | None, limit: int, account: str | None = None
) -> Query[list[Row]]:
    """Subscriptions with their items."""
    return Query(
        f"""select s.*, i.items
             from payments.stripe_subscriptions s
            cross join lateral (
              select coalesce(json_agg(i order by i.subscription_item_id), '[]') as items
                from payments.stripe_subscription_items i
               where i.environment = s.environment and i.subscription_id = s.subscription_id
                 and i.account_id is not distinct from s.account_id) i
            where {_of(account, "s")}
              and case when %(type)s::text is null then s.environment = %(environment)s
                  else s.subject_key = %(type)s || ':' || %(id)s
                       and (s.environment = 'live') = (select %(environment)s = 'live') end
            order by s.created_at desc, s.id
            limit %(limit)s""",
        _parameters(environment, subject_type, subject_id, limit, account),
        rows_as_they_are,
    )


@SqlFunction
def customers(
    environment: str, subject_type: str | None, subject_id: str | None, limit: int, account: str | None = None
) -> Query[list[Row]]:
    """Customers, with what they paid: in one currency, or else without a sum."""
    return Query(
        f"""select c.*, coalesce(c.metadata, '{{}}') as metadata, p.payments_count, p.last_payment_at, p.total_spend,
                   p.total_spend_currency
             from payments.customers c
            cross join lateral (
              select count(*) as payments_count, max(t.paid_at) as last_payment_at,
                     case when min(t.currency) = max(t.currency) then sum(t.amount - t.amount_refunded)::bigint
                     end as total_spend,
                     case when min(t.currency) = max(t.currency) then min(t.currency) end as total_spend_currency
                from payments.transactions t
               where t.environment = c.environment and t.provider_customer_id = c.provider_customer_id
                 and t.account_id is not distinct from c.account_id
                 and t.type in ('one_time_payment', 'subscription_invoice') and t.paid_at is not null) p
            where c.provider = 'stripe' and c.environment = %(environment)s and {_of(account, "c")}
              and (%(type)s::text is null or c.provider_customer_id = (
                select m.provider_customer_id
                  from payments.customer_mappings m
                 where m.provider = 'stripe' and m.environment = %(environment)s and {_of(account, "m")}
                   and m.subject_type = %(type)s and m.subject_id = %(id)s))
            order by c.provider_created_at desc nulls last, c.id
            limit %(limit)s""",
        _parameters(environment, subject_type, subject_id, limit, account),
        rows_as_they_are,
    )
