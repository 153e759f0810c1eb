// Text columns of schema payments that have a fixed set of values, as TypeScript: copy this file into your project.

/** payments.webhook_events.environment */
export type Environment = "test" | "live";

/** payments.stripe_checkout_sessions.mode */
export type CheckoutMode = "payment" | "subscription";

/** payments.stripe_checkout_sessions.status */
export type CheckoutStatus = "initialized" | "open" | "completed" | "expired" | "failed";

/** payments.stripe_checkout_sessions.payment_status */
export type CheckoutPaymentStatus = "paid" | "unpaid" | "no_payment_required";

/** payments.stripe_customer_portal_sessions.status */
export type PortalStatus = "initialized" | "created" | "failed";

/** payments.provider_connections.status */
export type ConnectionStatus = "unconfigured" | "connected" | "error";

/** payments.provider_connections.last_sync_status */
export type SyncStatus = "succeeded" | "failed";

/** payments.webhook_events.processing_status */
export type ProcessingStatus = "pending" | "processed" | "failed" | "ignored";

/** payments.transactions.status */
export type TransactionStatus = "pending" | "succeeded" | "failed" | "refunded" | "partially_refunded" | "disputed";

/** payments.transactions.type */
export type TransactionType = "one_time_payment" | "subscription_invoice" | "refund" | "failed_payment" | "dispute";

/** payments.outbox.status */
export type OutboxStatus = "pending" | "claimed" | "done" | "dropped" | "refused" | "conflict" | "paused";
