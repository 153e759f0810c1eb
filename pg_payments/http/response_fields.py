"""Rows as the HTTP interface shows them: its names in camelCase, the columns behind them, values as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

CHECKOUT_SESSION = {
    "id": "id", "environment": "environment", "mode": "mode", "status": "status", "paymentStatus": "payment_status",
    "subjectType": "subject_type", "subjectId": "subject_id", "customerEmail": "customer_email",
    "checkoutSessionId": "checkout_session_id", "customerId": "customer_id", "paymentIntentId": "payment_intent_id",
    "subscriptionId": "subscription_id", "url": "url", "lastError": "last_error",
    "createdAt": "created_at", "updatedAt": "updated_at",
}  # fmt: skip
PORTAL_SESSION = {
    "id": "id", "environment": "environment", "status": "status", "subjectType": "subject_type",
    "subjectId": "subject_id", "customerId": "customer_id", "returnUrl": "return_url",
    "configuration": "configuration_id", "url": "url", "lastError": "last_error",
    "createdAt": "created_at", "updatedAt": "updated_at",
}  # fmt: skip
EVENT = {
    "environment": "environment", "eventId": "provider_event_id", "eventType": "event_type", "livemode": "livemode",
    "accountId": "provider_account_id", "objectType": "object_type", "objectId": "object_id",
    "processingStatus": "processing_status", "attemptCount": "attempt_count", "lastError": "last_error",
    "receivedAt": "received_at", "processedAt": "processed_at", "createdAt": "created_at", "updatedAt": "updated_at",
}  # fmt: skip
CONNECTION = {
    "environment": "environment", "status": "status", "accountId": "provider_account_id",
    "accountEmail": "account_email", "accountLivemode": "account_livemode", "webhookEndpointId": "webhook_endpoint_id",
    "webhookEndpointUrl": "webhook_endpoint_url", "webhookConfiguredAt": "webhook_configured_at",
    "lastSyncedAt": "last_synced_at", "lastSyncStatus": "last_sync_status", "lastSyncError": "last_sync_error",
}  # fmt: skip
VERIFICATION = {
    "verifiedAt": "verified_at", "objects": "objects", "sampled": "sampled", "differences": "differences",
    "repaired": "repaired",
}  # fmt: skip
TRANSACTION = {
    "environment": "environment", "provider": "provider", "type": "type", "status": "status",
    "subjectType": "subject_type", "subjectId": "subject_id", "providerCustomerId": "provider_customer_id",
    "customerEmailSnapshot": "customer_email_snapshot", "providerReferenceType": "provider_object_type",
    "providerReferenceId": "provider_object_id", "relatedObjectIds": "related_object_ids", "amount": "amount",
    "amountRefunded": "amount_refunded", "currency": "currency", "description": "description", "paidAt": "paid_at",
    "failedAt": "failed_at", "refundedAt": "refunded_at", "providerCreatedAt": "provider_created_at",
    "createdAt": "created_at", "updatedAt": "updated_at",
}  # fmt: skip
SUBSCRIPTION = {
    "environment": "environment", "subscriptionId": "subscription_id", "customerId": "customer_id",
    "subjectType": "subject_type", "subjectId": "subject_id", "status": "status",
    "currentPeriodStart": "current_period_start", "currentPeriodEnd": "current_period_end",
    "cancelAtPeriodEnd": "cancel_at_period_end", "cancelAt": "cancel_at", "canceledAt": "canceled_at",
    "trialStart": "trial_start", "trialEnd": "trial_end", "latestInvoiceId": "latest_invoice_id",
    "metadata": "metadata", "syncedAt": "synced_at", "createdAt": "created_at", "updatedAt": "updated_at",
}  # fmt: skip
SUBSCRIPTION_ITEM = {
    "environment": "environment", "subscriptionItemId": "subscription_item_id", "subscriptionId": "subscription_id",
    "productId": "product_id", "priceId": "price_id", "quantity": "quantity", "metadata": "metadata",
    "createdAt": "created_at", "updatedAt": "updated_at",
}  # fmt: skip
CUSTOMER = {
    "environment": "environment", "provider": "provider", "providerCustomerId": "provider_customer_id",
    "email": "email", "name": "name", "phone": "phone", "deleted": "deleted", "metadata": "metadata",
    "providerCreatedAt": "provider_created_at", "syncedAt": "synced_at", "paymentsCount": "payments_count",
    "lastPaymentAt": "last_payment_at", "totalSpend": "total_spend", "totalSpendCurrency": "total_spend_currency",
}  # fmt: skip
PRODUCT = {
    "environment": "environment", "productId": "product_id", "name": "name", "description": "description",
    "active": "active", "defaultPriceId": "default_price_id", "metadata": "metadata", "syncedAt": "synced_at",
}  # fmt: skip
PRICE = {
    "environment": "environment", "priceId": "price_id", "productId": "product_id", "active": "active",
    "currency": "currency", "unitAmount": "unit_amount", "unitAmountDecimal": "unit_amount_decimal", "type": "type",
    "lookupKey": "lookup_key", "billingScheme": "billing_scheme", "taxBehavior": "tax_behavior",
    "recurringInterval": "recurring_interval", "recurringIntervalCount": "recurring_interval_count",
    "metadata": "metadata", "syncedAt": "synced_at",
}  # fmt: skip


def translated(row: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    """A row under the interface's names: times in UTC as `2026-11-21T10:00:00Z`, ids as text."""
    return {name: _as_json(row[column]) for name, column in names.items()}


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value if value is None or isinstance(value, bool | int | dict | list) else str(value)
