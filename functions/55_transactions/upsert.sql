-- Writing rows of payments.transactions.

-- Writes a row unless it is there already just so.
create or replace function payments_private.write_transaction(
  p_row payments.transactions, p_stored payments.transactions[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_stored payments.transactions;
begin
  foreach v_stored in array p_stored loop
    if v_stored.provider_object_type = p_row.provider_object_type
      and v_stored.provider_object_id = p_row.provider_object_id then
      p_row.id := v_stored.id;
      p_row.created_at := v_stored.created_at;
      p_row.updated_at := v_stored.updated_at;
      p_row.subject_key := v_stored.subject_key;
      if p_row is distinct from v_stored then
        update payments.transactions t
           set type = p_row.type, status = p_row.status, subject_type = p_row.subject_type,
               subject_id = p_row.subject_id,
               provider_customer_id = p_row.provider_customer_id,
               customer_email_snapshot = p_row.customer_email_snapshot,
               provider_parent_object_type = p_row.provider_parent_object_type,
               provider_parent_object_id = p_row.provider_parent_object_id,
               related_object_ids = p_row.related_object_ids, amount = p_row.amount,
               amount_refunded = p_row.amount_refunded,
               currency = p_row.currency, description = p_row.description, paid_at = p_row.paid_at,
               failed_at = p_row.failed_at,
               refunded_at = p_row.refunded_at, provider_created_at = p_row.provider_created_at, updated_at = now()
         where t.id = v_stored.id;
      end if;
      return;
    end if;
  end loop;

  insert into payments.transactions
    (provider, environment, account_id, type, status, subject_type, subject_id, provider_customer_id,
     customer_email_snapshot,
     provider_object_type, provider_object_id, provider_parent_object_type, provider_parent_object_id,
     related_object_ids,
     amount, amount_refunded, currency, description, paid_at, failed_at, refunded_at, provider_created_at)
  values
    (p_row.provider, p_row.environment, p_row.account_id, p_row.type, p_row.status, p_row.subject_type,
     p_row.subject_id, p_row.provider_customer_id,
     p_row.customer_email_snapshot, p_row.provider_object_type, p_row.provider_object_id,
     p_row.provider_parent_object_type,
     p_row.provider_parent_object_id, p_row.related_object_ids, p_row.amount, p_row.amount_refunded, p_row.currency,
     p_row.description,
     p_row.paid_at, p_row.failed_at, p_row.refunded_at, p_row.provider_created_at);
end
$$;
comment on function payments_private.write_transaction(payments.transactions, payments.transactions[]) is
  'Stores a transaction, given those that are stored of its group.';
