"""Lists of what is mirrored, for administrators: the select behind each.

Latest first, at most 100 rows, found through an index. They run as their reader: row-level security has the last word.
They show rows of the account behind the environment's key, of one connected account, or of all: then the latest of
each account are found through its index, one account after the other.

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


ALL = "all"
"""Instead of an account: whoever's rows."""


def _of(account: str | None, table: str) -> str:
    """The condition on the account: written out, so that each of the two finds its index."""
    if account == ALL:
        return "true"
    return f"{table}.account_id is null" if account is None else f"{table}.account_id = %(account)s"


def _latest(account: str | None, subject_type: str | None, table: str, order: str) -> str:
    """The rows among which a list is found, as `from` takes them; of all accounts the latest of each."""
    if account != ALL or subject_type is not None:
        return f"payments.{table}"
    of_each = f"order by x.{order}, x.id limit %(limit)s"
    return f"""(select x.*
                from (
                  (select x.* from payments.{table} x
                    where x.environment = %(environment)s and x.account_id is null {of_each})
                  union all
                  select x.*
                    from (with recursive a (account_id) as (
                            select min(t.account_id) from payments.{table} t where t.account_id is not null
                            union all
                            select (select min(t.account_id) from payments.{table} t where t.account_id > a.account_id)
                              from a where a.account_id is not null)
                          select a.account_id from a where a.account_id is not null) a
                   cross join lateral (
                     select x.* from payments.{table} x
                      where x.environment = %(environment)s and x.account_id = a.account_id {of_each}) x) x
                {of_each})"""


def _is_the_subjects(account: str | None) -> str:
    """Whether a customer stands for the subject that is asked for: one at an account, and several at all of them."""
    mapped = f"""m.provider = 'stripe' and m.environment = %(environment)s and {_of(account, "m")}
                   and m.subject_type = %(type)s and m.subject_id = %(id)s"""
    if account != ALL:
        return f"""c.provider_customer_id = (
                select m.provider_customer_id
                  from payments.customer_mappings m
                 where {mapped})"""
    return f"""c.id = any (array(
                select x.id
                  from payments.customer_mappings m
                  join payments.customers x on x.provider = m.provider and x.environment = m.environment
                   and x.provider_customer_id = m.provider_customer_id
                   and x.account_id is not distinct from m.account_id
                 where {mapped}))"""


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
             from {_latest(account, subject_type, "transactions", "provider_created_at desc nulls last")} t
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
             from {_latest(account, subject_type, "stripe_subscriptions", "created_at desc")} s
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
             from {_latest(account, subject_type, "customers", "provider_created_at desc nulls last")} c
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
              and (%(type)s::text is null or {_is_the_subjects(account)})
            order by c.provider_created_at desc nulls last, c.id
            limit %(limit)s""",
        _parameters(environment, subject_type, subject_id, limit, account),
        rows_as_they_are,
    )
