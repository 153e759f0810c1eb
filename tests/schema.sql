CREATE SCHEMA payments;

ALTER SCHEMA payments OWNER TO payments_owner;

COMMENT ON SCHEMA payments IS 'Payments through Stripe: checkout, webhook ledger, mirrored objects, transactions. Everything ships closed.';

CREATE SCHEMA payments_private;

ALTER SCHEMA payments_private OWNER TO payments_owner;

COMMENT ON SCHEMA payments_private IS 'Internals of the payments schema. Nobody but payments_owner has usage.';

CREATE TYPE payments_private.finding AS (
	topic text,
	environment text,
	level text,
	finding text,
	next_step text
);

ALTER TYPE payments_private.finding OWNER TO payments_owner;

COMMENT ON TYPE payments_private.finding IS 'One finding of payments.doctor(): see there.';

CREATE TYPE payments_private.snapshot AS (
	environment text,
	account_id text,
	object_type text,
	object_id text,
	data jsonb,
	observed_at timestamp with time zone,
	provider_event_id text,
	event_type text,
	previous_attributes jsonb,
	refs text[],
	idempotency_key text
);

ALTER TYPE payments_private.snapshot OWNER TO payments_owner;

COMMENT ON TYPE payments_private.snapshot IS 'One Stripe object as it looked at one time, whoever told of it.';

CREATE TYPE payments_private.incoming AS (
	place bigint,
	environment text,
	account_id text,
	event_id text,
	livemode boolean,
	verdict text,
	error text,
	payload jsonb,
	snapshot payments_private.snapshot,
	row_id uuid,
	status text,
	duplicate boolean
);

ALTER TYPE payments_private.incoming OWNER TO payments_owner;

COMMENT ON TYPE payments_private.incoming IS 'A verified webhook body on its way into the ledger.';

CREATE TYPE payments_private.payment_facts AS (
	reference text,
	refs text[],
	first_succeeded_at timestamp with time zone,
	first_failed_at timestamp with time zone,
	first_refunded_at timestamp with time zone,
	first_held_at timestamp with time zone,
	known boolean,
	status text,
	mode text,
	amount_due bigint,
	amount_received bigint,
	refunded bigint,
	off_stripe bigint,
	currency text,
	disputed boolean,
	customer_id text,
	subject_key text,
	own_subject_key text,
	email text,
	description text,
	product_id text,
	price_id text,
	products text[],
	prices text[],
	provider_created_at timestamp with time zone,
	paid_at timestamp with time zone,
	failed_at timestamp with time zone,
	amounts_as_of timestamp with time zone
);

ALTER TYPE payments_private.payment_facts OWNER TO payments_owner;

COMMENT ON TYPE payments_private.payment_facts IS 'What a Stripe object that tells of payments refers to and says: its references, ever; the first times events showed something; the rest from its newest snapshot.';

COMMENT ON COLUMN payments_private.payment_facts.reference IS 'Type and id of the object, e.g. charge:ch_….';

COMMENT ON COLUMN payments_private.payment_facts.refs IS 'What it refers to, as type:id. A reference once told stays true, also when a newer API version leaves it out.';

COMMENT ON COLUMN payments_private.payment_facts.first_succeeded_at IS 'Created time of the earliest event, kept or superseded, that showed the payment as made.';

COMMENT ON COLUMN payments_private.payment_facts.first_failed_at IS 'Created time of the earliest event that showed the payment as failed.';

COMMENT ON COLUMN payments_private.payment_facts.first_refunded_at IS 'Created time of the earliest event that showed money given back.';

COMMENT ON COLUMN payments_private.payment_facts.first_held_at IS 'When the charge was first seen as one whose money was not taken when it was made (was_taken_later).';

COMMENT ON COLUMN payments_private.payment_facts.known IS 'A snapshot is stored and does not say that the object is gone.';

COMMENT ON COLUMN payments_private.payment_facts.mode IS 'A session''s mode; canceled (an intent, or an invoice payment that was taken away); held or released (a charge, a refund of what was never captured); off_stripe (an invoice).';

COMMENT ON COLUMN payments_private.payment_facts.refunded IS 'Minor units given back of what a charge captured, or by a refund that has not failed.';

COMMENT ON COLUMN payments_private.payment_facts.off_stripe IS 'How much of what an invoice received was paid outside of Stripe, as it says itself.';

COMMENT ON COLUMN payments_private.payment_facts.own_subject_key IS 'The billing subject that an invoice''s own metadata names.';

COMMENT ON COLUMN payments_private.payment_facts.products IS 'All products that were bought, where there are several lines; prices likewise.';

COMMENT ON COLUMN payments_private.payment_facts.amounts_as_of IS 'When a charge with refunds, or a failed refund, was seen like this.';

CREATE TYPE payments_private.payment_members AS (
	intent payments_private.payment_facts,
	charge payments_private.payment_facts,
	invoice payments_private.payment_facts,
	invoice_payment payments_private.payment_facts,
	session payments_private.payment_facts
);

ALTER TYPE payments_private.payment_members OWNER TO payments_owner;

COMMENT ON TYPE payments_private.payment_members IS 'The first of each type among the objects that tell of a payment.';

CREATE TYPE payments_private.payment_outcome AS (
	succeeded boolean,
	failed boolean,
	captured bigint,
	held boolean,
	disputed boolean,
	refunded_at timestamp with time zone,
	released_at timestamp with time zone,
	seen_paid timestamp with time zone,
	seen_failed timestamp with time zone,
	seen_refunded timestamp with time zone
);

ALTER TYPE payments_private.payment_outcome OWNER TO payments_owner;

COMMENT ON TYPE payments_private.payment_outcome IS 'What the objects that tell of a payment say of its state: whether one calls it paid, or failed; what its charges captured, whether one was a hold; whether a dispute stands; when money was given back, or a hold let go; and when events first showed each.';

CREATE FUNCTION payments.account_key(environment text, account_id text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.account_key(environment text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.account_key(environment text, account_id text) IS 'The key of an account''s own as it was encrypted; null if none is stored.';

CREATE FUNCTION payments.account_keys(environment text) RETURNS TABLE(account_id text, secret text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.account_keys(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.account_keys(environment text) IS 'The stored keys of accounts'' own as they were encrypted, a row an account, for a process that asks of all of them.';

CREATE FUNCTION payments.accounts_due(environment text, job text, max_accounts integer) RETURNS TABLE(account_id text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.accounts_due(environment text, job text, max_accounts integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.accounts_due(environment text, job text, max_accounts integer) IS 'The connected accounts for which a job (sweep, sync) was not done for longest, of all that events told of or that were registered; none that has withdrawn its access.';

CREATE FUNCTION payments.adopt_outbox(environment text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.adopt_outbox(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.adopt_outbox(environment text) IS 'This database pushes from now on. After a restore, a copy pushes nothing until this is called; call it only where the original is gone.';

CREATE FUNCTION payments.allow_origins(origins text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.allow_origins(origins text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.allow_origins(origins text[]) IS 'From now on success, cancel and return URLs must be of one of these origins, as https://shop.example or http://localhost:3000; null allows every one again. For members of payments_owner. Raises PY001 for anything but origins.';

CREATE FUNCTION payments.allow_portal_configurations(ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.allow_portal_configurations(ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.allow_portal_configurations(ids text[]) IS 'Which portal configurations users may name; none has to be named, then Stripe''s default is used. Null allows every one, as shipped, {} none. For members of payments_owner. Raises PY001 for anything but ids.';

CREATE FUNCTION payments.allow_prices(rule text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.allow_prices(rule text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.allow_prices(rule text) IS 'Which prices users and guests may ask for: any (as shipped) that Stripe has; mirrored: those in payments.stripe_prices; active: those of them that are active, as is their product. For members of payments_owner. Raises PY001 for another rule.';

CREATE FUNCTION payments.allow_stamps(rule text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.allow_stamps(rule text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.allow_stamps(rule text) IS 'Whose metadata names a billing subject: any (as shipped): this installation''s, and the merchant''s own, which bears no stamp; strict: this installation''s only. What is stored already is read anew by a rebuild. For members of payments_owner. Raises PY001 for another rule.';

CREATE FUNCTION payments.audit_action(action text, target text DEFAULT NULL::text, detail jsonb DEFAULT '{}'::jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.audit_action(action text, target text, detail jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.audit_action(action text, target text, detail jsonb) IS 'Adds a row to payments.audit_log in the name of the session and of its caller. Where it was done is what the server says in payments.audit_source.';

CREATE FUNCTION payments.become_caller(role text, claims text, guest_secret text DEFAULT NULL::text, asks_stripe text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.become_caller(role text, claims text, guest_secret text, asks_stripe text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.become_caller(role text, claims text, guest_secret text, asks_stripe text) IS 'For a router''s login: until the transaction ends it is payments_user or payments_anon with these claims, under their policies. Raises PY001 for another role, PY002 for a login that acts as somebody else, 42501 for one that is not a member of the role.';

CREATE TABLE payments.stripe_checkout_sessions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    account_id text,
    seller_account_id text,
    mode text NOT NULL,
    status text DEFAULT 'initialized'::text NOT NULL,
    payment_status text,
    subject_type text,
    subject_id text,
    subject_key text GENERATED ALWAYS AS (((subject_type || ':'::text) || subject_id)) STORED,
    owner_key text DEFAULT ''::text NOT NULL,
    customer_email text,
    line_items jsonb NOT NULL,
    success_url text NOT NULL,
    cancel_url text NOT NULL,
    idempotency_key text,
    request_hash text DEFAULT ''::text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    checkout_session_id text,
    customer_id text,
    payment_intent_id text,
    subscription_id text,
    url text,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    ask_after timestamp with time zone,
    CONSTRAINT account_is_the_sellers CHECK ((account_id = seller_account_id)),
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT mode_is_known CHECK ((mode = ANY ('{payment,subscription}'::text[]))),
    CONSTRAINT payment_status_is_known CHECK ((payment_status = ANY ('{paid,unpaid,no_payment_required}'::text[]))),
    CONSTRAINT status_is_known CHECK ((status = ANY ('{initialized,open,completed,expired,failed}'::text[]))),
    CONSTRAINT subject_is_whole CHECK (((subject_type IS NULL) = (subject_id IS NULL))),
    CONSTRAINT subject_type_is_an_identifier CHECK ((subject_type ~ '^[a-z][a-z0-9_]*$'::text)),
    CONSTRAINT subscriptions_have_a_subject CHECK (((mode <> 'subscription'::text) OR (subject_type IS NOT NULL)))
);

ALTER TABLE payments.stripe_checkout_sessions OWNER TO payments_owner;

COMMENT ON TABLE payments.stripe_checkout_sessions IS 'Checkout attempts: inserted by the caller under row-level security, answered by Stripe, kept current by webhooks.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.account_id IS 'The connected account on which the session is made, for direct charges; null: on the environment''s own. Set by a trigger, never by the caller.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.seller_account_id IS 'The connected account that is sold for; null: the environment''s own.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.mode IS 'payment or subscription.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.status IS 'initialized, then open, completed, expired or failed.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.payment_status IS 'paid, unpaid or no_payment_required, as Stripe says; null before.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.subject_type IS 'The kind of billing subject: user, or one that was registered; null for nobody''s.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.subject_id IS 'The billing subject''s id, in the application''s own terms.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.subject_key IS 'subject_type:subject_id, in one column for lookups.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.owner_key IS 'Who made the attempt: user:<sub>, or guest:<hash of the guest''s secret>. Set by a trigger, never by the caller.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.customer_email IS 'What the caller gave to fill in Stripe''s page with.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.line_items IS '[{"price": "price_…", "quantity": 1}, …]; prices are Stripe''s, never the caller''s.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.success_url IS 'Where Stripe sends a payer who has paid; not a proof that he has.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.cancel_url IS 'Where Stripe sends a payer who turns back.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.idempotency_key IS 'Unique for its owner within the environment.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.request_hash IS 'SHA-256 of the request, to tell a retry from another request under the same key.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.metadata IS 'The caller''s own, sent to Stripe; it proves nothing.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.checkout_session_id IS 'Stripe''s session (cs_…), once it has answered.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.customer_id IS 'Stripe''s customer (cus_…), or the account that pays (acct_…).';

COMMENT ON COLUMN payments.stripe_checkout_sessions.payment_intent_id IS 'Stripe''s payment intent (pi_…), once there is one.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.subscription_id IS 'Stripe''s subscription (sub_…).';

COMMENT ON COLUMN payments.stripe_checkout_sessions.url IS 'Where the payer goes; Stripe ends it when the session completes or expires.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.last_error IS 'What went wrong last; null if nothing did.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.updated_at IS 'When the row last changed here.';

COMMENT ON COLUMN payments.stripe_checkout_sessions.ask_after IS 'From when a worker may ask Stripe for this attempt, if workers do.';

CREATE FUNCTION payments.begin_checkout(environment text, mode text, line_items jsonb, success_url text, cancel_url text, subject_type text DEFAULT NULL::text, subject_id text DEFAULT NULL::text, customer_email text DEFAULT NULL::text, metadata jsonb DEFAULT '{}'::jsonb, idempotency_key text DEFAULT NULL::text, account_id text DEFAULT NULL::text) RETURNS payments.stripe_checkout_sessions
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.begin_checkout(environment text, mode text, line_items jsonb, success_url text, cancel_url text, subject_type text, subject_id text, customer_email text, metadata jsonb, idempotency_key text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.begin_checkout(environment text, mode text, line_items jsonb, success_url text, cancel_url text, subject_type text, subject_id text, customer_email text, metadata jsonb, idempotency_key text, account_id text) IS 'Begins a checkout as the caller, or answers the caller''s earlier attempt for the same key and request. account_id: the connected account that it is sold for, on the terms of payments.register_account(). Raises 42501 for a subject the caller may not bill or an account it may not sell through, PY001 for an invalid field (named in DETAIL), PY002 for a caller without identity, PY003 for a key used for another request.';

CREATE FUNCTION payments.begin_dashboard_job(environment text, title text, back text) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.begin_dashboard_job(environment text, title text, back text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.begin_dashboard_job(environment text, title text, back text) IS 'Enters a job that the caller runs, and returns its id. Jobs that were last heard of a day ago are forgotten.';

CREATE FUNCTION payments.begin_list(environment text, account_id text, list text, began_at timestamp with time zone, splits boolean, confirms text DEFAULT NULL::text, since timestamp with time zone DEFAULT NULL::timestamp with time zone, opened bigint DEFAULT NULL::bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.begin_list(environment text, account_id text, list text, began_at timestamp with time zone, splits boolean, confirms text, since timestamp with time zone, opened bigint) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.begin_list(environment text, account_id text, list text, began_at timestamp with time zone, splits boolean, confirms text, since timestamp with time zone, opened bigint) IS 'Has one of Stripe''s lists be read, with payments.claim_range(); began_at by Stripe''s clock. True: an earlier sync of it is unfinished, and goes on; what failed in it is tried again. One that was left for six hours is begun anew.';

CREATE TABLE payments.stripe_customer_portal_sessions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    status text DEFAULT 'initialized'::text NOT NULL,
    subject_type text NOT NULL,
    subject_id text NOT NULL,
    subject_key text GENERATED ALWAYS AS (((subject_type || ':'::text) || subject_id)) STORED NOT NULL,
    owner_key text DEFAULT ''::text NOT NULL,
    customer_id text DEFAULT ''::text NOT NULL,
    account_id text,
    return_url text,
    configuration_id text,
    url text,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT status_is_known CHECK ((status = ANY ('{initialized,created,failed}'::text[]))),
    CONSTRAINT subject_type_is_an_identifier CHECK ((subject_type ~ '^[a-z][a-z0-9_]*$'::text))
);

ALTER TABLE payments.stripe_customer_portal_sessions OWNER TO payments_owner;

COMMENT ON TABLE payments.stripe_customer_portal_sessions IS 'Billing portal sessions asked for by users for subjects they may bill.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.status IS 'initialized, created or failed.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.subject_type IS 'The kind of billing subject: user, or one that was registered; null for nobody''s.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.subject_id IS 'The billing subject''s id, in the application''s own terms.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.subject_key IS 'subject_type:subject_id, in one column for lookups.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.owner_key IS 'Who asked: user:<sub>. Set by a trigger, never by the caller.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.customer_id IS 'The subject''s mapped Stripe customer. Set by a trigger, never by the caller.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.account_id IS 'The connected account whose customer it is; null: the environment''s own.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.return_url IS 'Where the portal leads back to.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.configuration_id IS 'Stripe''s configuration of the portal (bpc_…); null: its default.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.url IS 'Where the portal is, for a few minutes.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.last_error IS 'What went wrong last; null if nothing did.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.stripe_customer_portal_sessions.updated_at IS 'When the row last changed here.';

CREATE FUNCTION payments.begin_portal_session(environment text, subject_type text, subject_id text, return_url text DEFAULT NULL::text, configuration_id text DEFAULT NULL::text, account_id text DEFAULT NULL::text) RETURNS payments.stripe_customer_portal_sessions
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.begin_portal_session(environment text, subject_type text, subject_id text, return_url text, configuration_id text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.begin_portal_session(environment text, subject_type text, subject_id text, return_url text, configuration_id text, account_id text) IS 'Begins a billing portal session as the caller, at a connected account that sells directly, or at our own. Raises 42501 for a subject the caller may not bill, PY004 for one without a Stripe customer there, PY001 for an invalid field.';

CREATE FUNCTION payments.begin_sign_in(who text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.begin_sign_in(who text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.begin_sign_in(who text) IS 'The same as sign_in_wait(); where it is 0, the key that is tried now counts as a wrong one until note_sign_in() says that it was right, so that many tried at once count, too.';

CREATE FUNCTION payments.begin_sweep(environment text, account_id text DEFAULT NULL::text) RETURNS TABLE(since timestamp with time zone, undelivered_since timestamp with time zone, gap boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.begin_sweep(environment text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.begin_sweep(environment text, account_id text) IS 'From when the events of an account (null: the one behind the environment''s key), and those it could not deliver, are to be listed; gap says that some may have happened which Stripe lists no longer, so that only a sync brings their outcome.';

CREATE FUNCTION payments.billable_subjects() RETURNS TABLE(subject_type text, subject_id text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.billable_subjects() OWNER TO payments_owner;

COMMENT ON FUNCTION payments.billable_subjects() IS 'The billing subjects that the caller may bill.';

CREATE FUNCTION payments.caller_key() RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.caller_key() OWNER TO payments_owner;

COMMENT ON FUNCTION payments.caller_key() IS 'Under which name the caller''s checkout attempts are kept: user:<sub>, guest:<hash of its secret>, or null for nobody. A secret of less than 22 characters makes nobody.';

CREATE FUNCTION payments.checkout_request(id uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.checkout_request(id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.checkout_request(id uuid) IS 'The parameters of Stripe''s "Create a Checkout Session" for an attempt; the subject travels in the metadata of session, subscription and payment intent. They are for the connected account in the attempts account_id, if there is one (Stripe-Account). The same for every retry, as Stripe''s idempotency keys demand. Raises PY005 for an unknown id.';

CREATE FUNCTION payments.claim_checkouts(max_attempts integer DEFAULT 8, lease interval DEFAULT '00:02:00'::interval) RETURNS TABLE(id uuid, environment text, account_id text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.claim_checkouts(max_attempts integer, lease interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.claim_checkouts(max_attempts integer, lease interval) IS 'Attempts for which Stripe is to be asked, for the caller alone while the lease lasts: see payments.checkout_request(), finish_checkout(), fail_checkout(). None unless workers were told to, none that nobody has waited for in an hour. Several workers may call it at once.';

CREATE FUNCTION payments.claim_job(lease interval DEFAULT '00:05:00'::interval) RETURNS TABLE(job text, environment text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.claim_job(lease interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.claim_job(lease interval) IS 'The scheduled job that has been due for longest, for the caller alone while the lease lasts; no row if none is due. Tell how it ended with payments.settle_job().';

CREATE FUNCTION payments.claim_pushes(max_pushes integer DEFAULT 10, lease interval DEFAULT '00:02:00'::interval) RETURNS TABLE(id uuid, environment text, account_id text, method text, path text, parameters jsonb, idempotency_key text, search text, creates boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.claim_pushes(max_pushes integer, lease interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.claim_pushes(max_pushes integer, lease interval) IS 'Claims rows of the outbox that are due and returns what to ask Stripe: method, path, the fields of a form, the idempotency key, and for a creation whose outcome is unknown what to search first. Each is to be told to payments.settle_push() before the lease ends. Several workers may call it at once.';

CREATE FUNCTION payments.claim_range(environment text, account_id text, lists text[], lease interval DEFAULT '00:02:00'::interval) RETURNS TABLE(range_id uuid, claim integer, list text, what text, created_from bigint, created_until bigint, starting_after text, last_created bigint, began_at timestamp with time zone, confirms text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.claim_range(environment text, account_id text, lists text[], lease interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.claim_range(environment text, account_id text, lists text[], lease interval) IS 'A part of one of these lists that nobody reads now, for the caller alone while the lease lasts, which each recorded page prolongs; no row if there is none.';

CREATE FUNCTION payments.claim_refreshes(max_objects integer DEFAULT 8, lease interval DEFAULT '00:02:00'::interval) RETURNS TABLE(environment text, account_id text, object_type text, object_id text, tries integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.claim_refreshes(max_objects integer, lease interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.claim_refreshes(max_objects integer, lease interval) IS 'Objects to be fetched now, for the caller alone while the lease lasts and its session does, as many as the account''s rate allows. Tell what became of each with payments.settle_refresh(). Several workers may call it at once.';

CREATE FUNCTION payments.close_environment(environment text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.close_environment(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.close_environment(environment text) IS 'From now on users and guests begin no checkouts and no portal visits in this environment (42501); deliveries go on. Meant for test, once a shop is open: whoever pays there pays with Stripe''s test cards. For members of payments_owner.';

CREATE FUNCTION payments.close_to_users(what text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.close_to_users(what text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.close_to_users(what text) IS 'Takes back what open_to_users() gave, at once. For members of payments_owner. Raises PY001 for anything else to read.';

CREATE FUNCTION payments.compare_with_stripe(environment text, objects jsonb, observed_at timestamp with time zone, account_id text DEFAULT NULL::text, with_rows boolean DEFAULT false) RETURNS TABLE(kind text, table_name text, key text, fields text[])
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.compare_with_stripe(environment text, objects jsonb, observed_at timestamp with time zone, account_id text, with_rows boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.compare_with_stripe(environment text, objects jsonb, observed_at timestamp with time zone, account_id text, with_rows boolean) IS 'What is not as Stripe has answered then, an array of objects: missing or stale in payments.stripe_objects, with the members that differ. Members that only one side has are no difference where an event told of the object, in the API version of its endpoint. with_rows: and rows of projections that are not as the stored objects say: missing, extra or different. Changes nothing.';

CREATE TABLE payments.provider_connections (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider text DEFAULT 'stripe'::text NOT NULL,
    environment text NOT NULL,
    status text DEFAULT 'unconfigured'::text NOT NULL,
    provider_account_id text,
    account_email text,
    account_name text,
    account_livemode boolean,
    webhook_endpoint_id text,
    webhook_endpoint_url text,
    webhook_configured_at timestamp with time zone,
    last_synced_at timestamp with time zone,
    last_sync_status text,
    last_sync_error text,
    last_sync_counts jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    masked_key text,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT last_sync_status_is_known CHECK ((last_sync_status = ANY ('{succeeded,failed}'::text[]))),
    CONSTRAINT provider_is_known CHECK ((provider = 'stripe'::text)),
    CONSTRAINT status_is_known CHECK ((status = ANY ('{unconfigured,connected,error}'::text[])))
);

ALTER TABLE payments.provider_connections OWNER TO payments_owner;

COMMENT ON TABLE payments.provider_connections IS 'The Stripe account behind each environment, its webhook endpoint and its last sync. Holds no keys.';

COMMENT ON COLUMN payments.provider_connections.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.provider_connections.provider IS 'stripe.';

COMMENT ON COLUMN payments.provider_connections.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.provider_connections.status IS 'unconfigured, connected or error.';

COMMENT ON COLUMN payments.provider_connections.provider_account_id IS 'The account behind the environment''s key (acct_…).';

COMMENT ON COLUMN payments.provider_connections.account_email IS 'The account''s e-mail address, as Stripe answers it.';

COMMENT ON COLUMN payments.provider_connections.account_name IS 'The account''s name, as Stripe answers it.';

COMMENT ON COLUMN payments.provider_connections.account_livemode IS 'Whether the key that was asked with is a live one.';

COMMENT ON COLUMN payments.provider_connections.webhook_endpoint_id IS 'The managed endpoint at Stripe (we_…); null where there is none.';

COMMENT ON COLUMN payments.provider_connections.webhook_endpoint_url IS 'Where that endpoint delivers to.';

COMMENT ON COLUMN payments.provider_connections.webhook_configured_at IS 'When the managed endpoint was made.';

COMMENT ON COLUMN payments.provider_connections.last_synced_at IS 'When a sync last succeeded.';

COMMENT ON COLUMN payments.provider_connections.last_sync_status IS 'succeeded or failed; null before the first sync.';

COMMENT ON COLUMN payments.provider_connections.last_sync_error IS 'Why the last sync failed; null if it did not.';

COMMENT ON COLUMN payments.provider_connections.last_sync_counts IS 'How many objects the last sync read, changed, skipped and found gone, by list.';

COMMENT ON COLUMN payments.provider_connections.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.provider_connections.updated_at IS 'When the row last changed here.';

COMMENT ON COLUMN payments.provider_connections.masked_key IS 'The stored key as it may be shown: its first and last characters.';

CREATE FUNCTION payments.connect_account(environment text, account jsonb, livemode boolean) RETURNS payments.provider_connections
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.connect_account(environment text, account jsonb, livemode boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.connect_account(environment text, account jsonb, livemode boolean) IS 'Records Stripe''s account behind an environment, as /v1/account shows it, and whether its key is a live one. Fills what is empty and changes nothing that is on record: replace_account() does. What was told of the account before as of a connected one becomes ours, and triggers see its events again, without account. Raises PY008 for a key of the other mode, PY006 where another account is mirrored already.';

CREATE FUNCTION payments.connect_event_types() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.connect_event_types() OWNER TO payments_owner;

COMMENT ON FUNCTION payments.connect_event_types() IS 'The event types that the managed endpoint of connected accounts is for: those that are projected, and what tells of the accounts themselves (Stripe''s documentation: Connect webhooks).';

CREATE FUNCTION payments.count_volume(environment text, account_id text DEFAULT NULL::text, since timestamp with time zone DEFAULT (now() - '30 days'::interval), max_rows integer DEFAULT 20000) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.count_volume(environment text, account_id text, since timestamp with time zone, max_rows integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.count_volume(environment text, account_id text, since timestamp with time zone, max_rows integer) IS 'Counts the hours since then that are over for six hours and not counted, or changed since: the latest first, until about max_rows rows were read. Returns how many were, null where nothing may be counted now: on a replica, while another counts, and the first time. At most 100 days.';

CREATE FUNCTION payments.counted_volume(environment text, account_id text DEFAULT NULL::text, since timestamp with time zone DEFAULT (now() - '30 days'::interval)) RETURNS TABLE(hour timestamp with time zone, currency text, type text, status text, number bigint, amount numeric, refunded numeric, paid numeric)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.counted_volume(environment text, account_id text, since timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.counted_volume(environment text, account_id text, since timestamp with time zone) IS 'The hours since then that are counted, and right as of this statement: what payments amount to by hour, currency, type and status. Each hour has a row of nulls besides, also where it had no payments. None where a restrictive policy lets somebody read a part of payments.transactions only.';

CREATE FUNCTION payments.create_existing(target regclass, kind text DEFAULT NULL::text, max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'utc';

ALTER FUNCTION payments.create_existing(target regclass, kind text, max_rows integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.create_existing(target regclass, kind text, max_rows integer) IS 'Puts rows without an id, which were there before the table was linked, into the outbox to be created at Stripe; returns how many. For members of payments_owner who may read the table.';

CREATE FUNCTION payments.dashboard_job(id uuid) RETURNS TABLE(environment text, title text, back text, status text, lines text[], begun_at timestamp with time zone, told_at timestamp with time zone, now timestamp with time zone)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.dashboard_job(id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.dashboard_job(id uuid) IS 'A job, and the time now: one that is running and was not heard of for a minute has lost its process.';

CREATE FUNCTION payments.dashboard_session_ended(id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.dashboard_session_ended(id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.dashboard_session_ended(id text) IS 'Returns whether somebody has ended this session of the dashboard.';

CREATE FUNCTION payments.discard_push(id uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.discard_push(id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.discard_push(id uuid) IS 'Stripe is not told. The row keeps its values. Raises PY005 for an unknown id, PY006 for one that is sent.';

CREATE FUNCTION payments.doctor() RETURNS TABLE(topic text, environment text, level text, finding text, next_step text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.doctor() OWNER TO payments_owner;

COMMENT ON FUNCTION payments.doctor() IS 'What may be wrong, as far as the database knows, a row a finding: its topic, the environment (null: both), green, yellow (worth a look) or red (payments are wrong, late or lost until somebody acts), a sentence, and what to do next. Changes nothing. pg-payments doctor adds what the database cannot know.';

CREATE FUNCTION payments.end_dashboard_session(id text, until timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.end_dashboard_session(id text, until timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.end_dashboard_session(id text, until timestamp with time zone) IS 'Ends a session of the dashboard, or a way in, which would end by itself then, within a day. Returns whether it had not been ended before.';

CREATE FUNCTION payments.event_receipts(event_ids uuid[]) RETURNS TABLE(id uuid, environment text, provider_event_id text, event_type text, livemode boolean, provider_account_id text, object_type text, object_id text, processing_status text, attempt_count integer, last_error text, parked_at timestamp with time zone, received_at timestamp with time zone, processed_at timestamp with time zone, created_at timestamp with time zone, updated_at timestamp with time zone)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.event_receipts(event_ids uuid[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.event_receipts(event_ids uuid[]) IS 'Returns the ledger''s rows of these events without their payloads, in no order, as far as the caller may read them.';

CREATE FUNCTION payments.fail_checkout(id uuid, error text) RETURNS payments.stripe_checkout_sessions
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.fail_checkout(id uuid, error text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.fail_checkout(id uuid, error text) IS 'Records that Stripe refused an attempt, unless a session for it has become known; answers the row. A retry may still succeed. Raises PY005 for an unknown id.';

CREATE FUNCTION payments.fail_portal_session(id uuid, error text) RETURNS payments.stripe_customer_portal_sessions
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.fail_portal_session(id uuid, error text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.fail_portal_session(id uuid, error text) IS 'Records that Stripe refused a portal request; answers the row. Raises PY005 for an unknown id.';

CREATE FUNCTION payments.fill_linked_table(link_id integer, after jsonb, max_rows integer) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.fill_linked_table(link_id integer, after jsonb, max_rows integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.fill_linked_table(link_id integer, after jsonb, max_rows integer) IS 'Fills rows of a linked table, in the order of their key, from after on. Returns the key of the last one, null at the end. Raises PY005 for an unknown link.';

CREATE FUNCTION payments.find_payments(environment text, word text, account_id text DEFAULT NULL::text, max_rows integer DEFAULT 200) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.find_payments(environment text, word text, account_id text, max_rows integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.find_payments(environment text, word text, account_id text, max_rows integer) IS 'Ids of the rows of payments.transactions that a word finds: any Stripe id of the payment, of its customer, subscription or event, an e-mail address, the id of an attempt, or a value in an attempt''s metadata. At most max_rows, through indexes.';

CREATE FUNCTION payments.finish_checkout(id uuid, session jsonb) RETURNS payments.stripe_checkout_sessions
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.finish_checkout(id uuid, session jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.finish_checkout(id uuid, session jsonb) IS 'Records Stripe''s answer to an attempt, verbatim. Safe to repeat. Raises PY005 for an unknown id, PY001 for anything but a Checkout Session, PY006 for a session of another attempt, PY008 for one of the other mode.';

CREATE FUNCTION payments.finish_portal_session(id uuid, session jsonb) RETURNS payments.stripe_customer_portal_sessions
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.finish_portal_session(id uuid, session jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.finish_portal_session(id uuid, session jsonb) IS 'Records Stripe''s answer to a portal request. Raises PY005 for an unknown id, PY001 for anything but a portal session.';

CREATE FUNCTION payments.finish_sweep(environment text, certain_until timestamp with time zone, gap boolean DEFAULT false, account_id text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.finish_sweep(environment text, certain_until timestamp with time zone, gap boolean, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.finish_sweep(environment text, certain_until timestamp with time zone, gap boolean, account_id text) IS 'A sweep has read all its lists: whatever happened until then is in the ledger.';

CREATE FUNCTION payments.finish_sync(environment text, counts jsonb, error text DEFAULT NULL::text) RETURNS payments.provider_connections
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.finish_sync(environment text, counts jsonb, error text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.finish_sync(environment text, counts jsonb, error text) IS 'Records how a sync ended: what it read, by list, and the error that stopped it. Without counts not even the account could be read. last_synced_at moves only when it succeeded.';

CREATE FUNCTION payments.forget_account_key(environment text, account_id text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.forget_account_key(environment text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.forget_account_key(environment text, account_id text) IS 'Forgets the stored key of an account, if there is one, and says whether there was; from then on Stripe is asked of it with the environment''s key on its behalf. Its rows stay. Adds to the audit log.';

CREATE FUNCTION payments.forget_key(environment text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.forget_key(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.forget_key(environment text) IS 'Forgets the stored key of an environment, if there is one. What it mirrored stays, and so does the secret of the webhook endpoint, which goes on delivering.';

CREATE FUNCTION payments.forget_signing_secret(environment text, name text DEFAULT 'endpoint'::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.forget_signing_secret(environment text, name text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.forget_signing_secret(environment text, name text) IS 'This secret counts no longer; whether there was one.';

CREATE FUNCTION payments.hold_job(job text, environment text, lease interval DEFAULT '00:05:00'::interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.hold_job(job text, environment text, lease interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.hold_job(job text, environment text, lease interval) IS 'The caller is still at work on a job that it has claimed.';

CREATE FUNCTION payments.ingest_stripe_event(environment text, payload text) RETURNS TABLE(event_id uuid, processing_status text, duplicate boolean, error text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.ingest_stripe_event(environment text, payload text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.ingest_stripe_event(environment text, payload text) IS 'Takes one verified webhook body through the whole pipeline: ledger, store, references, projections, fulfilment. Raises PY007 for a body that is no Stripe event and PY008 for an event of the other mode; what fails after that is stored as failed and answered in error.';

CREATE FUNCTION payments.ingest_stripe_events(environment text, payloads text[]) RETURNS TABLE(event_id uuid, processing_status text, duplicate boolean, error text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.ingest_stripe_events(environment text, payloads text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.ingest_stripe_events(environment text, payloads text[]) IS 'Takes a batch of verified webhook bodies through the whole pipeline in one transaction; one row each, in order. A bad one does not harm its neighbours: status failed with its error, or rejected (PY007 not a Stripe event, PY008 wrong mode) and nothing stored. Waits about a second for locks (setting lock_timeout), then keeps the event as failed; all events of a batch that is cancelled or runs into statement_timeout are kept as failed with 57014: give each to this function alone. Commits with synchronous_commit = on.';

CREATE FUNCTION payments.installation_id() RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.installation_id() OWNER TO payments_owner;

COMMENT ON FUNCTION payments.installation_id() IS 'The id of this installation, as it is stamped into metadata.payments_installation.';

CREATE FUNCTION payments.keep_failed_events(environment text, payloads text[], reason text) RETURNS TABLE(event_id uuid, processing_status text, duplicate boolean, error text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.keep_failed_events(environment text, payloads text[], reason text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.keep_failed_events(environment text, payloads text[], reason text) IS 'Keeps verified webhook bodies, which the pipeline could not be brought to finish, as failed events with this reason (57014), without applying them; one row each, in order. What is settled stays so. For a server whose ingest call was cut off. Raises what keeps them out of the ledger and of quarantine.';

CREATE FUNCTION payments.let_worker_ask(answer boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.let_worker_ask(answer boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.let_worker_ask(answer boolean) IS 'Whether workers ask Stripe for attempts that plain SQL begins, as the worker that was started last was told.';

CREATE FUNCTION payments.link_statements(link_id integer, what text) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.link_statements(link_id integer, what text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.link_statements(link_id integer, what text) IS 'Returns the statements that a link still needs, to be run as the table''s owner outside a transaction: what is index or validation. Raises PY005 for an unknown link.';

CREATE FUNCTION payments.link_table(target regclass, kind text, environment text, by text DEFAULT 'id'::text, match jsonb DEFAULT '{}'::jsonb, columns jsonb DEFAULT '{}'::jsonb, push jsonb DEFAULT NULL::jsonb, owner text DEFAULT 'database'::text, create_at_stripe boolean DEFAULT false, object_type text DEFAULT NULL::text, account_id text DEFAULT NULL::text, archive_on_delete boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning';

ALTER FUNCTION payments.link_table(target regclass, kind text, environment text, by text, match jsonb, columns jsonb, push jsonb, owner text, create_at_stripe boolean, object_type text, account_id text, archive_on_delete boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.link_table(target regclass, kind text, environment text, by text, match jsonb, columns jsonb, push jsonb, owner text, create_at_stripe boolean, object_type text, account_id text, archive_on_delete boolean) IS 'Keeps Stripe''s ids and values in columns of an application''s table, verbatim, and tells Stripe of changes of the columns in push. kind: product, customer, subscription, payment, or object with object_type and columns {"column": "path"}. by: id (the application writes the id column), subject (match {"subject_type", "subject_column"}), checkout (match {"checkout_column"}), metadata (match {"metadata_key", "column"}). Calling it again changes the link. For members of payments_owner who may act as the table''s owner. Raises PY001 naming the argument, PY012 for a table that pg-payments link must link, 42501 without those rights.';

CREATE FUNCTION payments.lists_at_end(environment text, account_id text, lists text[], since timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS TABLE(list text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.lists_at_end(environment text, account_id text, lists text[], since timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.lists_at_end(environment text, account_id text, lists text[], since timestamp with time zone) IS 'Which of these lists the sync has read to their ends that was broken off while it read others of them, within six hours and without a failure: when it goes on, they need not be begun.';

CREATE FUNCTION payments.lock_webhook_endpoint(environment text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '60s';

ALTER FUNCTION payments.lock_webhook_endpoint(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.lock_webhook_endpoint(environment text) IS 'Until the transaction ends nobody else replaces the endpoint of this environment. Waits a minute; then raises 55P03.';

CREATE FUNCTION payments.metrics(account_id text DEFAULT NULL::text) RETURNS TABLE(environment text, failed_events bigint, dead_events bigint, oldest_unprocessed_seconds double precision, sync_age_seconds double precision)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.metrics(account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.metrics(account_id text) IS 'A row an environment: failed events that wait for another attempt, dead ones, seconds since the oldest waiting one arrived and since the last sync that succeeded (null: none). Of all accounts (null), the sync being that of the environment''s own; or of a connected account, without what is in quarantine, which does not know of accounts.';

CREATE FUNCTION payments.name_installation(id text, keep_former boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.name_installation(id text, keep_former boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.name_installation(id text, keep_former boolean) IS 'Gives this installation another id; stamps under its former ones are believed further unless keep_former is false, which is for copies of a database. For members of payments_owner. Raises PY001 for an id that does not fit.';

CREATE FUNCTION payments.note_sign_in(who text, succeeded boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.note_sign_in(who text, succeeded boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.note_sign_in(who text, succeeded boolean) IS 'Counts a wrong key of somebody who tried to sign in to the dashboard, or forgets those before a right one. An hour without a try is forgotten too; of more than 10,000 the longest ago.';

CREATE FUNCTION payments.note_swept(environment text, event_ids uuid[], duplicates boolean[], account_id text DEFAULT NULL::text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.note_swept(environment text, event_ids uuid[], duplicates boolean[], account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.note_swept(environment text, event_ids uuid[], duplicates boolean[], account_id text) IS 'Counts events that a sweep has taken in: those that were not duplicates were missed, of the others how late they came. Answers how many were missed.';

CREATE FUNCTION payments.objects_of_payment(environment text, object_type text, object_id text, account_id text DEFAULT NULL::text) RETURNS TABLE(member_type text, member_id text, observed_at timestamp with time zone, deleted boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.objects_of_payment(environment text, object_type text, object_id text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.objects_of_payment(environment text, object_type text, object_id text, account_id text) IS 'The objects of a payment group, named by any of them, as the store has them; at most 500. object_type as Stripe or as payments.transactions writes it.';

CREATE FUNCTION payments.older_objects(environment text, object_type text, before timestamp with time zone, after_id text, max_rows integer, account_id text DEFAULT NULL::text) RETURNS TABLE(object_id text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.older_objects(environment text, object_type text, before timestamp with time zone, after_id text, max_rows integer, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.older_objects(environment text, object_type text, before timestamp with time zone, after_id text, max_rows integer, account_id text) IS 'Objects of a type and an account (null: the one behind the environment''s key) that are stored as they were before that time: the next max_rows ids after after_id.';

CREATE FUNCTION payments.open_environment(environment text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.open_environment(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.open_environment(environment text) IS 'Takes back close_environment(). For members of payments_owner.';

CREATE FUNCTION payments.open_to_users(what text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.open_to_users(what text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.open_to_users(what text) IS 'Lets users read their own ''subscriptions'' (with items) ''transactions'' or ''payment_methods'', or those of the accounts that their subjects own (''account_transactions''), or lets users and guests read the active ''catalogue''. Stays open through migrations, until close_to_users(). For members of payments_owner. Raises PY001 for anything else to read.';

CREATE FUNCTION payments.outbox_paused_at(environment text) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.outbox_paused_at(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.outbox_paused_at(environment text) IS 'Since when nothing of this environment is pushed, because of pause_outbox(); null while pushes are sent.';

CREATE TABLE payments.webhook_events (
    id uuid DEFAULT (((lpad(to_hex(((EXTRACT(epoch FROM clock_timestamp()) * (1000)::numeric))::bigint), 12, '0'::text) || '7'::text) || substr(replace((gen_random_uuid())::text, '-'::text, ''::text), 14)))::uuid NOT NULL,
    provider text DEFAULT 'stripe'::text NOT NULL,
    environment text NOT NULL,
    account_id text,
    provider_event_id text NOT NULL,
    event_type text,
    livemode boolean,
    provider_account_id text,
    api_version text,
    object_type text,
    object_id text,
    provider_created_at timestamp with time zone,
    processing_status text DEFAULT 'pending'::text NOT NULL,
    attempt_count integer DEFAULT 0 NOT NULL,
    last_error text,
    next_attempt_at timestamp with time zone,
    parked_at timestamp with time zone,
    payload jsonb,
    raw_payload text,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    processed_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (toast_tuple_target='8160');

ALTER TABLE payments.webhook_events OWNER TO payments_owner;

COMMENT ON TABLE payments.webhook_events IS 'Ledger of verified webhook events. A row reaches processed in the transaction that has put everything the event says in place; attach fulfilment triggers here.';

COMMENT ON COLUMN payments.webhook_events.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.webhook_events.provider IS 'stripe.';

COMMENT ON COLUMN payments.webhook_events.environment IS 'Where the event is filed: test events of connected accounts that come to a live endpoint are test events.';

COMMENT ON COLUMN payments.webhook_events.account_id IS 'The connected account (acct_…) that the event is of; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.webhook_events.provider_event_id IS 'Stripe''s event id (evt_…), or unreadable:<sha256> for a body too deep to read.';

COMMENT ON COLUMN payments.webhook_events.event_type IS 'Stripe''s name of the event.';

COMMENT ON COLUMN payments.webhook_events.livemode IS 'Stripe''s own word for the mode; environment says the same.';

COMMENT ON COLUMN payments.webhook_events.provider_account_id IS 'The account that the event itself names.';

COMMENT ON COLUMN payments.webhook_events.api_version IS 'The version of Stripe''s API that the event was written in.';

COMMENT ON COLUMN payments.webhook_events.object_type IS 'The type of the object that the event tells of.';

COMMENT ON COLUMN payments.webhook_events.object_id IS 'The id of the object that the event tells of.';

COMMENT ON COLUMN payments.webhook_events.provider_created_at IS 'When Stripe says the event happened, in whole seconds.';

COMMENT ON COLUMN payments.webhook_events.processing_status IS 'pending: stored, not yet applied, or thin and waiting for its object; processed: applied; ignored: carries no object that can be stored; failed: applying it raised, see last_error.';

COMMENT ON COLUMN payments.webhook_events.attempt_count IS 'How often applying the event was tried.';

COMMENT ON COLUMN payments.webhook_events.last_error IS 'What went wrong last; null if nothing did.';

COMMENT ON COLUMN payments.webhook_events.next_attempt_at IS 'When payments.retry_failed_events() may try again.';

COMMENT ON COLUMN payments.webhook_events.parked_at IS 'Since when the event is dead: no automatic retry any more, only payments.replay_event().';

COMMENT ON COLUMN payments.webhook_events.payload IS 'The event, verbatim.';

COMMENT ON COLUMN payments.webhook_events.raw_payload IS 'The body as text where jsonb refuses it (a \u0000, a lone surrogate, a number out of range); payload is then null.';

COMMENT ON COLUMN payments.webhook_events.received_at IS 'When it first came.';

COMMENT ON COLUMN payments.webhook_events.processed_at IS 'When everything the event says was put in place.';

COMMENT ON COLUMN payments.webhook_events.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.webhook_events.updated_at IS 'When the row last changed here.';

CREATE FUNCTION payments.paid_checkout(event payments.webhook_events) RETURNS TABLE(checkout_id uuid, environment text, subject_type text, subject_id text, line_items jsonb, metadata jsonb, amount bigint, currency text, checkout_session_id text, payment_intent_id text, subscription_id text, customer_id text, account_id text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.paid_checkout(event payments.webhook_events) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.paid_checkout(event payments.webhook_events) IS 'For fulfilment triggers on payments.webhook_events: one row if this event means that a checkout begun here is paid now (completed and paid, completed with nothing to pay, or the delayed payment has succeeded), else none. The environment, the connected account that it was sold for (null: our own), who paid and what for are in it: compare them with the order. For owners of trigger functions, who are members of payments_owner or are granted it.';

CREATE FUNCTION payments.pause_outbox(environment text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.pause_outbox(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.pause_outbox(environment text) IS 'Nothing of this environment is pushed until resume_outbox().';

CREATE FUNCTION payments.portal_request(id uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.portal_request(id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.portal_request(id uuid) IS 'The parameters of Stripe''s "Create a portal session". Raises PY005 for an unknown id.';

CREATE FUNCTION payments.projected_event_types() RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.projected_event_types() OWNER TO payments_owner;

COMMENT ON FUNCTION payments.projected_event_types() IS 'The event types from which projections are computed, under the names that Stripe gives them: what a managed webhook endpoint is for.';

CREATE FUNCTION payments.purge_events(older_than interval, max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.purge_events(older_than interval, max_rows integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.purge_events(older_than interval, max_rows integer) IS 'Takes at most max_rows events, and at most 10,000, that were received and settled longer ago than that out of the ledger, oldest first; answers how many. Only their ids stay, so that a redelivery is answered as before and not applied; failed events stay whole. Deliveries go on meanwhile. Raises PY001 for less than 7 days.';

CREATE FUNCTION payments.purge_guest_attempts(older_than interval DEFAULT '7 days'::interval, max_rows integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.purge_guest_attempts(older_than interval, max_rows integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.purge_guest_attempts(older_than interval, max_rows integer) IS 'Deletes at most max_rows checkout attempts of guests that were begun longer ago than that and never paid; returns how many. Raises PY001 for less than 2 days.';

CREATE FUNCTION payments.put_off_checkout(id uuid, retry_after interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.put_off_checkout(id uuid, retry_after interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.put_off_checkout(id uuid, retry_after interval) IS 'Stripe could not be asked for a claimed attempt now: again after that.';

CREATE FUNCTION payments.ranges_left(environment text, account_id text, lists text[]) RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.ranges_left(environment text, account_id text, lists text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.ranges_left(environment text, account_id text, lists text[]) IS 'How many parts of these lists are neither read nor failed, whoever reads them.';

CREATE FUNCTION payments.rebuild_projections(environment text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.rebuild_projections(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.rebuild_projections(environment text) IS 'Computes every projection of an environment again from stored objects and references, in one transaction; answers how many objects were read. Deliveries of that environment wait as long as they may, and are then kept as failed, to be retried: rebuild_projections_step() is for an environment in use. Raises PY001 for an unknown environment.';

CREATE FUNCTION payments.rebuild_projections_ranges(environment text, after text DEFAULT NULL::text, max_objects integer DEFAULT 100, max_ranges integer DEFAULT 100) RETURNS TABLE(begins text, ends text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.rebuild_projections_ranges(environment text, after text, max_objects integer, max_ranges integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.rebuild_projections_ranges(environment text, after text, max_objects integer, max_ranges integer) IS 'What of a rebuild may be made at once, on several connections: rebuild_projections_step(after => begins, until => ends) for each row, again with what it last answered as next until that is null. When all are done, ask for what comes after the last ends, until that is null. Those of one stage need not wait for each other. Raises PY001 for an unknown environment or place.';

CREATE FUNCTION payments.rebuild_projections_step(environment text, after text DEFAULT NULL::text, max_objects integer DEFAULT 100, until text DEFAULT NULL::text, OUT next text, OUT objects integer) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.rebuild_projections_step(environment text, after text, max_objects integer, until text, OUT next text, OUT objects integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.rebuild_projections_step(environment text, after text, max_objects integer, until text, OUT next text, OUT objects integer) IS 'A part of a rebuild, in a transaction of its own: call it with what it last answered as next until that is null. Deliveries go on; only those of the same objects wait for the step. until: go no further than there, for one of rebuild_projections_ranges(). Raises PY001 for an unknown environment or place.';

CREATE FUNCTION payments.receive_stripe_webhook(json) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.receive_stripe_webhook(json) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.receive_stripe_webhook(json) IS 'A delivery of Stripe''s, as PostgREST hands it over: the body, and Stripe-Signature in request.headers. Verified with the secrets of set_signing_secret(), whose environment it is of, then taken through the whole pipeline like any other. Raises PY015 for a bad signature, PY007 and PY008 as ingest_stripe_event(); what fails after that is kept and answered with status 500.';

CREATE FUNCTION payments.record_confirmed(range_id uuid, claim integer, after_id text, gone integer, skipped text[] DEFAULT '{}'::text[], lease interval DEFAULT '00:02:00'::interval) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.record_confirmed(range_id uuid, claim integer, after_id text, gone integer, skipped text[], lease interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.record_confirmed(range_id uuid, claim integer, after_id text, gone integer, skipped text[], lease interval) IS 'Stored objects up to this id (null: all) were asked for; so many of them are gone. False: the claim is another''s by now.';

CREATE FUNCTION payments.record_page(range_id uuid, claim integer, page jsonb, observed_at timestamp with time zone, starting_after text, top_created bigint DEFAULT NULL::bigint, last_created bigint DEFAULT NULL::bigint, skipped text[] DEFAULT '{}'::text[], lease interval DEFAULT '00:02:00'::interval) RETURNS TABLE(created_from bigint, read bigint, expected bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.record_page(range_id uuid, claim integer, page jsonb, observed_at timestamp with time zone, starting_after text, top_created bigint, last_created bigint, skipped text[], lease interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.record_page(range_id uuid, claim integer, page jsonb, observed_at timestamp with time zone, starting_after text, top_created bigint, last_created bigint, skipped text[], lease interval) IS 'Stores a page of a list, as Stripe answered it then, and moves its part''s checkpoint: to after this id, or to the end (null). Answers where the part begins now, how much of the list is read, and how much that may become. No row: the claim is another''s by now. Raises as store_stripe_objects(); then neither is done.';

CREATE FUNCTION payments.record_verification(environment text, objects bigint, sampled boolean, differences jsonb, repaired integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.record_verification(environment text, objects bigint, sampled boolean, differences jsonb, repaired integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.record_verification(environment text, objects bigint, sampled boolean, differences jsonb, repaired integer) IS 'How the mirror compared with Stripe, for payments.worker_status(): how many differences are left, by kind.';

CREATE FUNCTION payments.record_webhook_endpoint(environment text, endpoint_id text, url text, secret text, connect boolean DEFAULT false) RETURNS payments.provider_connections
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.record_webhook_endpoint(environment text, endpoint_id text, url text, secret text, connect boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.record_webhook_endpoint(environment text, endpoint_id text, url text, secret text, connect boolean) IS 'Makes this the managed webhook endpoint of an environment, or with connect that of its connected accounts, and stores its encrypted secret; the former one''s counts for three days more. Raises PY005 where no account is connected.';

CREATE FUNCTION payments.reencrypt_account_key(environment text, account_id text, formerly text, secret text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.reencrypt_account_key(environment text, account_id text, formerly text, secret text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.reencrypt_account_key(environment text, account_id text, formerly text, secret text) IS 'Puts the same key under another master key, unless somebody has replaced it meanwhile; whether it did.';

CREATE FUNCTION payments.reencrypt_secret(environment text, name text, formerly text, secret text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.reencrypt_secret(environment text, name text, formerly text, secret text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.reencrypt_secret(environment text, name text, formerly text, secret text) IS 'Puts the same secret under another master key, unless somebody has replaced it meanwhile; whether it did.';

CREATE FUNCTION payments.refresh_state(environment text, object_type text, object_id text, account_id text DEFAULT NULL::text) RETURNS TABLE(is_waiting boolean, last_error text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.refresh_state(environment text, object_type text, object_id text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.refresh_state(environment text, object_type text, object_id text, account_id text) IS 'Whether an object waits to be fetched, and why it was not the last time it was tried. No row: it is in place, or nobody asked for it.';

CREATE TABLE payments.accounts (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    account_id text NOT NULL,
    name text,
    country text,
    charges_enabled boolean,
    payouts_enabled boolean,
    deauthorized_at timestamp with time zone,
    subject_type text,
    subject_id text,
    subject_key text GENERATED ALWAYS AS (((subject_type || ':'::text) || subject_id)) STORED,
    charge_type text,
    open_to text,
    fee_percent numeric(5,2),
    fee_amount bigint,
    fee_currency text,
    on_behalf_of boolean DEFAULT false NOT NULL,
    key_source text DEFAULT 'platform'::text NOT NULL,
    masked_key text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT charge_type_is_known CHECK ((charge_type = ANY ('{direct,destination}'::text[]))),
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT fee_amount_is_possible CHECK ((fee_amount > 0)),
    CONSTRAINT fee_is_whole CHECK (((fee_amount IS NULL) = (fee_currency IS NULL))),
    CONSTRAINT fee_percent_is_possible CHECK (((fee_percent > (0)::numeric) AND (fee_percent <= (100)::numeric))),
    CONSTRAINT key_source_is_known CHECK ((key_source = ANY ('{platform,stored,environment}'::text[]))),
    CONSTRAINT only_what_sells_has_terms CHECK (((charge_type IS NOT NULL) OR ((num_nonnulls(open_to, fee_percent, fee_amount) = 0) AND (NOT on_behalf_of)))),
    CONSTRAINT open_to_is_known CHECK ((open_to = ANY ('{owner,users,everybody}'::text[]))),
    CONSTRAINT subject_is_whole CHECK (((subject_type IS NULL) = (subject_id IS NULL)))
);

ALTER TABLE payments.accounts OWNER TO payments_owner;

COMMENT ON TABLE payments.accounts IS 'Accounts other than the one behind an environment''s key: those that were registered, and what Stripe says of them.';

COMMENT ON COLUMN payments.accounts.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.accounts.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.accounts.account_id IS 'Stripe''s id of the account (acct_…).';

COMMENT ON COLUMN payments.accounts.name IS 'What Stripe says that the account is called.';

COMMENT ON COLUMN payments.accounts.country IS 'The account''s country, as two letters.';

COMMENT ON COLUMN payments.accounts.charges_enabled IS 'Whether Stripe lets the account take payments; null where it did not say.';

COMMENT ON COLUMN payments.accounts.payouts_enabled IS 'Whether Stripe pays out to the account; null where it did not say.';

COMMENT ON COLUMN payments.accounts.deauthorized_at IS 'When the account withdrew the access that it had given; null while it is given. It is not called meanwhile, and its rows stay.';

COMMENT ON COLUMN payments.accounts.subject_type IS 'The type of the subject that owns the account.';

COMMENT ON COLUMN payments.accounts.subject_id IS 'The id of the subject that owns the account.';

COMMENT ON COLUMN payments.accounts.subject_key IS 'type:id of the subject that owns the account, as payments.register_account() said; null: nobody here. Stripe''s objects never decide it.';

COMMENT ON COLUMN payments.accounts.charge_type IS 'How is sold for the account: direct, on it, or destination, on the platform''s account with a transfer; null: not at all.';

COMMENT ON COLUMN payments.accounts.open_to IS 'Who may begin checkouts for the account: its owner, users, or everybody, guests too; null: nobody.';

COMMENT ON COLUMN payments.accounts.fee_percent IS 'What the platform keeps of a payment, in per cent; null: nothing.';

COMMENT ON COLUMN payments.accounts.fee_amount IS 'What the platform keeps of a one-time payment, in minor units, in place of fee_percent.';

COMMENT ON COLUMN payments.accounts.fee_currency IS 'The currency of fee_amount, in which such payments are made.';

COMMENT ON COLUMN payments.accounts.on_behalf_of IS 'Whether the account is the merchant of record of destination charges.';

COMMENT ON COLUMN payments.accounts.key_source IS 'Which key Stripe is asked of the account with: platform, the environment''s own on its behalf; stored, one of its own that is kept here, encrypted; environment, one of its own in STRIPE_ACCOUNT_KEYS, as the worker said last.';

COMMENT ON COLUMN payments.accounts.masked_key IS 'The stored key of its own, as it may be shown (sk_test_****4242); null: none is stored.';

COMMENT ON COLUMN payments.accounts.created_at IS 'When the row was made.';

COMMENT ON COLUMN payments.accounts.updated_at IS 'When the row was changed last.';

CREATE FUNCTION payments.register_account(environment text, account_id text, subject_type text DEFAULT NULL::text, subject_id text DEFAULT NULL::text, charge_type text DEFAULT NULL::text, open_to text DEFAULT NULL::text, fee_percent numeric DEFAULT NULL::numeric, fee_amount bigint DEFAULT NULL::bigint, fee_currency text DEFAULT NULL::text, on_behalf_of boolean DEFAULT false) RETURNS payments.accounts
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.register_account(environment text, account_id text, subject_type text, subject_id text, charge_type text, open_to text, fee_percent numeric, fee_amount bigint, fee_currency text, on_behalf_of boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.register_account(environment text, account_id text, subject_type text, subject_id text, charge_type text, open_to text, fee_percent numeric, fee_amount bigint, fee_currency text, on_behalf_of boolean) IS 'Makes a connected account known, so that the worker syncs and sweeps it, and says which subject owns it (none: nobody here) and what is sold through it: with direct charges on it or destination charges, open to its owner, to users or to everybody, for a fee in per cent (fee_percent) or, of single payments, an amount in a currency. Takes the place of all that was said before; without a charge_type nothing is sold. For members of payments_owner. Raises PY001 for a bad argument (named in DETAIL), as for the account behind the key.';

CREATE FUNCTION payments.register_subject_type(subject_type text, lookup regprocedure) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning';

ALTER FUNCTION payments.register_subject_type(subject_type text, lookup regprocedure) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.register_subject_type(subject_type text, lookup regprocedure) IS 'Says that an application''s own function answers the ids of this type that the caller may bill, one a row. It reads request.jwt.claims itself and runs as its owner. For members of payments_owner who may act as the function''s owner. Raises PY001 for a bad argument, 42501 without those rights, PY002 for a superuser''s function.';

CREATE FUNCTION payments.register_subject_type(subject_type text, members regclass, subject_column name, user_column name, filter text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning';

ALTER FUNCTION payments.register_subject_type(subject_type text, members regclass, subject_column name, user_column name, filter text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.register_subject_type(subject_type text, members regclass, subject_column name, user_column name, filter text) IS 'Says that whoever stands in user_column of a membership table, where filter holds, may bill the subjects in subject_column. Takes effect at once, and so does every change of the table. For members of payments_owner who may act as the table''s owner. Raises PY001 for a bad argument (named in DETAIL), 42501 without those rights, PY002 where a superuser''s view, or functions called on a superuser''s table, would run with its rights.';

CREATE FUNCTION payments.release_range(range_id uuid, claim integer, error text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.release_range(range_id uuid, claim integer, error text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.release_range(range_id uuid, claim integer, error text) IS 'The caller reads a part no further. With an error nobody does until the next sync; without one somebody else may.';

CREATE FUNCTION payments.replace_account(environment text, account jsonb, livemode boolean, secret text, masked text) RETURNS payments.provider_connections
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.replace_account(environment text, account jsonb, livemode boolean, secret text, masked text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.replace_account(environment text, account jsonb, livemode boolean, secret text, masked text) IS 'Stores the encrypted key of an account, in place of the former one. If it opens another account, the former account''s mirror and webhook endpoint are forgotten in the same transaction. Raises as connect_account does.';

CREATE FUNCTION payments.replay_event(event_id uuid) RETURNS TABLE(processing_status text, error text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.replay_event(event_id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.replay_event(event_id uuid) IS 'Applies an event again on purpose, whatever became of it before: its fulfilment triggers see it processed once more. Raises PY005 for an unknown id, PY006 for a body that jsonb refuses.';

CREATE FUNCTION payments.request_refresh(environment text, object_type text, object_id text, account_id text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.request_refresh(environment text, object_type text, object_id text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.request_refresh(environment text, object_type text, object_id text, account_id text) IS 'A worker fetches this object of an account (null: the one behind the environment''s key) from Stripe and stores it, soon after the transaction commits; once, however often it is asked for until then. Raises PY001 for what cannot be a type or an id.';

CREATE FUNCTION payments.resume_outbox(environment text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.resume_outbox(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.resume_outbox(environment text) IS 'Pushes of this environment are sent again.';

CREATE FUNCTION payments.retry_failed_events(max_events integer DEFAULT 100) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.retry_failed_events(max_events integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.retry_failed_events(max_events integer) IS 'Applies failed events again whose time has come, each on its own: at most max_events, at most 100, and begins with no other after a second, so that deliveries of the same objects do not wait long. Returns how many were tried: call it again, in a transaction of its own, until that is 0. Several workers may call it at once.';

CREATE FUNCTION payments.retry_push(id uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.retry_push(id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.retry_push(id uuid) IS 'Sends a refused push again, or decides a conflict for the database. Raises PY005 for an unknown id, PY006 for one that is settled.';

CREATE FUNCTION payments.rows_to_create(target regclass, kind text DEFAULT NULL::text) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'utc';

ALTER FUNCTION payments.rows_to_create(target regclass, kind text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.rows_to_create(target regclass, kind text) IS 'Returns how many rows of a linked table would be created at Stripe by create_existing(). For members of payments_owner who may read the table.';

CREATE FUNCTION payments.sample_objects(environment text, object_type text, sample integer, account_id text DEFAULT NULL::text) RETURNS TABLE(object_id text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.sample_objects(environment text, object_type text, sample integer, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.sample_objects(environment text, object_type text, sample integer, account_id text) IS 'So many stored objects of a type, at random.';

CREATE FUNCTION payments.schedule_job(job text, environment text, every interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.schedule_job(job text, environment text, every interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.schedule_job(job text, environment text, every interval) IS 'A job is due every so often, at first at once. Changes nothing that is scheduled like that already.';

CREATE FUNCTION payments.set_signing_secret(environment text, secret text, name text DEFAULT 'endpoint'::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.set_signing_secret(environment text, secret text, name text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.set_signing_secret(environment text, secret text, name text) IS 'What signs the deliveries that receive_stripe_webhook() takes. Several under names of their own count at once, as while one is rotated. Raises PY001 for what Stripe would not have made.';

CREATE FUNCTION payments.settle_account(environment text, account_id text, job text, error text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.settle_account(environment text, account_id text, job text, error text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.settle_account(environment text, account_id text, job text, error text) IS 'How a job for a connected account ended; its turn comes again after all others''.';

CREATE FUNCTION payments.settle_job(job text, environment text, error text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.settle_job(job text, environment text, error text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.settle_job(job text, environment text, error text) IS 'How a claimed job ended. After an error it is due again in a minute, then two, four …, but not later than usual.';

CREATE FUNCTION payments.settle_push(id uuid, outcome text, object jsonb DEFAULT NULL::jsonb, error text DEFAULT NULL::text, request_id text DEFAULT NULL::text, retry_after interval DEFAULT NULL::interval, observed_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.settle_push(id uuid, outcome text, object jsonb, error text, request_id text, retry_after interval, observed_at timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.settle_push(id uuid, outcome text, object jsonb, error text, request_id text, retry_after interval, observed_at timestamp with time zone) IS 'Says what became of a claimed push: done with Stripe''s object as it was at observed_at (null: now), refused (4xx) with its words, retry (429, 5xx, no connection) after retry_after seconds or a growing wait, unknown (Stripe keeps an error as its answer to this key, and may have done it), not found (a search showed that it was not). Returns the row''s status. Raises PY005 for an unknown id.';

CREATE FUNCTION payments.settle_refresh(environment text, account_id text, object_type text, object_id text, error text DEFAULT NULL::text, retry_after interval DEFAULT NULL::interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.settle_refresh(environment text, account_id text, object_type text, object_id text, error text, retry_after interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.settle_refresh(environment text, account_id text, object_type text, object_id text, error text, retry_after interval) IS 'What became of a claimed object: without an error it is in place and leaves the queue, unless it came into doubt meanwhile. With one it is tried again after retry_after (null: only when it is asked for again).';

CREATE FUNCTION payments.sign_in_wait(who text) RETURNS integer
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.sign_in_wait(who text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.sign_in_wait(who text) IS 'Returns the seconds after which somebody, an address or a browser, may try again to sign in to the dashboard; 0 for now.';

CREATE FUNCTION payments.store_absence(environment text, object_type text, object_id text, asked_at timestamp with time zone, account_id text DEFAULT NULL::text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.store_absence(environment text, object_type text, object_id text, asked_at timestamp with time zone, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.store_absence(environment text, object_type text, object_id text, asked_at timestamp with time zone, account_id text) IS 'Stripe was asked for an object then and has no such: what is stored of it is marked deleted, unless it is newer than that. Whether it was.';

CREATE FUNCTION payments.store_account_key(environment text, account_id text, account jsonb, livemode boolean, secret text, masked text) RETURNS payments.accounts
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.store_account_key(environment text, account_id text, account jsonb, livemode boolean, secret text, masked text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.store_account_key(environment text, account_id text, account jsonb, livemode boolean, secret text, masked text) IS 'Keeps the encrypted key of an account''s own, in place of a former one, and makes the account known, so that the worker syncs and sweeps it; whose it is and what is sold through it stays as register_account() said. account is what /v1/account shows to that key. Adds to the audit log. Raises PY001 for a bad argument, as for the account behind the environment''s key, PY006 where the key opens another account, PY008 for a key of the other mode.';

CREATE FUNCTION payments.store_stripe_objects(environment text, objects jsonb, observed_at timestamp with time zone DEFAULT NULL::timestamp with time zone, account_id text DEFAULT NULL::text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.store_stripe_objects(environment text, objects jsonb, observed_at timestamp with time zone, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.store_stripe_objects(environment text, objects jsonb, observed_at timestamp with time zone, account_id text) IS 'Stores Stripe objects of an account (null: the one behind the environment''s key) as the API answered at observed_at (null: now) and computes what depends on them; answers how many were new or newer. Raises PY001 for anything but an array of objects with ids, PY008 for objects of the other mode.';

CREATE FUNCTION payments.stored_secret(environment text, name text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.stored_secret(environment text, name text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.stored_secret(environment text, name text) IS 'A secret as it was encrypted; null if none is stored.';

CREATE FUNCTION payments.stripe_statuses(kind text) RETURNS SETOF text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.stripe_statuses(kind text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.stripe_statuses(kind text) IS 'The statuses that Stripe documents for subscriptions or payments (payment intents), for a select field. A linked column also takes one that is new. Raises PY001 for another kind. (Stripe API reference: The Subscription object, status; The PaymentIntent object, status.)';

CREATE FUNCTION payments.sync_status(environment text, account_id text DEFAULT NULL::text) RETURNS TABLE(list text, since timestamp with time zone, began_at timestamp with time zone, finished_at timestamp with time zone, read bigint, changed bigint, unchanged bigint, gone bigint, skipped bigint, failed bigint, skipped_ids text[], error text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.sync_status(environment text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.sync_status(environment text, account_id text) IS 'How the last sync of each of Stripe''s lists went, or how far it is: how many objects were read, how many of them said something new, how many stored ones are gone, how many could not be stored, and how many parts of the list could not be read. Not finished and nothing failed: it is under way, or was broken off.';

CREATE FUNCTION payments.table_is_linked(link_id integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.table_is_linked(link_id integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.table_is_linked(link_id integer) IS 'Records that all rows of a linked table are filled and its foreign key is validated.';

CREATE FUNCTION payments.take_read(environment text, account_id text DEFAULT NULL::text) RETURNS double precision
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.take_read(environment text, account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.take_read(environment text, account_id text) IS 'Takes one request out of what an account may be asked now, which all processes share (read_rate_test, read_rate_live): 0, or the seconds after which to try again. Leaves a quarter of what may come at once to the objects in doubt.';

CREATE FUNCTION payments.tell_account_keys(environment text, account_ids text[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.tell_account_keys(environment text, account_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.tell_account_keys(environment text, account_ids text[]) IS 'Writes down for which accounts the worker has a key in STRIPE_ACCOUNT_KEYS, which counts before a stored one.';

CREATE FUNCTION payments.tell_dashboard_job(id uuid, status text, lines text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.tell_dashboard_job(id uuid, status text, lines text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.tell_dashboard_job(id uuid, status text, lines text[]) IS 'That a job runs still (running), or how it ended (done, failed), and all it has said; of that, the latest 200 lines are kept. What has ended changes no more.';

CREATE FUNCTION payments.trust_accounts(accounts text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.trust_accounts(accounts text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.trust_accounts(accounts text[]) IS 'Lets the objects of these connected accounts (acct_…, or * for all) name billing subjects of ours, in place of those that could before; null or {} for none, as it is at first. Only the owner may; what is stored already follows when it is told again or, but for mappings, with rebuild_projections(). Raises PY001 for anything else.';

CREATE FUNCTION payments.unlink_table(target regclass, kind text DEFAULT NULL::text, drop_columns boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning';

ALTER FUNCTION payments.unlink_table(target regclass, kind text, drop_columns boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.unlink_table(target regclass, kind text, drop_columns boolean) IS 'Takes the links of a table back, or those of one kind: triggers, functions and the foreign key go, the columns stay with what they hold unless drop_columns. For members of payments_owner who may act as the table''s owner. Raises PY005 where nothing is linked.';

CREATE FUNCTION payments.unregister_subject_type(subject_type text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning';

ALTER FUNCTION payments.unregister_subject_type(subject_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.unregister_subject_type(subject_type text) IS 'From now on nobody may bill subjects of this type; what was paid stays. Raises PY005 for a type that is not registered.';

CREATE FUNCTION payments.verifications() RETURNS TABLE(environment text, verified_at timestamp with time zone, objects bigint, sampled boolean, differences jsonb, repaired integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.verifications() OWNER TO payments_owner;

COMMENT ON FUNCTION payments.verifications() IS 'How the mirror compared with Stripe when it was last compared: a row for each environment that was, with how many objects were compared, whether only a sample was, how many differences are left, by kind, and how many were repaired.';

CREATE FUNCTION payments.verify_projections(environment text) RETURNS TABLE(projection text, key text, stored jsonb, expected jsonb)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.verify_projections(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.verify_projections(environment text) IS 'The rows that differ from what a rebuild would give: no rows when all is well. stored is null for a missing row, expected for one too many; the key of another account''s row ends in its name. Then rows, also of the ledger, that break a rule which only our functions keep: expected names it. Changes nothing, and deliveries go on. Raises PY001 for an unknown environment.';

CREATE FUNCTION payments.wait_for_checkout(id uuid, timeout interval DEFAULT '00:00:10'::interval) RETURNS payments.stripe_checkout_sessions
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.wait_for_checkout(id uuid, timeout interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.wait_for_checkout(id uuid, timeout interval) IS 'Returns the caller''s attempt once its outcome is applied: paid (or nothing to pay), expired or failed. For success pages; call it outside the transaction that began the attempt. Waits a minute at most. Raises PY005 for an attempt that the caller may not see, PY014 when the timeout passes first.';

CREATE FUNCTION payments.wait_for_push(target regclass, row_key jsonb, timeout interval DEFAULT '00:00:10'::interval) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.wait_for_push(target regclass, row_key jsonb, timeout interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.wait_for_push(target regclass, row_key jsonb, timeout interval) IS 'Returns the status of a row''s push once it is settled (done, dropped, refused, conflict), null if there never was one. Call it outside the transaction that made the change. Raises PY014 when the timeout passes first.';

CREATE FUNCTION payments.webhook_endpoint(environment text, connect boolean DEFAULT false) RETURNS TABLE(endpoint_id text, url text, configured_at timestamp with time zone, secret text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.webhook_endpoint(environment text, connect boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.webhook_endpoint(environment text, connect boolean) IS 'The managed webhook endpoint of an environment, or with connect that of its connected accounts, if there is one, with its secret as it was encrypted.';

CREATE FUNCTION payments.webhook_secrets(environment text) RETURNS TABLE(name text, secret text)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.webhook_secrets(environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments.webhook_secrets(environment text) IS 'The secrets that may have signed a delivery, as they were encrypted: the endpoint''s own first, then those of former ones that still count.';

CREATE FUNCTION payments.work_due() RETURNS TABLE(job text, seconds double precision)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments.work_due() OWNER TO payments_owner;

COMMENT ON FUNCTION payments.work_due() IS 'What a worker may have to do and in how many seconds, a row a job; no row for a job that has nothing waiting. The one question that an idle worker asks.';

CREATE FUNCTION payments.worker_status() RETURNS TABLE(environment text, certain_until timestamp with time zone, swept_at timestamp with time zone, missed_events bigint, last_missed_at timestamp with time zone, latest_arrival interval, latest_arrival_of text, gaps integer, refreshes_waiting bigint, refreshes_refused bigint, failed_jobs text[], verified_at timestamp with time zone, differences jsonb, accounts_certain_until timestamp with time zone, failed_accounts text[])
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments.worker_status() OWNER TO payments_owner;

COMMENT ON FUNCTION payments.worker_status() IS 'A row an environment: up to when the ledger is certain to hold every event, how many had to be fetched, how late the latest came, what waits to be refreshed, scheduled jobs whose last run failed, and how many differences from Stripe verify --stripe has left, by kind; up to when that is so of every connected account that is swept, and for which the last try failed. Counts are of all accounts.';

CREATE FUNCTION payments_private.account_in_context(p_context text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.account_in_context(p_context text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.account_in_context(p_context text) IS 'Returns the account that the context of a thin event names, as acct_… or org_…/acct_…; null for any other.';

CREATE FUNCTION payments_private.account_is_trusted(p_account text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.account_is_trusted(p_account text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.account_is_trusted(p_account text) IS 'Whether objects of this account may name billing subjects of ours: those of our own (null), and of accounts that a setting lists.';

CREATE FUNCTION payments_private.account_name(p_account jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.account_name(p_account jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.account_name(p_account jsonb) IS 'What Stripe''s account object says it is called.';

CREATE FUNCTION payments_private.account_named_in(p_payload jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.account_named_in(p_payload jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.account_named_in(p_payload jsonb) IS 'Returns the account that an event says it is of, ours or another; null where it says nothing.';

CREATE FUNCTION payments_private.add_same_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_body jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.add_same_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_body jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.add_same_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_body jsonb) IS 'Enters a snapshot into the set among which the latest of its second is chosen. p_body: its body, null where the ledger has it or is about to.';

CREATE FUNCTION payments_private.adopt_account(p_environment text, p_account_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.adopt_account(p_environment text, p_account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.adopt_account(p_environment text, p_account_id text) IS 'Files what was told of this account as ours. Deliveries of the environment wait meanwhile. Its cost is one look at the ledger and the store, and that of each event of the account.';

CREATE FUNCTION payments_private.adopt_event(p_event payments.webhook_events) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.adopt_event(p_event payments.webhook_events) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.adopt_event(p_event payments.webhook_events) IS 'Makes an event of a connected account one of ours, and applies it again if it was. The caller has locked the environment.';

CREATE FUNCTION payments_private.allow_link(p_link integer, p_object_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.allow_link(p_link integer, p_object_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.allow_link(p_link integer, p_object_id text) IS 'Raises PY011 where the caller may not link a row to an object.';

CREATE FUNCTION payments_private.amount_given_back(p_parts payments_private.payment_facts[]) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.amount_given_back(p_parts payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.amount_given_back(p_parts payments_private.payment_facts[]) IS 'Minor units given back of a payment: by refunds that have not failed, and what its charges count beyond the known ones.';

CREATE TABLE payments_private.object_anchors (
    anchor_id integer NOT NULL,
    environment text NOT NULL,
    account_id text,
    object_type text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.object_anchors OWNER TO payments_owner;

COMMENT ON TABLE payments_private.object_anchors IS 'For each type of object that a table is linked to: the table payments_private.anchors_<anchor_id> holds its objects, keyed by Stripe''s id. Applications'' foreign keys refer to it.';

CREATE FUNCTION payments_private.anchor_condition(p_anchor payments_private.object_anchors) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.anchor_condition(p_anchor payments_private.object_anchors) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.anchor_condition(p_anchor payments_private.object_anchors) IS 'Returns the SQL that says whether an object that was stored belongs in an anchor table, as far as its type tells.';

CREATE FUNCTION payments_private.anchor_for(p_environment text, p_account_id text, p_object_type text) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.anchor_for(p_environment text, p_account_id text, p_object_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.anchor_for(p_environment text, p_account_id text, p_object_type text) IS 'Returns the number of the anchor table of a type of object; makes and fills it if there is none. The caller holds the lock of links.';

CREATE FUNCTION payments_private.anchored(p_anchor integer, p_object_id text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.anchored(p_anchor integer, p_object_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.anchored(p_anchor integer, p_object_id text) IS 'Returns a stored object by the number of its anchor table, or null.';

CREATE FUNCTION payments_private.anchored_types(p_object_type text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.anchored_types(p_object_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.anchored_types(p_object_type text) IS 'The types of objects that an anchor table may hold, by the type it is of: that of customers holds accounts, too.';

CREATE FUNCTION payments_private.apply_alone(p_environment text, p_event payments_private.incoming, p_body text, p_locked boolean, p_deadline timestamp with time zone) RETURNS payments_private.incoming
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.apply_alone(p_environment text, p_event payments_private.incoming, p_body text, p_locked boolean, p_deadline timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.apply_alone(p_environment text, p_event payments_private.incoming, p_body text, p_locked boolean, p_deadline timestamp with time zone) IS 'Enters and applies one event of a batch; whatever it raises, it is kept as failed or in quarantine. Raises only where neither can be written, and 40001 in a transaction with one snapshot.';

CREATE FUNCTION payments_private.apply_by_account(p_snapshots payments_private.snapshot[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.apply_by_account(p_snapshots payments_private.snapshot[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.apply_by_account(p_snapshots payments_private.snapshot[]) IS 'Applies snapshots of one or more environments and accounts. The caller holds the locks.';

CREATE FUNCTION payments_private.apply_events(p_ids uuid[], p_snapshots payments_private.snapshot[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.apply_events(p_ids uuid[], p_snapshots payments_private.snapshot[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.apply_events(p_ids uuid[], p_snapshots payments_private.snapshot[]) IS 'Everything the given ledger rows say is put in place and the rows become processed. Raises what a projection or trigger raises.';

CREATE FUNCTION payments_private.apply_one_by_one(p_environment text, p_events payments_private.incoming[], p_bodies text[], p_locked boolean, p_wait integer, p_cancelled text) RETURNS payments_private.incoming[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.apply_one_by_one(p_environment text, p_events payments_private.incoming[], p_bodies text[], p_locked boolean, p_wait integer, p_cancelled text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.apply_one_by_one(p_environment text, p_events payments_private.incoming[], p_bodies text[], p_locked boolean, p_wait integer, p_cancelled text) IS 'Enters and applies the events of a batch each on its own; together they wait for locks no longer than p_wait ms, and 10 ms each after that.';

CREATE FUNCTION payments_private.apply_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.apply_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.apply_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) IS 'What apply_snapshots() does, for a page; answers how many changed the store. The caller holds the locks.';

CREATE FUNCTION payments_private.apply_snapshots(p_environment text, p_account text, p_snapshots payments_private.snapshot[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.apply_snapshots(p_environment text, p_account text, p_snapshots payments_private.snapshot[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.apply_snapshots(p_environment text, p_account text, p_snapshots payments_private.snapshot[]) IS 'Stores snapshots, links them and computes what depends on them; answers how many changed the store. The caller holds the locks.';

CREATE FUNCTION payments_private.apply_together(p_environment text, p_events payments_private.incoming[], p_bodies text[]) RETURNS payments_private.incoming[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.apply_together(p_environment text, p_events payments_private.incoming[], p_bodies text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.apply_together(p_environment text, p_events payments_private.incoming[], p_bodies text[]) IS 'Enters and applies all events of a batch, whose objects are locked. Raises what any of them raises.';

CREATE TABLE payments.outbox (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    link_id integer NOT NULL,
    environment text NOT NULL,
    account_id text,
    target regclass NOT NULL,
    row_key jsonb NOT NULL,
    object_type text NOT NULL,
    object_id text,
    operation text NOT NULL,
    base jsonb DEFAULT '{}'::jsonb NOT NULL,
    wanted jsonb DEFAULT '{}'::jsonb NOT NULL,
    found jsonb,
    request jsonb,
    status text DEFAULT 'pending'::text NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    next_try_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_until timestamp with time zone,
    idempotency_key text,
    must_search boolean DEFAULT false NOT NULL,
    last_error text,
    stripe_request_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    sent_at timestamp with time zone,
    settled_at timestamp with time zone,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT operation_is_known CHECK ((operation = ANY ('{create,update,archive}'::text[]))),
    CONSTRAINT status_is_known CHECK ((status = ANY ('{pending,claimed,done,dropped,refused,conflict,paused}'::text[])))
);

ALTER TABLE payments.outbox OWNER TO payments_owner;

COMMENT ON TABLE payments.outbox IS 'What Stripe is to be told of changes in linked tables. A worker sends it after the change was committed.';

COMMENT ON COLUMN payments.outbox.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.outbox.link_id IS 'The link of payments.linked_tables that the change is of.';

COMMENT ON COLUMN payments.outbox.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.outbox.account_id IS 'Null: what is pushed goes to the account behind the environment''s key.';

COMMENT ON COLUMN payments.outbox.target IS 'The application''s table.';

COMMENT ON COLUMN payments.outbox.row_key IS 'The primary key of the application''s row.';

COMMENT ON COLUMN payments.outbox.object_type IS 'Stripe''s name of the type of object.';

COMMENT ON COLUMN payments.outbox.object_id IS 'Stripe''s id of the object.';

COMMENT ON COLUMN payments.outbox.operation IS 'create, update or archive.';

COMMENT ON COLUMN payments.outbox.base IS 'What row and Stripe''s object agreed upon, of the values to be sent, before the change.';

COMMENT ON COLUMN payments.outbox.wanted IS 'What Stripe is to hold; read from the row when it is sent, so later changes are in it.';

COMMENT ON COLUMN payments.outbox.found IS 'What Stripe''s object said when a conflict was found.';

COMMENT ON COLUMN payments.outbox.request IS 'The parameters of a creation, which stay the same until its outcome is known.';

COMMENT ON COLUMN payments.outbox.status IS 'pending, claimed, done, dropped, refused, conflict or paused.';

COMMENT ON COLUMN payments.outbox.tries IS 'How often Stripe was asked.';

COMMENT ON COLUMN payments.outbox.next_try_at IS 'When it is due, or due again.';

COMMENT ON COLUMN payments.outbox.claimed_until IS 'Until when a worker has this row for itself.';

COMMENT ON COLUMN payments.outbox.idempotency_key IS 'Under which Stripe is asked, so that a repetition changes nothing.';

COMMENT ON COLUMN payments.outbox.must_search IS 'The outcome of a creation is unknown: Stripe is searched before anything is created again.';

COMMENT ON COLUMN payments.outbox.last_error IS 'Stripe''s own words, or ours for what could not be sent.';

COMMENT ON COLUMN payments.outbox.stripe_request_id IS 'Stripe''s own name for the last request (req_…), for its support.';

COMMENT ON COLUMN payments.outbox.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.outbox.updated_at IS 'When the row last changed here.';

COMMENT ON COLUMN payments.outbox.sent_at IS 'When Stripe was asked last.';

COMMENT ON COLUMN payments.outbox.settled_at IS 'When it was done, dropped or refused for good.';

CREATE FUNCTION payments_private.archive_price(o payments.outbox, p_price text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.archive_price(o payments.outbox, p_price text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.archive_price(o payments.outbox, p_price text) IS 'Has a price that was replaced archived at Stripe.';

CREATE FUNCTION payments_private.as_customer(p_data jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.as_customer(p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.as_customer(p_data jsonb) IS 'An account with what it says of itself also where a customer says it: email, name, phone, created, invoice_settings.default_payment_method. Any other object as it is.';

CREATE TABLE payments_private.linked_tables (
    link_id integer NOT NULL,
    target regclass NOT NULL,
    kind text NOT NULL,
    environment text NOT NULL,
    account_id text,
    object_type text NOT NULL,
    anchor_id integer NOT NULL,
    found_by text NOT NULL,
    match jsonb DEFAULT '{}'::jsonb NOT NULL,
    match_column name,
    id_column name NOT NULL,
    key_columns name[] NOT NULL,
    columns jsonb NOT NULL,
    push jsonb DEFAULT '{}'::jsonb NOT NULL,
    owner text NOT NULL,
    create_at_stripe boolean DEFAULT false NOT NULL,
    archive_on_delete boolean DEFAULT false NOT NULL,
    filled boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT kind_is_known CHECK ((kind = ANY ('{product,customer,subscription,payment,object}'::text[]))),
    CONSTRAINT owner_is_known CHECK ((owner = ANY ('{database,stripe,refuse}'::text[]))),
    CONSTRAINT way_is_known CHECK ((found_by = ANY ('{id,subject,checkout,metadata}'::text[])))
);

ALTER TABLE payments_private.linked_tables OWNER TO payments_owner;

COMMENT ON TABLE payments_private.linked_tables IS 'What payments.link_table() has linked. payments.linked_tables shows it to people.';

COMMENT ON COLUMN payments_private.linked_tables.columns IS 'The linked columns: name to path in Stripe''s object.';

COMMENT ON COLUMN payments_private.linked_tables.push IS 'What Stripe is told: its parameter, e.g. name or metadata.sku, to the application''s column.';

COMMENT ON COLUMN payments_private.linked_tables.filled IS 'The rows that were there when the table was linked have been filled and the foreign key is validated.';

CREATE FUNCTION payments_private.attach_link(p_link payments_private.linked_tables, p_owner name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.attach_link(p_link payments_private.linked_tables, p_owner name) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.attach_link(p_link payments_private.linked_tables, p_owner name) IS 'Makes the functions, triggers and foreign key of a link. The caller acts as payments_owner and may act as the table''s owner.';

CREATE FUNCTION payments_private.attempt_has_another_object() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.attempt_has_another_object() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.attempt_has_another_object() IS 'Fills the rows of a checkout attempt that Stripe has answered.';

CREATE FUNCTION payments_private.attempt_named_in(p_metadata jsonb) RETURNS uuid
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.attempt_named_in(p_metadata jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.attempt_named_in(p_metadata jsonb) IS 'The id of a checkout attempt that metadata names, whosever it is, or null.';

CREATE FUNCTION payments_private.attempt_of(p_environment text, p_account text, p_session jsonb, p_is_answer boolean DEFAULT false) RETURNS uuid
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.attempt_of(p_environment text, p_account text, p_session jsonb, p_is_answer boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.attempt_of(p_environment text, p_account text, p_session jsonb, p_is_answer boolean) IS 'The id of the checkout attempt that a Checkout Session of an account answers, or null when it is none of ours. p_is_answer: Stripe has answered it to ourselves.';

CREATE FUNCTION payments_private.audit(p_action text, p_target text, p_detail jsonb, p_source text DEFAULT 'sql'::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.audit(p_action text, p_target text, p_detail jsonb, p_source text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.audit(p_action text, p_target text, p_detail jsonb, p_source text) IS 'Adds a row to payments.audit_log in the name of the session.';

CREATE FUNCTION payments_private.await_session() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.await_session() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.await_session() IS 'Decides from when a worker may ask Stripe for an attempt, and wakes one, if workers ask at all.';

CREATE FUNCTION payments_private.base_of_push(l payments_private.linked_tables, p_old jsonb, p_id text, p_said jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.base_of_push(l payments_private.linked_tables, p_old jsonb, p_id text, p_said jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.base_of_push(l payments_private.linked_tables, p_old jsonb, p_id text, p_said jsonb) IS 'Returns what row and object agreed upon before a change, for the three-way comparison; empty where they never met.';

CREATE FUNCTION payments_private.become_owner_of(p_thing text, p_owner name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.become_owner_of(p_thing text, p_owner name) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.become_owner_of(p_thing text, p_owner name) IS 'Acts as an owner until told otherwise. Raises 42501 for who may not.';

CREATE FUNCTION payments_private.belongs_to(p_member payments_private.payment_facts, p_payment payments_private.payment_facts, p_group payments_private.payment_facts[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.belongs_to(p_member payments_private.payment_facts, p_payment payments_private.payment_facts, p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.belongs_to(p_member payments_private.payment_facts, p_payment payments_private.payment_facts, p_group payments_private.payment_facts[]) IS 'Whether a member of a group tells of this one of its payments.';

CREATE FUNCTION payments_private.bill_beside(p_member payments_private.payment_facts, p_kinds text[], p_bills text[], p_group payments_private.payment_facts[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.bill_beside(p_member payments_private.payment_facts, p_kinds text[], p_bills text[], p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.bill_beside(p_member payments_private.payment_facts, p_kinds text[], p_bills text[], p_group payments_private.payment_facts[]) IS 'The bill of the first member, of the first of these types, that this one is connected with; null if there is none.';

CREATE FUNCTION payments_private.bill_of_intent(p_intent payments_private.payment_facts, p_group payments_private.payment_facts[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.bill_of_intent(p_intent payments_private.payment_facts, p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.bill_of_intent(p_intent payments_private.payment_facts, p_group payments_private.payment_facts[]) IS 'The invoice (type:id) of a group that an intent pays, or is to pay; the intent itself where it pays none. One that was canceled with its invoice payment still names the invoice.';

CREATE FUNCTION payments_private.bills_of(p_group payments_private.payment_facts[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.bills_of(p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.bills_of(p_group payments_private.payment_facts[]) IS 'For each member of a group the bill (type:id) that it tells of.';

CREATE FUNCTION payments_private.body_is_in_ledger(p_snapshot payments_private.snapshot, p_carry boolean) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.body_is_in_ledger(p_snapshot payments_private.snapshot, p_carry boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.body_is_in_ledger(p_snapshot payments_private.snapshot, p_carry boolean) IS 'Whether a snapshot''s body need not be stored, because its event''s ledger row has it. What came inside another object is in no ledger row of its own. p_carry, p_more: as for store_snapshot; null if more are to come.';

CREATE FUNCTION payments_private.broken_rules(p_environment text) RETURNS TABLE(projection text, key text, stored jsonb, rule text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.broken_rules(p_environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.broken_rules(p_environment text) IS 'Rows of an environment that break a rule which no constraint guards, with the rule; reads both tables whole.';

CREATE FUNCTION payments_private.by_oid(p_link payments_private.linked_tables, p_statement text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.by_oid(p_link payments_private.linked_tables, p_statement text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.by_oid(p_link payments_private.linked_tables, p_statement text) IS 'Returns the SQL of a text: a statement on a linked table, with the name that the table has when it is executed.';

CREATE FUNCTION payments_private.caller_claims() RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.caller_claims() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.caller_claims() IS 'The claims of the current request, or null.';

CREATE FUNCTION payments_private.calls_functions(p_members regclass, p_condition text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning';

ALTER FUNCTION payments_private.calls_functions(p_members regclass, p_condition text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.calls_functions(p_members regclass, p_condition text) IS 'Whether a condition on a table calls functions or operators that are not Postgres''s own. For who may read the table.';

CREATE FUNCTION payments_private.can_be_empty(p_object_type text, p_parameter text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.can_be_empty(p_object_type text, p_parameter text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.can_be_empty(p_object_type text, p_parameter text) IS 'Whether Stripe lets a parameter be unset.';

CREATE FUNCTION payments_private.changed_there(p_base jsonb, p_wanted jsonb, p_found jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.changed_there(p_base jsonb, p_wanted jsonb, p_found jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.changed_there(p_base jsonb, p_wanted jsonb, p_found jsonb) IS 'Returns the parameters that Stripe''s side alone has changed.';

CREATE FUNCTION payments_private.charge_facts(p_data jsonb, o payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.charge_facts(p_data jsonb, o payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.charge_facts(p_data jsonb, o payments_private.payment_facts) IS 'What a charge says of its payment.';

CREATE FUNCTION payments_private.charge_of_refund(p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.charge_of_refund(p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.charge_of_refund(p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]) IS 'The charge that a refund names, or the first one where it names none; null if it is not known.';

CREATE FUNCTION payments_private.check_body(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_body(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_body(p_link payments_private.linked_tables) IS 'Returns the body of check_linked_<n>, which holds a finished row against the anchor.';

CREATE FUNCTION payments_private.check_environment(p_environment text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_environment(p_environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_environment(p_environment text) IS 'Raises PY001 for an unknown environment, 42501 for one that is closed.';

CREATE FUNCTION payments_private.check_line_items(p_line_items jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_line_items(p_line_items jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_line_items(p_line_items jsonb) IS 'Raises PY001 unless every item is {"price": id, "quantity": n}.';

CREATE FUNCTION payments_private.check_members(p_members regclass, p_subject_column name, p_user_column name, OUT owner name, OUT user_type text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_members(p_members regclass, p_subject_column name, p_user_column name, OUT owner name, OUT user_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_members(p_members regclass, p_subject_column name, p_user_column name, OUT owner name, OUT user_type text) IS 'The owner of a membership table and the type of its users. Raises PY001, naming the argument in DETAIL, where it has not what is needed.';

CREATE FUNCTION payments_private.check_metadata(p_metadata jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_metadata(p_metadata jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_metadata(p_metadata jsonb) IS 'Raises PY001 unless metadata is what Stripe takes, without our reserved keys.';

CREATE FUNCTION payments_private.check_other_account(p_environment text, p_account_id text, p_hint text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_other_account(p_environment text, p_account_id text, p_hint text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_other_account(p_environment text, p_account_id text, p_hint text) IS 'Raises PY001 for what is no id of an account, and, with this hint, for the account behind the environment''s key.';

CREATE FUNCTION payments_private.check_portal_configuration(p_configuration_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_portal_configuration(p_configuration_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_portal_configuration(p_configuration_id text) IS 'Raises PY001 for a portal configuration that may not be named.';

CREATE FUNCTION payments_private.check_prices(p_environment text, p_account text, p_line_items jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_prices(p_environment text, p_account text, p_line_items jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_prices(p_environment text, p_account text, p_line_items jsonb) IS 'Raises PY001 for a price that may not be asked for. What is refused says nothing of whether it exists.';

CREATE FUNCTION payments_private.check_target(p_target regclass) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_target(p_target regclass) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_target(p_target regclass) IS 'Raises PY001 for what cannot be linked.';

CREATE FUNCTION payments_private.check_terms(p_charge_type text, p_open_to text, p_fee_percent numeric, p_fee_amount bigint, p_fee_currency text, p_on_behalf_of boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_terms(p_charge_type text, p_open_to text, p_fee_percent numeric, p_fee_amount bigint, p_fee_currency text, p_on_behalf_of boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_terms(p_charge_type text, p_open_to text, p_fee_percent numeric, p_fee_amount bigint, p_fee_currency text, p_on_behalf_of boolean) IS 'Raises PY001 for terms under which nothing can be sold.';

CREATE FUNCTION payments_private.check_that_triggers_fire() RETURNS void
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.check_that_triggers_fire() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_that_triggers_fire() IS 'Raises PY006 in a session whose session_replication_role is replica: events would be processed there without any trigger. They are kept as failed.';

CREATE FUNCTION payments_private.check_url(p_field text, p_url text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.check_url(p_field text, p_url text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.check_url(p_field text, p_url text) IS 'Raises PY001 unless the URL is https, or http on localhost, and of an allowed origin where those are set.';

CREATE FUNCTION payments_private.checked_push(p_link payments_private.linked_tables, p_push jsonb, p_create boolean) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.checked_push(p_link payments_private.linked_tables, p_push jsonb, p_create boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.checked_push(p_link payments_private.linked_tables, p_push jsonb, p_create boolean) IS 'Returns what is to be pushed, or raises PY001.';

CREATE FUNCTION payments_private.checkout_session_facts(p_data jsonb, o payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.checkout_session_facts(p_data jsonb, o payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.checkout_session_facts(p_data jsonb, o payments_private.payment_facts) IS 'What a Checkout Session says of its payment.';

CREATE FUNCTION payments_private.claim_by_hand() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.claim_by_hand() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.claim_by_hand() IS 'Gives earlier rows of a customer their subject when its mapping is written by hand.';

CREATE FUNCTION payments_private.claim_of_invoice(p_environment text, p_account text, p_invoice_id text, p_data jsonb) RETURNS TABLE(subject_key text, source text, metadata jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.claim_of_invoice(p_environment text, p_account text, p_invoice_id text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.claim_of_invoice(p_environment text, p_account text, p_invoice_id text, p_data jsonb) IS 'Which subject a paid invoice names, itself or for a subscription that was not told of yet, and what of its metadata does; no row if none.';

CREATE FUNCTION payments_private.claim_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT claimed text[], OUT subjects text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.claim_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT claimed text[], OUT subjects text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.claim_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT claimed text[], OUT subjects text[]) IS 'What claim_told() does, for a page whose snapshots were all stored; returns the customers whose claims changed, and the subjects whose mapping is to be computed again.';

CREATE FUNCTION payments_private.claim_push(o payments.outbox, p_lease interval) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.claim_push(o payments.outbox, p_lease interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.claim_push(o payments.outbox, p_lease interval) IS 'Claims a push and completes it; returns whether there is something to ask Stripe. What raises is refused with the error.';

CREATE FUNCTION payments_private.claim_told(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_changed boolean, p_newest payments_private.snapshot, OUT customer text, OUT subjects text[]) RETURNS record
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.claim_told(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_changed boolean, p_newest payments_private.snapshot, OUT customer text, OUT subjects text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.claim_told(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_changed boolean, p_newest payments_private.snapshot, OUT customer text, OUT subjects text[]) IS 'Keeps what a snapshot says of whom its customer stands for. p_changed, p_newest: what store_snapshot returned for it.';

CREATE FUNCTION payments_private.clear_mirror(p_environment text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.clear_mirror(p_environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.clear_mirror(p_environment text) IS 'Empties the mirror of one environment: objects, references, projections, mappings. Events keep their rows; waiting ones are parked.';

CREATE FUNCTION payments_private.column_lines(p_link payments_private.linked_tables, p_line text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.column_lines(p_link payments_private.linked_tables, p_line text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.column_lines(p_link payments_private.linked_tables, p_line text) IS 'Returns a line of code for each linked column but the id: %1 its name, %2 the SQL of its value, %3 the table.';

CREATE FUNCTION payments_private.column_statements(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.column_statements(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.column_statements(p_link payments_private.linked_tables) IS 'Returns the statement that adds the columns of a link that are not there: it locks the table for a moment and rewrites nothing. Raises PY001 naming a column that is there with another type.';

CREATE FUNCTION payments_private.columns_of_kind(p_kind text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.columns_of_kind(p_kind text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.columns_of_kind(p_kind text) IS 'Returns the columns of a kind of link with the path of each in Stripe''s object; null for kind object.';

CREATE FUNCTION payments_private.columns_of_link(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.columns_of_link(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.columns_of_link(p_link payments_private.linked_tables) IS 'Returns the columns of a table that a link is about: linked and pushed ones, the key, and the one that rows are matched by.';

CREATE FUNCTION payments_private.commit_durably() RETURNS void
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.commit_durably() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.commit_durably() IS 'Has this transaction''s commit wait for the disk, whatever the role or the database says: what Stripe is told is stored has to survive a crash. The setting synchronous_commit = inherit leaves it as it is.';

CREATE FUNCTION payments_private.computed_mapping(p_environment text, p_account text, p_subject_key text, p_customer_id text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.computed_mapping(p_environment text, p_account text, p_subject_key text, p_customer_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.computed_mapping(p_environment text, p_account text, p_subject_key text, p_customer_id text) IS 'How a mapping stands in the setting payments.computed_mapping while it is written as a projection, so that claim_by_hand() knows it. None is found within another, whatever their subjects are called.';

CREATE TABLE payments_private.customer_claims (
    environment text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    provider_customer_id text NOT NULL,
    source text NOT NULL,
    claimed_at timestamp with time zone NOT NULL,
    subject_type text,
    subject_id text,
    allowed boolean DEFAULT true NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT subject_is_whole CHECK (((subject_type IS NULL) = (subject_id IS NULL)))
);

ALTER TABLE payments_private.customer_claims OWNER TO payments_owner;

COMMENT ON TABLE payments_private.customer_claims IS 'For whom a Stripe customer stands: mapped by hand, as its own metadata said since a time, or as sessions and subscriptions say.';

COMMENT ON COLUMN payments_private.customer_claims.source IS 'hand; customer: its own metadata, a row for each time at which it changed (no subject: it named none); or the session or subscription, type:id.';

COMMENT ON COLUMN payments_private.customer_claims.claimed_at IS 'Since when: the event''s time, the session''s or subscription''s created, or when it was written by hand.';

COMMENT ON COLUMN payments_private.customer_claims.allowed IS 'Whether who began the checkout could still bill the subject when the claim was first told.';

COMMENT ON COLUMN payments_private.customer_claims.decided_at IS 'When that was decided.';

CREATE FUNCTION payments_private.confirm_customer_statement(p_before payments_private.customer_claims, p_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.confirm_customer_statement(p_before payments_private.customer_claims, p_at timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.confirm_customer_statement(p_before payments_private.customer_claims, p_at timestamp with time zone) IS 'Keeps that a customer was read and still names the subject of p_before, the statement before p_at: the first and the last such statement stay.';

CREATE FUNCTION payments_private.conflicts(p_base jsonb, p_wanted jsonb, p_found jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.conflicts(p_base jsonb, p_wanted jsonb, p_found jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.conflicts(p_base jsonb, p_wanted jsonb, p_found jsonb) IS 'Returns the parameters that both sides have changed, to different values, or that they have never agreed upon.';

CREATE FUNCTION payments_private.count_hours(p_environment text, p_account_id text, p_hours timestamp with time zone[]) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.count_hours(p_environment text, p_account_id text, p_hours timestamp with time zone[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.count_hours(p_environment text, p_account_id text, p_hours timestamp with time zone[]) IS 'Counts these hours, none of which may be counted, and returns how many rows there are.';

CREATE FUNCTION payments_private.count_push(p_link integer, p_key jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.count_push(p_link integer, p_key jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.count_push(p_link integer, p_key jsonb) IS 'Raises PY013 when a transaction pushes more rows than bulk_push_rows (1000) without saying that it means to.';

CREATE FUNCTION payments_private.counted(p_number bigint, p_one text, p_more text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.counted(p_number bigint, p_one text, p_more text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.counted(p_number bigint, p_one text, p_more text) IS 'A number with what is said of one or of several: `1 event waits`, `2 events wait`.';

CREATE FUNCTION payments_private.credit_note_facts(p_data jsonb, o payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.credit_note_facts(p_data jsonb, o payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.credit_note_facts(p_data jsonb, o payments_private.payment_facts) IS 'What a credit note says was given back outside of Stripe.';

CREATE FUNCTION payments_private.current_accounts() RETURNS TABLE(environment text, account_id text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000 ROWS 3
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.current_accounts() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.current_accounts() IS 'The connected accounts that the billing subjects own which the caller may bill, as payments.register_account() said.';

CREATE FUNCTION payments_private.current_customer(p_environment text, p_account_id text, p_subject_type text, p_subject_id text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.current_customer(p_environment text, p_account_id text, p_subject_type text, p_subject_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.current_customer(p_environment text, p_account_id text, p_subject_type text, p_subject_id text) IS 'Returns the Stripe customer that a subject is mapped to, or null.';

CREATE FUNCTION payments_private.current_customer_ids(p_environment text) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.current_customer_ids(p_environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.current_customer_ids(p_environment text) IS 'The Stripe customers in an environment of the billing subjects that the caller may bill.';

CREATE FUNCTION payments_private.current_foreign_subscription_ids() RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.current_foreign_subscription_ids() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.current_foreign_subscription_ids() IS 'The subscriptions at trusted connected accounts of the billing subjects that the caller may bill; others may have the same ids.';

CREATE FUNCTION payments_private.current_subject_keys() RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.current_subject_keys() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.current_subject_keys() IS 'The billing subjects that the caller may bill, as type:id: itself, and those of registered types. Raises PY009 for a stale registration.';

CREATE FUNCTION payments_private.current_subscription(p_environment text, p_account_id text, p_subject_key text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.current_subscription(p_environment text, p_account_id text, p_subject_key text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.current_subscription(p_environment text, p_account_id text, p_subject_key text) IS 'Returns the subscription that counts for a subject: one that runs, else one that never began, else one that ended; of several the one whose period began last.';

CREATE FUNCTION payments_private.current_subscription_ids(p_environment text, p_account text) RETURNS text[]
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.current_subscription_ids(p_environment text, p_account text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.current_subscription_ids(p_environment text, p_account text) IS 'The subscriptions at an account (null: our own) of the billing subjects that the caller may bill.';

CREATE FUNCTION payments_private.customer_at(p_environment text, p_account text, p_subject_type text, p_subject_id text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.customer_at(p_environment text, p_account text, p_subject_type text, p_subject_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.customer_at(p_environment text, p_account text, p_subject_type text, p_subject_id text) IS 'A subject''s customer at an account (null: the environment''s own): the mapped one, else at a connected account that of its latest completed attempt there; null if there is none.';

CREATE FUNCTION payments_private.customer_of_subject(p_environment text, p_account text, p_subject_key text) RETURNS text
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.customer_of_subject(p_environment text, p_account text, p_subject_key text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.customer_of_subject(p_environment text, p_account text, p_subject_key text) IS 'The customer that stands for a billing subject and is not deleted, or null.';

CREATE FUNCTION payments_private.customer_type(p_customer_id text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.customer_type(p_customer_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.customer_type(p_customer_id text) IS 'The type of object that a customer is, by its id.';

CREATE FUNCTION payments_private.customers_of_subjects(p_environment text, p_account text, p_subject_keys text[]) RETURNS TABLE(subject_key text, customer_id text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.customers_of_subjects(p_environment text, p_account text, p_subject_keys text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.customers_of_subjects(p_environment text, p_account text, p_subject_keys text[]) IS 'The customers that stand for billing subjects as customer_of_subject() has it; no row for a subject that has none.';

CREATE FUNCTION payments_private.customers_with_claims(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT own text[], OUT others text[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.customers_with_claims(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT own text[], OUT others text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.customers_with_claims(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT own text[], OUT others text[]) IS 'The ids of a page''s customers that name a subject, or did (own), and of those of whom only others say for whom they stand.';

CREATE TABLE payments_private.sync_ranges (
    range_id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    account text NOT NULL,
    list text NOT NULL,
    what text DEFAULT 'read'::text NOT NULL,
    created_from bigint,
    created_until bigint,
    starting_after text,
    top_created bigint,
    last_created bigint,
    pages integer DEFAULT 0 NOT NULL,
    claim integer DEFAULT 0 NOT NULL,
    claimed_by integer,
    claimed_until timestamp with time zone,
    finished_at timestamp with time zone,
    error text,
    made_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT what_is_known CHECK ((what = ANY ('{read,confirm}'::text[])))
);

ALTER TABLE payments_private.sync_ranges OWNER TO payments_owner;

COMMENT ON TABLE payments_private.sync_ranges IS 'Parts of a list, each a checkpoint: it is read by one process at a time, from where the last one came to.';

COMMENT ON COLUMN payments_private.sync_ranges.what IS 'read: objects of the list; confirm: stored objects that it did not show.';

COMMENT ON COLUMN payments_private.sync_ranges.created_from IS 'What was created then (Unix time) or later, null: ever; and before created_until, null: since.';

COMMENT ON COLUMN payments_private.sync_ranges.starting_after IS 'The id after which it goes on; for a list of version 2 of the API, the address of its next page.';

COMMENT ON COLUMN payments_private.sync_ranges.top_created IS 'created of the newest and, in last_created, of the last object that was read of it.';

COMMENT ON COLUMN payments_private.sync_ranges.claim IS 'How often it was claimed: who holds another claim has lost it.';

COMMENT ON COLUMN payments_private.sync_ranges.claimed_by IS 'The backend of who reads it. Where there is none of that number any more, or claimed_until has passed, another may.';

COMMENT ON COLUMN payments_private.sync_ranges.error IS 'Why it could not be read; the next sync tries again.';

CREATE FUNCTION payments_private.cut_range(p_range payments_private.sync_ranges) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.cut_range(p_range payments_private.sync_ranges) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.cut_range(p_range payments_private.sync_ranges) IS 'Returns where a part begins from now on: what was created before, as much as more than the next 16 pages seem to hold, is another part.';

CREATE FUNCTION payments_private.default_method_of(p_environment text, p_account text, p_customer_id text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.default_method_of(p_environment text, p_account text, p_customer_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.default_method_of(p_environment text, p_account text, p_customer_id text) IS 'Returns the id of a customer''s default payment method or source, or null.';

CREATE FUNCTION payments_private.detach_link(p_link payments_private.linked_tables, p_owner name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.detach_link(p_link payments_private.linked_tables, p_owner name) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.detach_link(p_link payments_private.linked_tables, p_owner name) IS 'Takes the triggers and the owner''s functions of a link away.';

CREATE FUNCTION payments_private.detach_statements(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.detach_statements(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.detach_statements(p_link payments_private.linked_tables) IS 'Returns the statements that take the triggers and the owner''s functions of a link away.';

CREATE FUNCTION payments_private.differences(p_environment text, p_max integer) RETURNS TABLE(projection text, key text, stored jsonb, expected jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.differences(p_environment text, p_max integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.differences(p_environment text, p_max integer) IS 'What verify_projections() answers, so many objects at a time; an item that moved from one subscription to another is told by both.';

CREATE FUNCTION payments_private.differences_of(p_environment text, p_account text, p_stage text, p_keys text[], p_alone boolean) RETURNS TABLE(projection text, key text, stored jsonb, expected jsonb)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.differences_of(p_environment text, p_account text, p_stage text, p_keys text[], p_alone boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.differences_of(p_environment text, p_account text, p_stage text, p_keys text[], p_alone boolean) IS 'Computes one batch anew, compares, and takes it back.';

CREATE FUNCTION payments_private.differing_fields(p_stored jsonb, p_at_stripe jsonb, p_common_only boolean) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.differing_fields(p_stored jsonb, p_at_stripe jsonb, p_common_only boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.differing_fields(p_stored jsonb, p_at_stripe jsonb, p_common_only boolean) IS 'Returns the paths of the members in which two objects differ; with the last argument only of those that both have.';

CREATE FUNCTION payments_private.dispatch_to_links(p_anchor integer) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.dispatch_to_links(p_anchor integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.dispatch_to_links(p_anchor integer) IS 'Returns what update_linked_rows() does for the links to one type of object.';

CREATE FUNCTION payments_private.dispute_facts(p_data jsonb, o payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.dispute_facts(p_data jsonb, o payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.dispute_facts(p_data jsonb, o payments_private.payment_facts) IS 'What a dispute says.';

CREATE FUNCTION payments_private.doctor_connections() RETURNS SETOF payments_private.finding
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.doctor_connections() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doctor_connections() IS 'Findings on accounts and on who may begin checkouts, for payments.doctor().';

CREATE FUNCTION payments_private.doctor_events() RETURNS SETOF payments_private.finding
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.doctor_events() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doctor_events() IS 'Findings on events that were not applied, for payments.doctor().';

CREATE FUNCTION payments_private.doctor_freshness() RETURNS SETOF payments_private.finding
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.doctor_freshness() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doctor_freshness() IS 'Findings on the age of sweeps and syncs, for payments.doctor().';

CREATE FUNCTION payments_private.doctor_host() RETURNS SETOF payments_private.finding
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.doctor_host() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doctor_host() IS 'Findings on the server and its settings, for payments.doctor().';

CREATE FUNCTION payments_private.doctor_linked_tables() RETURNS SETOF payments_private.finding
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.doctor_linked_tables() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doctor_linked_tables() IS 'Findings on linked tables and what Stripe is to be told of them, for payments.doctor().';

CREATE FUNCTION payments_private.doctor_restore() RETURNS SETOF payments_private.finding
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.doctor_restore() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doctor_restore() IS 'Findings on what a restore or a copy leaves behind, for payments.doctor().';

CREATE FUNCTION payments_private.doctor_subject_types() RETURNS SETOF payments_private.finding
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.doctor_subject_types() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doctor_subject_types() IS 'Findings on registered subject types, each of which is asked once, for payments.doctor().';

CREATE FUNCTION payments_private.doctor_triggers() RETURNS SETOF payments_private.finding
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.doctor_triggers() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doctor_triggers() IS 'A finding on an application''s trigger that makes deliveries take the slower way, for payments.doctor().';

CREATE FUNCTION payments_private.doctor_worker() RETURNS SETOF payments_private.finding
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.doctor_worker() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doctor_worker() IS 'Findings on who does what is due, for payments.doctor().';

CREATE FUNCTION payments_private.doubt(p_environment text, p_account text, p_object_type text, p_object_id text, p_reason text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.doubt(p_environment text, p_account text, p_object_type text, p_object_id text, p_reason text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.doubt(p_environment text, p_account text, p_object_type text, p_object_id text, p_reason text) IS 'Queues an object to be asked of the API, once.';

CREATE FUNCTION payments_private.drop_former_customers(p_environment text, p_account text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.drop_former_customers(p_environment text, p_account text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.drop_former_customers(p_environment text, p_account text, p_ids text[]) IS 'Drops the rows of accounts that are not configured as customers any more.';

CREATE FUNCTION payments_private.drop_former_items(p_environment text, p_account text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.drop_former_items(p_environment text, p_account text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.drop_former_items(p_environment text, p_account text, p_ids text[]) IS 'Drops the rows of items that are not in their subscriptions any more.';

CREATE FUNCTION payments_private.due_events(p_environment text, p_due timestamp with time zone, p_max integer) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.due_events(p_environment text, p_due timestamp with time zone, p_max integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.due_events(p_environment text, p_due timestamp with time zone, p_max integer) IS 'Failed events whose time has come and that no other worker has, in the order in which they happened; they are this transaction''s until it ends.';

CREATE FUNCTION payments_private.end_push(p_id uuid, p_status text, p_error text DEFAULT NULL::text, p_found jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.end_push(p_id uuid, p_status text, p_error text, p_found jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.end_push(p_id uuid, p_status text, p_error text, p_found jsonb) IS 'Settles a row of the outbox.';

CREATE FUNCTION payments_private.end_range(p_range payments_private.sync_ranges) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.end_range(p_range payments_private.sync_ranges) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.end_range(p_range payments_private.sync_ranges) IS 'A part is read to its end. With the last of a list, what it did not show becomes a part, or the list is finished.';

CREATE FUNCTION payments_private.enqueue_push(p_link integer, p_operation text, p_row jsonb, p_old jsonb DEFAULT NULL::jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.enqueue_push(p_link integer, p_operation text, p_row jsonb, p_old jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.enqueue_push(p_link integer, p_operation text, p_row jsonb, p_old jsonb) IS 'Writes down that Stripe is to be told of a row, once however often it changes. p_old: the row before an update. Raises PY013 for too many rows in one transaction.';

CREATE FUNCTION payments_private.enter_events(p_events payments_private.incoming[], p_bodies text[]) RETURNS payments_private.incoming[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.enter_events(p_events payments_private.incoming[], p_bodies text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.enter_events(p_events payments_private.incoming[], p_bodies text[]) IS 'The ledger rows of verified events. A redelivered event that failed, and is not parked, is applied again. Raises PY006 where a trigger keeps an event out without a word.';

CREATE FUNCTION payments_private.enter_processed(p_events payments_private.incoming[]) RETURNS payments_private.incoming[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.enter_processed(p_events payments_private.incoming[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.enter_processed(p_events payments_private.incoming[]) IS 'Applies events and enters them into the ledger as processed or ignored; null, and nothing done, where they are not all new or settled. Raises what a projection or trigger raises.';

CREATE FUNCTION payments_private.enter_thin_event() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.enter_thin_event() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.enter_thin_event() IS 'Queues the object of a thin event to be fetched.';

CREATE FUNCTION payments_private.environment_of_signature(p_body text, p_signature text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.environment_of_signature(p_body text, p_signature text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.environment_of_signature(p_body text, p_signature text) IS 'The environment of the signing secret that has signed the body within the last five minutes (setting webhook_tolerance, in seconds). Raises PY015 if none has.';

CREATE FUNCTION payments_private.environment_or_fail(p_environment text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.environment_or_fail(p_environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.environment_or_fail(p_environment text) IS 'The environment, or PY001 when it is neither test nor live.';

CREATE FUNCTION payments_private.event_snapshot(p_environment text, p_account text, p_payload jsonb) RETURNS payments_private.snapshot
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.event_snapshot(p_environment text, p_account text, p_payload jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.event_snapshot(p_environment text, p_account text, p_payload jsonb) IS 'The snapshot an event carries. An event without a created time counts as older than any other.';

CREATE TABLE payments_private.sync_lists (
    environment text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    list text NOT NULL,
    since bigint,
    opened bigint,
    splits boolean NOT NULL,
    confirms text,
    began_at timestamp with time zone NOT NULL,
    touched_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    read bigint DEFAULT 0 NOT NULL,
    changed bigint DEFAULT 0 NOT NULL,
    unchanged bigint DEFAULT 0 NOT NULL,
    gone bigint DEFAULT 0 NOT NULL,
    skipped text[] DEFAULT '{}'::text[] NOT NULL,
    expected bigint,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.sync_lists OWNER TO payments_owner;

COMMENT ON TABLE payments_private.sync_lists IS 'Stripe''s lists, as they were read last or are being read.';

COMMENT ON COLUMN payments_private.sync_lists.since IS 'Only what was created since then (Unix time) is read; null: everything.';

COMMENT ON COLUMN payments_private.sync_lists.opened IS 'When the account was opened (Unix time), to estimate how much of a list is left.';

COMMENT ON COLUMN payments_private.sync_lists.splits IS 'Whether Stripe lists by ranges of created, so that parts can be read side by side.';

COMMENT ON COLUMN payments_private.sync_lists.confirms IS 'The type of which stored objects that were not listed are asked for in the end; null: that is not done.';

COMMENT ON COLUMN payments_private.sync_lists.began_at IS 'By Stripe''s clock: what is listed afterwards was stored as it was then or later.';

COMMENT ON COLUMN payments_private.sync_lists.touched_at IS 'When the list was last read from. A list that was left for hours is begun anew.';

COMMENT ON COLUMN payments_private.sync_lists.skipped IS 'Ids of what could not be stored.';

COMMENT ON COLUMN payments_private.sync_lists.expected IS 'How many objects the last whole sync has read; null: none has.';

CREATE FUNCTION payments_private.expected_of(p_list payments_private.sync_lists) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.expected_of(p_list payments_private.sync_lists) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.expected_of(p_list payments_private.sync_lists) IS 'How many objects a list may have: as many as the last time, else as its part of the account''s time that is read lets expect; null: nobody knows.';

CREATE FUNCTION payments_private.extract_again(p_environment text, p_account text, p_object_type text, p_ids text[], p_may_join boolean) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.extract_again(p_environment text, p_account text, p_object_type text, p_ids text[], p_may_join boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.extract_again(p_environment text, p_account text, p_object_type text, p_ids text[], p_may_join boolean) IS 'Reads what stored objects say of payments again. Without p_may_join it leaves those alone that would join a group, and returns them with what they refer to (type:id).';

CREATE FUNCTION payments_private.extract_payment_facts(p_account text, p_object_type text, p_data jsonb) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.extract_payment_facts(p_account text, p_object_type text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.extract_payment_facts(p_account text, p_object_type text, p_data jsonb) IS 'What a snapshot says of its payment.';

CREATE FUNCTION payments_private.extract_with_locks(p_environment text, p_account text, p_object_type text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.extract_with_locks(p_environment text, p_account text, p_object_type text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.extract_with_locks(p_environment text, p_account text, p_object_type text, p_ids text[]) IS 'Reads what stored objects say of payments again, with the locks of the objects, and of the groups of those that join one.';

CREATE FUNCTION payments_private.facts_after(p_account text, p_old payments_private.payment_facts, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.facts_after(p_account text, p_old payments_private.payment_facts, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.facts_after(p_account text, p_old payments_private.payment_facts, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot) IS 'What an object says of payments after this snapshot, given what it said before. p_newest: the snapshot stored now, null if that is the same as before.';

CREATE FUNCTION payments_private.fee_of(p_environment text, p_account text, p_line_items jsonb, p_percent numeric, OUT amount bigint, OUT currency text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.fee_of(p_environment text, p_account text, p_line_items jsonb, p_percent numeric, OUT amount bigint, OUT currency text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.fee_of(p_environment text, p_account text, p_line_items jsonb, p_percent numeric, OUT amount bigint, OUT currency text) IS 'What the platform keeps of a one-time payment for these items, at the mirrored prices of the account (null: our own) on which it is made. Raises PY001 for prices that tell no amount.';

CREATE FUNCTION payments_private.fetch_payer_accounts(p_environment text, p_account text, p_refs text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.fetch_payer_accounts(p_environment text, p_account text, p_refs text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.fetch_payer_accounts(p_environment text, p_account text, p_refs text[]) IS 'Queues each account (acct_…) that is named as a customer and of which nothing is stored.';

CREATE FUNCTION payments_private.fill_anchor(p_anchor integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.fill_anchor(p_anchor integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.fill_anchor(p_anchor integer) IS 'Copies the stored objects of one type into their anchor table.';

CREATE FUNCTION payments_private.fill_body(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.fill_body(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.fill_body(p_link payments_private.linked_tables) IS 'Returns the body of fill_linked_<n>(after jsonb, max_rows integer), which fills rows in the order of their key and returns the last one, null at the end.';

CREATE FUNCTION payments_private.finding_expression(p_link payments_private.linked_tables, p_record text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.finding_expression(p_link payments_private.linked_tables, p_record text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.finding_expression(p_link payments_private.linked_tables, p_record text) IS 'Returns the SQL that finds the id of a row''s object, given the name of the record that holds the row.';

CREATE FUNCTION payments_private.finish_link(p_link payments_private.linked_tables, p_owner name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.finish_link(p_link payments_private.linked_tables, p_owner name) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.finish_link(p_link payments_private.linked_tables, p_owner name) IS 'Fills all rows of a table that was just linked, and validates its foreign key. Raises PY011 where a row holds an id that is not stored.';

CREATE FUNCTION payments_private.finish_push(o payments.outbox, p_object jsonb, p_observed_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.finish_push(o payments.outbox, p_object jsonb, p_observed_at timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.finish_push(o payments.outbox, p_object jsonb, p_observed_at timestamp with time zone) IS 'Settles a push that Stripe has done: stores the answer, and what follows from it.';

CREATE FUNCTION payments_private.first_sweep(p_environment text, p_account text) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.first_sweep(p_environment text, p_account text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.first_sweep(p_environment text, p_account text) IS 'Since when this installation follows an account: since its first event happened, or since the account was connected.';

CREATE FUNCTION payments_private.follow(p_table regclass, p_definition text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.follow(p_table regclass, p_definition text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.follow(p_table regclass, p_definition text) IS 'Puts the trigger that links need on a table of ours, or takes it away where the definition is null. Locks the table only where it changes something.';

CREATE FUNCTION payments_private.follow_moved_row(l payments_private.linked_tables, p_key jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.follow_moved_row(l payments_private.linked_tables, p_key jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.follow_moved_row(l payments_private.linked_tables, p_key jsonb) IS 'Gives a creation that is under way the new key of its row, which has just been inserted into another partition.';

CREATE FUNCTION payments_private.follow_push(o payments.outbox, p_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.follow_push(o payments.outbox, p_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.follow_push(o payments.outbox, p_id text) IS 'Gives the row its id where the object is new, goes on with the replacement of a price, and tells listeners.';

CREATE FUNCTION payments_private.follow_references() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.follow_references() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.follow_references() IS 'Puts the triggers on our own tables that links by subject and by checkout need, and takes away those that none needs.';

CREATE FUNCTION payments_private.follow_replacement(o payments.outbox, p_new text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.follow_replacement(o payments.outbox, p_new text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.follow_replacement(o payments.outbox, p_new text) IS 'A price was replaced: its product is pointed to the new one where the former was its default, and then the former is archived.';

CREATE FUNCTION payments_private.follow_volume() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.follow_volume() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.follow_volume() IS 'Notes which hours'' volume a change of payments.transactions changes.';

CREATE FUNCTION payments_private.foreign_account(p_environment text, p_account text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.foreign_account(p_environment text, p_account text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.foreign_account(p_environment text, p_account text) IS 'The account, or null for the one that the environment is connected to.';

CREATE FUNCTION payments_private.foreign_key_name(p_link payments_private.linked_tables) RETURNS name
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.foreign_key_name(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.foreign_key_name(p_link payments_private.linked_tables) IS 'Returns the name of a link''s foreign key.';

CREATE FUNCTION payments_private.foreign_key_statements(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.foreign_key_statements(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.foreign_key_statements(p_link payments_private.linked_tables) IS 'Returns the statements that add the foreign key of a link, not validated.';

CREATE FUNCTION payments_private.forget_anchors(p_environment text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.forget_anchors(p_environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.forget_anchors(p_environment text) IS 'Marks the anchors of an environment as another account''s, so that no row is linked to them any more.';

CREATE FUNCTION payments_private.forget_counted_hours(p_environment text, p_account text, p_hours timestamp with time zone[] DEFAULT NULL::timestamp with time zone[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.forget_counted_hours(p_environment text, p_account text, p_hours timestamp with time zone[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.forget_counted_hours(p_environment text, p_account text, p_hours timestamp with time zone[]) IS 'Has these hours counted again, all where null is given; what is too old to be looked at is forgotten too.';

CREATE FUNCTION payments_private.forget_dropped_tables() RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.forget_dropped_tables() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.forget_dropped_tables() IS 'Deletes the links of tables that were dropped; returns how many. The caller holds the lock of links.';

CREATE FUNCTION payments_private.forget_link(p_link payments_private.linked_tables) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.forget_link(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.forget_link(p_link payments_private.linked_tables) IS 'Deletes a link with the functions that are ours, and drops its pushes.';

CREATE FUNCTION payments_private.form_name(p_parameter text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.form_name(p_parameter text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.form_name(p_parameter text) IS 'Returns a parameter as Stripe''s forms name it: metadata.sku is metadata[sku].';

CREATE FUNCTION payments_private.form_of(p_values jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.form_of(p_values jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.form_of(p_values jsonb) IS 'Returns values as the fields of a form for Stripe; null unsets.';

CREATE FUNCTION payments_private.former_key_statements(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.former_key_statements(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.former_key_statements(p_link payments_private.linked_tables) IS 'Returns the statements that drop the foreign key of a link whose id is to stand in another column.';

CREATE FUNCTION payments_private.found_lines(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.found_lines(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.found_lines(p_link payments_private.linked_tables) IS 'Returns the lines with which guard_linked_<n> and check_linked_<n> begin: they find a row''s object.';

CREATE FUNCTION payments_private.freeze_processed_event() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.freeze_processed_event() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.freeze_processed_event() IS 'Refuses every update of a processed event but that of replay_event().';

CREATE FUNCTION payments_private.function_lookup(p_name text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.function_lookup(p_name text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.function_lookup(p_name text) IS 'The body of the lookup of a subject type that an application''s function tells of.';

CREATE FUNCTION payments_private.further_references(p_environment text, p_account text, p_references text[], p_customers text[]) RETURNS text[]
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.further_references(p_environment text, p_account text, p_references text[], p_customers text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.further_references(p_environment text, p_account text, p_references text[], p_customers text[]) IS 'What else is to be locked once these are: the groups they are in, and the subjects of the given customers.';

CREATE FUNCTION payments_private.generate_linked_dispatch() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.generate_linked_dispatch() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.generate_linked_dispatch() IS 'Writes payments_private.update_linked_rows() for the links that there are.';

CREATE FUNCTION payments_private.generate_subject_lookup() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.generate_subject_lookup() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.generate_subject_lookup() IS 'Writes payments_private.subject_keys_of(text) from the registry.';

CREATE FUNCTION payments_private.generated_mark(p_definition text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.generated_mark(p_definition text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.generated_mark(p_definition text) IS 'Returns the comment of a trigger that is written at run time, which tells whether it is as this version writes it.';

CREATE FUNCTION payments_private.give_back(o payments.outbox, p_wait interval) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.give_back(o payments.outbox, p_wait interval) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.give_back(o payments.outbox, p_wait interval) IS 'Makes a claimed push wait for its next try.';

CREATE FUNCTION payments_private.grant_open_reading(p_what text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.grant_open_reading(p_what text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.grant_open_reading(p_what text) IS 'What a policy file ends with: it has revoked everything, and grants again what the application has opened.';

CREATE FUNCTION payments_private.grant_reading(p_what text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.grant_reading(p_what text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.grant_reading(p_what text) IS 'Grants users the columns meant for them.';

CREATE FUNCTION payments_private.group_members(p_environment text, p_account text, p_references text[]) RETURNS TABLE(start text, reference text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.group_members(p_environment text, p_account text, p_references text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.group_members(p_environment text, p_account text, p_references text[]) IS 'The members of the groups that each of the given references is in.';

CREATE FUNCTION payments_private.group_rank(p_reference text) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.group_rank(p_reference text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.group_rank(p_reference text) IS 'In which order objects name a group.';

CREATE FUNCTION payments_private.group_representatives(p_environment text, p_account text, p_references text[]) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.group_representatives(p_environment text, p_account text, p_references text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.group_representatives(p_environment text, p_account text, p_references text[]) IS 'Those of the given references that are the first stored object of their group.';

CREATE FUNCTION payments_private.groups_of(p_environment text, p_account text, p_references text[]) RETURNS text[]
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.groups_of(p_environment text, p_account text, p_references text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.groups_of(p_environment text, p_account text, p_references text[]) IS 'The group of each of the given references.';

CREATE FUNCTION payments_private.guard_body(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.guard_body(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.guard_body(p_link payments_private.linked_tables) IS 'Returns the body of guard_linked_<n>, which fills a row''s linked columns.';

CREATE FUNCTION payments_private.guest_secret() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.guest_secret() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.guest_secret() IS 'The secret that the current request came with, of whatever length, or null.';

CREATE FUNCTION payments_private.had_values(p_data jsonb, p_previous jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.had_values(p_data jsonb, p_previous jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.had_values(p_data jsonb, p_previous jsonb) IS 'Whether an object shows all the values that another event calls previous.';

CREATE FUNCTION payments_private.has_facts(p_object_type text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.has_facts(p_object_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.has_facts(p_object_type text) IS 'Whether payments are computed from objects of this type.';

CREATE FUNCTION payments_private.has_part_off_stripe(p_group payments_private.payment_facts[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.has_part_off_stripe(p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.has_part_off_stripe(p_group payments_private.payment_facts[]) IS 'Whether anything of a group says that it was paid, or partly paid, outside of Stripe.';

CREATE FUNCTION payments_private.has_several_bills(p_group payments_private.payment_facts[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.has_several_bills(p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.has_several_bills(p_group payments_private.payment_facts[]) IS 'Whether a group may have to be told apart: it has several invoices, or an invoice payment that was canceled or detached.';

CREATE TABLE payments.transactions (
    id uuid DEFAULT (((lpad(to_hex(((EXTRACT(epoch FROM clock_timestamp()) * (1000)::numeric))::bigint), 12, '0'::text) || '7'::text) || substr(replace((gen_random_uuid())::text, '-'::text, ''::text), 14)))::uuid NOT NULL,
    provider text DEFAULT 'stripe'::text NOT NULL,
    environment text NOT NULL,
    account_id text,
    type text NOT NULL,
    status text NOT NULL,
    subject_type text,
    subject_id text,
    subject_key text GENERATED ALWAYS AS (((subject_type || ':'::text) || subject_id)) STORED,
    provider_customer_id text,
    customer_email_snapshot text,
    provider_object_type text NOT NULL,
    provider_object_id text NOT NULL,
    provider_parent_object_type text,
    provider_parent_object_id text,
    related_object_ids jsonb DEFAULT '{}'::jsonb NOT NULL,
    amount bigint,
    amount_refunded bigint DEFAULT 0 NOT NULL,
    currency text,
    description text,
    paid_at timestamp with time zone,
    failed_at timestamp with time zone,
    refunded_at timestamp with time zone,
    provider_created_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='85');

ALTER TABLE payments.transactions OWNER TO payments_owner;

COMMENT ON TABLE payments.transactions IS 'Reporting projection: one row per payment however many objects tell of it, one per refund, one per dispute. Fulfil from webhook_events, not from here.';

COMMENT ON COLUMN payments.transactions.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.transactions.provider IS 'stripe.';

COMMENT ON COLUMN payments.transactions.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.transactions.account_id IS 'The connected account (acct_…) that the payment was made to; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.transactions.type IS 'one_time_payment, subscription_invoice, refund, failed_payment or dispute.';

COMMENT ON COLUMN payments.transactions.status IS 'pending, succeeded, failed, refunded, partially_refunded or disputed.';

COMMENT ON COLUMN payments.transactions.subject_type IS 'The kind of billing subject: user, or one that was registered; null for nobody''s.';

COMMENT ON COLUMN payments.transactions.subject_id IS 'The billing subject''s id, in the application''s own terms.';

COMMENT ON COLUMN payments.transactions.subject_key IS 'subject_type:subject_id, in one column for lookups.';

COMMENT ON COLUMN payments.transactions.provider_customer_id IS 'Stripe''s customer (cus_…), or the account that pays (acct_…).';

COMMENT ON COLUMN payments.transactions.customer_email_snapshot IS 'The payer''s e-mail address as the payment''s own objects told it.';

COMMENT ON COLUMN payments.transactions.provider_object_type IS 'What identifies the row: payment_intent where one is known, else invoice, else charge, else checkout_session; refund; dispute.';

COMMENT ON COLUMN payments.transactions.provider_object_id IS 'Stripe''s id of the object that identifies the row.';

COMMENT ON COLUMN payments.transactions.provider_parent_object_type IS 'For refunds and disputes: the payment they belong to.';

COMMENT ON COLUMN payments.transactions.provider_parent_object_id IS 'Of a refund or dispute: the id of its payment''s object.';

COMMENT ON COLUMN payments.transactions.related_object_ids IS '{"payment_intent": "pi_…", "charge": …, "invoice": …, "checkout_session": …, "subscription": …, "product": …, "price": …}; unknown ones are left out.';

COMMENT ON COLUMN payments.transactions.amount IS 'Minor units of currency: what was received, else what was asked for.';

COMMENT ON COLUMN payments.transactions.amount_refunded IS 'Minor units given back by refunds that have not failed. Always 0 on refund and dispute rows.';

COMMENT ON COLUMN payments.transactions.currency IS 'ISO 4217, in lower case as Stripe writes it.';

COMMENT ON COLUMN payments.transactions.description IS 'Stripe''s description of the payment, or why the row is as it is.';

COMMENT ON COLUMN payments.transactions.paid_at IS 'From the invoice (its invoice payment, where it was paid in several), else the charge, else the first event that showed success; null where Stripe named no time.';

COMMENT ON COLUMN payments.transactions.failed_at IS 'When the last attempt failed; null unless the payment has.';

COMMENT ON COLUMN payments.transactions.refunded_at IS 'When money was last given back.';

COMMENT ON COLUMN payments.transactions.provider_created_at IS 'When Stripe made the object.';

COMMENT ON COLUMN payments.transactions.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.transactions.updated_at IS 'When the row last changed here.';

CREATE FUNCTION payments_private.heir_of(p_keys payments_private.payment_facts[], p_rows payments.transactions[]) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.heir_of(p_keys payments_private.payment_facts[], p_rows payments.transactions[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.heir_of(p_keys payments_private.payment_facts[], p_rows payments.transactions[]) IS 'The place of the intent that is neither paid nor canceled; one that is on its way before others.';

CREATE FUNCTION payments_private.hmac_sha256(p_message bytea, p_key bytea) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.hmac_sha256(p_message bytea, p_key bytea) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.hmac_sha256(p_message bytea, p_key bytea) IS 'HMAC-SHA-256 (RFC 2104).';

CREATE FUNCTION payments_private.id_lines(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.id_lines(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.id_lines(p_link payments_private.linked_tables) IS 'Returns the lines by which guard_linked_<n> decides on a row''s object.';

CREATE FUNCTION payments_private.index_statements(p_link payments_private.linked_tables, p_how text) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.index_statements(p_link payments_private.linked_tables, p_how text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.index_statements(p_link payments_private.linked_tables, p_how text) IS 'Returns the statements that add the indexes a link needs; p_how may be concurrently.';

CREATE FUNCTION payments_private.ingest(p_environment text, p_bodies text[]) RETURNS payments_private.incoming[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.ingest(p_environment text, p_bodies text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.ingest(p_environment text, p_bodies text[]) IS 'A batch of verified bodies, in the order of their event ids. A body that is no event of this environment has status rejected and its verdict says why. Waits for a lock no longer than longest_wait() allows; in a batch, whose events wait for each other, half of that for the objects, a fifth when all are applied together, and three tenths in all when each is applied on its own, and 10 ms an event. What is cancelled (57014) is kept as failed, its neighbours too. Raises only where an event can neither be entered nor put into quarantine.';

CREATE FUNCTION payments_private.insert_claims(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT customers text[], OUT others text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.insert_claims(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT customers text[], OUT others text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.insert_claims(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT customers text[], OUT others text[]) IS 'Keeps for whom the subscriptions of a page say that their customers stand, and returns these customers; and the ids of those that say otherwise than before (others), of which nothing is kept yet.';

CREATE FUNCTION payments_private.insert_pending(p_events payments_private.incoming[], OUT ids uuid[], OUT names text[]) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.insert_pending(p_events payments_private.incoming[], OUT ids uuid[], OUT names text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.insert_pending(p_events payments_private.incoming[], OUT ids uuid[], OUT names text[]) IS 'Enters events into the ledger as pending, but for those that are there or can''t be stored. Returns the rows'' ids, and for each its environment, account and event id.';

CREATE FUNCTION payments_private.insert_processed(p_events payments_private.incoming[]) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.insert_processed(p_events payments_private.incoming[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.insert_processed(p_events payments_private.incoming[]) IS 'Enters events that were applied into the ledger. Returns the rows'' ids in their order; fewer where one was there.';

CREATE FUNCTION payments_private.insert_unreadable(p_event payments_private.incoming, p_body text) RETURNS uuid
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.insert_unreadable(p_event payments_private.incoming, p_body text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.insert_unreadable(p_event payments_private.incoming, p_body text) IS 'Enters an event whose body jsonb refuses as failed and parked, with its body as text. Returns the row''s id; null where it is there.';

CREATE FUNCTION payments_private.invoice_facts(p_account text, p_data jsonb, o payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.invoice_facts(p_account text, p_data jsonb, o payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.invoice_facts(p_account text, p_data jsonb, o payments_private.payment_facts) IS 'What an invoice says of its payments.';

CREATE FUNCTION payments_private.invoice_lines(p_data jsonb) RETURNS TABLE(line_rank integer, product_id text, price_id text)
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.invoice_lines(p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.invoice_lines(p_data jsonb) IS 'The lines of an invoice, the main line first: rank 1, or -1 where all are credits. Credits have negative ranks.';

CREATE FUNCTION payments_private.invoice_payment_facts(p_data jsonb, o payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.invoice_payment_facts(p_data jsonb, o payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.invoice_payment_facts(p_data jsonb, o payments_private.payment_facts) IS 'What an invoice payment says.';

CREATE FUNCTION payments_private.invoice_purchase(p_data jsonb, o payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.invoice_purchase(p_data jsonb, o payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.invoice_purchase(p_data jsonb, o payments_private.payment_facts) IS 'Product and price of the main line; all that were bought where there are several lines.';

CREATE FUNCTION payments_private.is_customer(p_object_type text, p_data jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.is_customer(p_object_type text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_customer(p_object_type text, p_data jsonb) IS 'Whether an object is a customer: one of that type, or an account that is configured as one (Stripe API reference: The Account object, version 2, applied_configurations).';

CREATE FUNCTION payments_private.is_deauthorized(p_environment text, p_account text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_deauthorized(p_environment text, p_account text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_deauthorized(p_environment text, p_account text) IS 'Whether an account has withdrawn its access, so that nothing is asked of it; never for the one behind the key ('''').';

CREATE FUNCTION payments_private.is_deletion(p_object_type text, p_event_type text, p_data jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.is_deletion(p_object_type text, p_event_type text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_deletion(p_object_type text, p_event_type text, p_data jsonb) IS 'Whether a snapshot says that its object is gone.';

CREATE FUNCTION payments_private.is_fetchable(p_object_type text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_fetchable(p_object_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_fetchable(p_object_type text) IS 'Whether a worker can fetch objects of a type.';

CREATE FUNCTION payments_private.is_off_stripe(p_member payments_private.payment_facts) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_off_stripe(p_member payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_off_stripe(p_member payments_private.payment_facts) IS 'Whether a member of a group is an invoice payment made outside of Stripe.';

CREATE FUNCTION payments_private.is_page(p_snapshots payments_private.snapshot[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_page(p_snapshots payments_private.snapshot[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_page(p_snapshots payments_private.snapshot[]) IS 'Whether these answers of the API are worth storing together, and may be: all are of one type that is as simple as that, and each object comes once.';

CREATE FUNCTION payments_private.is_passing(p_sqlstate text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_passing(p_sqlstate text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_passing(p_sqlstate text) IS 'Whether a failure tells of the moment and not of the event: a lock (55P03, 40P01, 40001), a time limit or cancellation (57014), a want of disk, memory or connections (53xxx, 58030).';

CREATE FUNCTION payments_private.is_release(p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_release(p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_release(p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]) IS 'Whether a refund tells of money that was held and never taken.';

CREATE FUNCTION payments_private.is_reserved(p_key text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_reserved(p_key text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_reserved(p_key text) IS 'Whether a metadata key begins with the prefix of the settings.';

CREATE FUNCTION payments_private.is_same_event(p_event payments_private.incoming, p_other payments_private.incoming) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_same_event(p_event payments_private.incoming, p_other payments_private.incoming) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_same_event(p_event payments_private.incoming, p_other payments_private.incoming) IS 'Whether two bodies are deliveries of one event.';

CREATE TABLE payments_private.same_second_snapshots (
    environment text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    object_type text NOT NULL,
    object_id text NOT NULL,
    source text NOT NULL,
    event_type text,
    observed_at timestamp with time zone NOT NULL,
    data jsonb,
    deleted boolean NOT NULL,
    previous_attributes jsonb,
    stage numeric,
    state bigint NOT NULL,
    state_before bigint
)
WITH (toast_tuple_target='8160');

ALTER TABLE payments_private.same_second_snapshots OWNER TO payments_owner;

COMMENT ON TABLE payments_private.same_second_snapshots IS 'All snapshots of one object that share the newest second. Which of them is the latest is decided over the whole set, so arrival does not matter.';

COMMENT ON COLUMN payments_private.same_second_snapshots.source IS 'The event''s id, or api:<time> for a snapshot from the API.';

COMMENT ON COLUMN payments_private.same_second_snapshots.data IS 'The object, unless it is the one that the event in the ledger carries.';

COMMENT ON COLUMN payments_private.same_second_snapshots.stage IS 'How far along its life the object is; null where its type has no stages.';

COMMENT ON COLUMN payments_private.same_second_snapshots.state IS 'Hash of the object as the snapshot shows it.';

COMMENT ON COLUMN payments_private.same_second_snapshots.state_before IS 'Hash of the object before the event, from data.previous_attributes; null when the event says nothing about it.';

CREATE FUNCTION payments_private.is_superseded(p_candidate payments_private.same_second_snapshots, p_candidates payments_private.same_second_snapshots[]) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_superseded(p_candidate payments_private.same_second_snapshots, p_candidates payments_private.same_second_snapshots[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_superseded(p_candidate payments_private.same_second_snapshots, p_candidates payments_private.same_second_snapshots[]) IS 'Whether what another of the candidates calls previous is what this one shows.';

CREATE FUNCTION payments_private.is_tied(p_intent payments_private.payment_facts, p_invoice text, p_group payments_private.payment_facts[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_tied(p_intent payments_private.payment_facts, p_invoice text, p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_tied(p_intent payments_private.payment_facts, p_invoice text, p_group payments_private.payment_facts[]) IS 'Whether an invoice payment ties an intent to an invoice (type:id): false where it was canceled or detached, null where there is none.';

CREATE FUNCTION payments_private.is_volume_followed(p_environment text, p_account text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.is_volume_followed(p_environment text, p_account text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.is_volume_followed(p_environment text, p_account text) IS 'Whether all transactions that now run note which hours of this volume they change; enters it to be followed, if it is not.';

CREATE FUNCTION payments_private.items_of(p_subscription jsonb) RETURNS TABLE(item_id text, d jsonb)
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.items_of(p_subscription jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.items_of(p_subscription jsonb) IS 'The items of a subscription, with their ids.';

CREATE FUNCTION payments_private.join_group(p_environment text, p_account text, p_reference text, p_refs text[], p_group text) RETURNS text
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.join_group(p_environment text, p_account text, p_reference text, p_refs text[], p_group text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.join_group(p_environment text, p_account text, p_reference text, p_refs text[], p_group text) IS 'The group of an object with these references; other groups among them go over to it. p_group: its group so far, null for an object that has no row.';

CREATE FUNCTION payments_private."json_array"(p_value jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private."json_array"(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private."json_array"(p_value jsonb) IS 'A JSON array; anything else is an empty one.';

CREATE FUNCTION payments_private.json_bigint(p_value jsonb) RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.json_bigint(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_bigint(p_value jsonb) IS 'A JSON integer of at most 18 digits; anything else, fractions included, is null.';

CREATE FUNCTION payments_private.json_bigints(VARIADIC p_values jsonb[]) RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.json_bigints(VARIADIC p_values jsonb[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_bigints(VARIADIC p_values jsonb[]) IS 'json_bigint of each.';

CREATE FUNCTION payments_private.json_boolean(p_value jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.json_boolean(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_boolean(p_value jsonb) IS 'A JSON boolean; anything else is null.';

CREATE FUNCTION payments_private.json_id(p_value jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.json_id(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_id(p_value jsonb) IS 'The id behind an expandable field, which is an id or an object (Stripe API reference, Expanding Responses).';

CREATE FUNCTION payments_private.json_ids(VARIADIC p_values jsonb[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.json_ids(VARIADIC p_values jsonb[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_ids(VARIADIC p_values jsonb[]) IS 'json_id of each.';

CREATE FUNCTION payments_private."json_object"(p_value jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private."json_object"(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private."json_object"(p_value jsonb) IS 'A JSON object; anything else is null.';

CREATE FUNCTION payments_private.json_of_columns(p_columns text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.json_of_columns(p_columns text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_of_columns(p_columns text[]) IS 'Returns the SQL that makes an object of columns of t.';

CREATE FUNCTION payments_private.json_rfc3339(p_value jsonb) RETURNS timestamp with time zone
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.json_rfc3339(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_rfc3339(p_value jsonb) IS 'A time as version 2 of Stripe''s API writes it, in UTC; anything else is null.';

CREATE FUNCTION payments_private.json_text(p_value jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.json_text(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_text(p_value jsonb) IS 'A JSON string as text; anything else is null.';

CREATE FUNCTION payments_private.json_texts(VARIADIC p_values jsonb[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.json_texts(VARIADIC p_values jsonb[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_texts(VARIADIC p_values jsonb[]) IS 'json_text of each.';

CREATE FUNCTION payments_private.json_time(p_value jsonb) RETURNS timestamp with time zone
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.json_time(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_time(p_value jsonb) IS 'Unix seconds as a timestamp; anything else is null.';

CREATE FUNCTION payments_private.json_times(VARIADIC p_values jsonb[]) RETURNS timestamp with time zone[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.json_times(VARIADIC p_values jsonb[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.json_times(VARIADIC p_values jsonb[]) IS 'json_time of each.';

CREATE FUNCTION payments_private.jsonb_or_null(p_body text) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.jsonb_or_null(p_body text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.jsonb_or_null(p_body text) IS 'A body as jsonb; null where jsonb refuses it.';

CREATE FUNCTION payments_private.keep_failed(p_environment text, p_event payments_private.incoming, p_body text, p_sqlstate text, p_message text) RETURNS payments_private.incoming
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.keep_failed(p_environment text, p_event payments_private.incoming, p_body text, p_sqlstate text, p_message text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.keep_failed(p_environment text, p_event payments_private.incoming, p_body text, p_sqlstate text, p_message text) IS 'Enters a verified event as failed for this reason without applying it, or puts it into quarantine. One that is settled stays as it is.';

CREATE FUNCTION payments_private.keep_later_silence(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.keep_later_silence(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.keep_later_silence(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone) IS 'Keeps that a customer names nobody as it was seen last, where the latest that is kept of it is a subject that it named at p_at.';

CREATE FUNCTION payments_private.key_condition(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.key_condition(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.key_condition(p_link payments_private.linked_tables) IS 'Returns the SQL that finds a row by its primary key, given as jsonb in $1.';

CREATE FUNCTION payments_private.keys_by_account(p_environment text, p_stage text, p_keys text[], p_accounts text[]) RETURNS TABLE(account_id text, keys text[])
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.keys_by_account(p_environment text, p_stage text, p_keys text[], p_accounts text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.keys_by_account(p_environment text, p_stage text, p_keys text[], p_accounts text[]) IS 'What a batch does for each account.';

CREATE FUNCTION payments_private.know_again(p_events payments_private.incoming[], OUT events payments_private.incoming[], OUT simple boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.know_again(p_events payments_private.incoming[], OUT events payments_private.incoming[], OUT simple boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.know_again(p_events payments_private.incoming[], OUT events payments_private.incoming[], OUT simple boolean) IS 'Events with what the ledger says of those that it knows. Not simple: one of them is to be tried again, or can''t be read.';

CREATE FUNCTION payments_private.lacking_indexes(p_link payments_private.linked_tables) RETURNS SETOF name
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lacking_indexes(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lacking_indexes(p_link payments_private.linked_tables) IS 'Returns the columns by which rows are found and which no index begins with.';

CREATE FUNCTION payments_private.latest_of_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_tied boolean, p_carry boolean, p_more boolean) RETURNS payments_private.snapshot
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.latest_of_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_tied boolean, p_carry boolean, p_more boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.latest_of_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_tied boolean, p_carry boolean, p_more boolean) IS 'The latest of an object''s snapshots of one second, now that this one is among them. p_tied: whether there were several before; p_carry, p_more: as for store_snapshot; null if more are to come.';

CREATE FUNCTION payments_private.latest_same_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, OUT latest_source text, OUT settled boolean) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.latest_same_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, OUT latest_source text, OUT settled boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.latest_same_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, OUT latest_source text, OUT settled boolean) IS 'Which of the same-second snapshots of this one''s object is the latest, by its source, and whether more than the arbitrary last rule says so.';

CREATE FUNCTION payments_private.lifecycle_stage(p_object_type text, p_data jsonb) RETURNS numeric
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lifecycle_stage(p_object_type text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lifecycle_stage(p_object_type text, p_data jsonb) IS 'Orders the states of one object within a second; null where its type has no stages.';

CREATE FUNCTION payments_private.likely_latest(p_candidates payments_private.same_second_snapshots[]) RETURNS payments_private.same_second_snapshots[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.likely_latest(p_candidates payments_private.same_second_snapshots[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.likely_latest(p_candidates payments_private.same_second_snapshots[]) IS 'Those of an object''s same-second snapshots that are no creation, and whose state was not left again; a deletion alone where there is one.';

CREATE FUNCTION payments_private.lines_go_on(p_object_type text, p_data jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.lines_go_on(p_object_type text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lines_go_on(p_object_type text, p_data jsonb) IS 'Whether this is an invoice that shows the first of its lines only.';

CREATE FUNCTION payments_private.link_function_pattern(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.link_function_pattern(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.link_function_pattern(p_link payments_private.linked_tables) IS 'Returns the pattern of the names of a link''s functions that belong to the table''s owner.';

CREATE FUNCTION payments_private.link_functions(p_link payments_private.linked_tables, OUT what text, OUT arguments text, OUT returned text, OUT body text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.link_functions(p_link payments_private.linked_tables, OUT what text, OUT arguments text, OUT returned text, OUT body text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.link_functions(p_link payments_private.linked_tables, OUT what text, OUT arguments text, OUT returned text, OUT body text) IS 'Returns the functions of a link that belong to the table''s owner: <what>_linked_<n> with its arguments, what it returns, and its body.';

CREATE FUNCTION payments_private.link_is_outdated(p_link payments_private.linked_tables, p_owner name) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.link_is_outdated(p_link payments_private.linked_tables, p_owner name) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.link_is_outdated(p_link payments_private.linked_tables, p_owner name) IS 'Whether functions or triggers of a link are not as this version writes them.';

CREATE FUNCTION payments_private.link_is_whole(p_link payments_private.linked_tables) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.link_is_whole(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.link_is_whole(p_link payments_private.linked_tables) IS 'Whether the table of a link is there with all columns that the link is about.';

CREATE FUNCTION payments_private.link_or_fail(p_link_id integer) RETURNS payments_private.linked_tables
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.link_or_fail(p_link_id integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.link_or_fail(p_link_id integer) IS 'Returns a link, or raises PY005.';

CREATE FUNCTION payments_private.link_trigger_pattern(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.link_trigger_pattern(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.link_trigger_pattern(p_link payments_private.linked_tables) IS 'Returns the pattern of the names of a link''s triggers.';

CREATE FUNCTION payments_private.link_triggers(p_link payments_private.linked_tables, OUT name text, OUT definition text) RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.link_triggers(p_link payments_private.linked_tables, OUT name text, OUT definition text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.link_triggers(p_link payments_private.linked_tables, OUT name text, OUT definition text) IS 'Returns the triggers that a link puts on its table: name, and definition as CREATE TRIGGER has it after the name.';

CREATE FUNCTION payments_private.linked_at_once() RETURNS bigint
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.linked_at_once() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.linked_at_once() IS 'Rows of a table up to which payments.link_table() does everything in one transaction.';

CREATE FUNCTION payments_private.linked_column_type(p_path text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.linked_column_type(p_path text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.linked_column_type(p_path text) IS 'Returns the type of a column that link_table makes: amounts are bigint in minor units, times timestamptz, metadata jsonb, the rest text.';

CREATE FUNCTION payments_private.linked_expression(p_object_type text, p_path text, p_type text, p_data text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.linked_expression(p_object_type text, p_path text, p_type text, p_data text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.linked_expression(p_object_type text, p_path text, p_type text, p_data text) IS 'Returns the SQL that reads a linked column''s value from an object; null for a type that cannot hold one.';

CREATE FUNCTION payments_private.linked_expressions(p_link payments_private.linked_tables, p_types jsonb, p_data text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.linked_expressions(p_link payments_private.linked_tables, p_types jsonb, p_data text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.linked_expressions(p_link payments_private.linked_tables, p_types jsonb, p_data text) IS 'Returns the SQL of all values that a link''s columns have of an object.';

CREATE FUNCTION payments_private.linked_json(p_value jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.linked_json(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.linked_json(p_value jsonb) IS 'A JSON value as it is; JSON''s null is null.';

CREATE FUNCTION payments_private.linked_rows_of(p_environment text, p_account text, p_object_type text, p_ids text[]) RETURNS TABLE(projection text, key text, content jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.linked_rows_of(p_environment text, p_account text, p_object_type text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.linked_rows_of(p_environment text, p_account text, p_object_type text, p_ids text[]) IS 'The linked columns of the rows that are linked to the given objects.';

CREATE FUNCTION payments_private.linked_text(p_value jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.linked_text(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.linked_text(p_value jsonb) IS 'A string, number or boolean as text; of an expanded object its id; anything else is null.';

CREATE FUNCTION payments_private.linked_types(p_target regclass, p_columns jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.linked_types(p_target regclass, p_columns jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.linked_types(p_target regclass, p_columns jsonb) IS 'Returns the types of linked columns, by name; null for a column that is not there.';

CREATE FUNCTION payments_private.lock_area(p_area text, p_whole boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.lock_area(p_area text, p_whole boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_area(p_area text, p_whole boolean) IS 'Locks an environment (test, live), or what was purged (purge), until the transaction ends: nobody else has the whole of it, or, with p_whole, nobody else works in it at all. Waits as wait_for_locks() does; raises 55P03.';

CREATE FUNCTION payments_private.lock_batch(p_environment text, p_account text, p_stage text, p_keys text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lock_batch(p_environment text, p_account text, p_stage text, p_keys text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_batch(p_environment text, p_account text, p_stage text, p_keys text[]) IS 'Waits for the deliveries that work on the same objects, and lets no other begin.';

CREATE FUNCTION payments_private.lock_by_account(p_snapshots payments_private.snapshot[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lock_by_account(p_snapshots payments_private.snapshot[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_by_account(p_snapshots payments_private.snapshot[]) IS 'Takes the locks that apply_by_account needs.';

CREATE FUNCTION payments_private.lock_events(p_events payments_private.incoming[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lock_events(p_events payments_private.incoming[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_events(p_events payments_private.incoming[]) IS 'Locks what the events touch until the transaction ends. Raises 55P03 where a lock is not to be had in time.';

CREATE FUNCTION payments_private.lock_key(p_name text, p_secret bytea DEFAULT NULL::bytea) RETURNS bigint
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.lock_key(p_name text, p_secret bytea) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_key(p_name text, p_secret bytea) IS 'The key of the advisory lock of this name. Pass lock_secret() where many are derived.';

CREATE FUNCTION payments_private.lock_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lock_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) IS 'Takes the locks that apply_page needs.';

CREATE FUNCTION payments_private.lock_references(p_environment text, p_account text, p_references text[], p_customers text[] DEFAULT '{}'::text[], p_shared text[] DEFAULT '{}'::text[], p_secret bytea DEFAULT NULL::bytea) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.lock_references(p_environment text, p_account text, p_references text[], p_customers text[], p_shared text[], p_secret bytea) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_references(p_environment text, p_account text, p_references text[], p_customers text[], p_shared text[], p_secret bytea) IS 'Locks the given objects (type:id), the groups of payments that they are in, and the subjects that the given customers stand for, until the transaction ends; with the last ones it shares the lock. Raises 55P03 where another session is in the way for too long.';

CREATE FUNCTION payments_private.lock_secret() RETURNS bytea
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lock_secret() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_secret() IS 'What lock_key() derives with, for who derives many.';

CREATE FUNCTION payments_private.lock_snapshots(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_secret bytea DEFAULT NULL::bytea) RETURNS void
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.lock_snapshots(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_secret bytea) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_snapshots(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_secret bytea) IS 'Takes the locks that apply_snapshots needs. p_secret: what lock_secret() returns, if it is known.';

CREATE FUNCTION payments_private.lock_until(p_key bigint, p_until timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lock_until(p_key bigint, p_until timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lock_until(p_key bigint, p_until timestamp with time zone) IS 'Whether the lock could be had by then; it is held until the transaction ends. Tries at least once.';

CREATE FUNCTION payments_private.locked_push(p_id uuid) RETURNS payments.outbox
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.locked_push(p_id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.locked_push(p_id uuid) IS 'Locks a push until the transaction ends, and returns it. Raises PY005 for an unknown id.';

CREATE FUNCTION payments_private.longest_wait(p_callers_limit text DEFAULT '0'::text) RETURNS integer
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.longest_wait(p_callers_limit text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.longest_wait(p_callers_limit text) IS 'Milliseconds that a lock is waited for: the setting lock_timeout, or a second, or the caller''s own lock_timeout if that is shorter.';

CREATE FUNCTION payments_private.lost_columns(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lost_columns(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lost_columns(p_link payments_private.linked_tables) IS 'Returns the columns that a link is about and its table no longer has under that name.';

CREATE FUNCTION payments_private.lost_condition(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lost_condition(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lost_condition(p_link payments_private.linked_tables) IS 'Returns the SQL of whether a linked table, or one of the columns that the link is about, is gone or has another name.';

CREATE FUNCTION payments_private.lost_parts(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.lost_parts(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.lost_parts(p_link payments_private.linked_tables) IS 'Returns what a linked table has lost of its link: columns, or else triggers (also those that are switched off) and foreign keys; null where nothing is lost.';

CREATE FUNCTION payments_private.make_guard(p_link payments_private.linked_tables, p_owner name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.make_guard(p_link payments_private.linked_tables, p_owner name) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.make_guard(p_link payments_private.linked_tables, p_owner name) IS 'Makes the trigger functions of a link.';

CREATE FUNCTION payments_private.mark_failed(p_environment text, p_id uuid, p_event_id text, p_body text, p_sqlstate text, p_message text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.mark_failed(p_environment text, p_id uuid, p_event_id text, p_body text, p_sqlstate text, p_message text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.mark_failed(p_environment text, p_id uuid, p_event_id text, p_body text, p_sqlstate text, p_message text) IS 'A ledger row becomes failed, due again as next_attempt() says; an event whose row can''t be changed goes into quarantine.';

CREATE FUNCTION payments_private.match_column(p_link payments_private.linked_tables) RETURNS name
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.match_column(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.match_column(p_link payments_private.linked_tables) IS 'Returns the column by which rows find their object; null where it is the id.';

CREATE FUNCTION payments_private.match_metadata(p_link payments_private.linked_tables, p_object_id text, p_data jsonb) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.match_metadata(p_link payments_private.linked_tables, p_object_id text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.match_metadata(p_link payments_private.linked_tables, p_object_id text, p_data jsonb) IS 'Keeps which row an object''s metadata names. Returns the values it named before and names now.';

CREATE FUNCTION payments_private.may_claim(p_metadata jsonb, p_subject_key text) RETURNS boolean
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.may_claim(p_metadata jsonb, p_subject_key text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.may_claim(p_metadata jsonb, p_subject_key text) IS 'Whether the metadata of a session or subscription, believed to name this subject, also makes its customer the subject''s: not if whoever began the checkout may no longer bill it.';

CREATE FUNCTION payments_private.may_link(p_link payments_private.linked_tables, p_object_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.may_link(p_link payments_private.linked_tables, p_object_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.may_link(p_link payments_private.linked_tables, p_object_id text) IS 'Whether the caller may link a row to an object. Who calls without claims of a user, such as the application''s backend, may link any.';

CREATE FUNCTION payments_private.may_sell_through(p_environment text, p_account text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.may_sell_through(p_environment text, p_account text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.may_sell_through(p_environment text, p_account text) IS 'Whether the caller may begin checkouts for a connected account: one that is registered so and has not withdrawn its access.';

CREATE FUNCTION payments_private.may_still_bill(p_owner_key text, p_subject_key text) RETURNS boolean
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.may_still_bill(p_owner_key text, p_subject_key text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.may_still_bill(p_owner_key text, p_subject_key text) IS 'Whether the owner of a checkout attempt (user:<sub>, guest:<hash>) may bill a subject now. Only a membership table can say no: an application''s own function can''t be asked about somebody else.';

CREATE FUNCTION payments_private.members_lookup(p_members regclass, p_subject_column name, p_user_column name, p_user_type text, p_condition text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.members_lookup(p_members regclass, p_subject_column name, p_user_column name, p_user_type text, p_condition text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.members_lookup(p_members regclass, p_subject_column name, p_user_column name, p_user_type text, p_condition text) IS 'The body of the lookup of a subject type that a membership table tells of.';

CREATE FUNCTION payments_private.members_of(p_parts payments_private.payment_facts[]) RETURNS payments_private.payment_members
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.members_of(p_parts payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.members_of(p_parts payments_private.payment_facts[]) IS 'The first of each type among the objects that tell of a payment, in the order in which they are to be believed.';

CREATE FUNCTION payments_private.members_of_bill(p_bill text, p_bills text[], p_group payments_private.payment_facts[]) RETURNS payments_private.payment_facts[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.members_of_bill(p_bill text, p_bills text[], p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.members_of_bill(p_bill text, p_bills text[], p_group payments_private.payment_facts[]) IS 'The members of a group that tell of this bill, in their order.';

CREATE FUNCTION payments_private.move_pushes(p_link integer, p_old jsonb, p_new jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.move_pushes(p_link integer, p_old jsonb, p_new jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.move_pushes(p_link integer, p_old jsonb, p_new jsonb) IS 'Gives the open pushes of a row its new primary key.';

CREATE FUNCTION payments_private.named_columns(p_kind text, p_columns jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.named_columns(p_kind text, p_columns jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.named_columns(p_kind text, p_columns jsonb) IS 'Returns the columns of a link, name to path, with the names that the caller chose.';

CREATE FUNCTION payments_private.new_or_newer(p_environment text, p_account text, p_objects jsonb, p_observed_at timestamp with time zone) RETURNS bigint
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off';

ALTER FUNCTION payments_private.new_or_newer(p_environment text, p_account text, p_objects jsonb, p_observed_at timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.new_or_newer(p_environment text, p_account text, p_objects jsonb, p_observed_at timestamp with time zone) IS 'How many of the objects say something that is not stored yet, and were seen no earlier than what is.';

CREATE FUNCTION payments_private.next_attempt(p_attempts integer, p_sqlstate text DEFAULT NULL::text, p_since timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.next_attempt(p_attempts integer, p_sqlstate text, p_since timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.next_attempt(p_attempts integer, p_sqlstate text, p_since timestamp with time zone) IS 'When to try again after so many attempts: 1, 2, 4 … minutes later, at most 6 hours; null when the event is to be parked. After a failure that passes (is_passing) it is 5, 10, 20 … seconds, and an event that came (p_since) less than 3 days ago, for as long as Stripe delivers again, is not parked.';

CREATE FUNCTION payments_private.next_batch(p_environment text, p_stage text, p_after text, p_max integer, p_until text DEFAULT NULL::text, OUT keys text[], OUT accounts text[], OUT last text, OUT objects integer) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.next_batch(p_environment text, p_stage text, p_after text, p_max integer, p_until text, OUT keys text[], OUT accounts text[], OUT last text, OUT objects integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.next_batch(p_environment text, p_stage text, p_after text, p_max integer, p_until text, OUT keys text[], OUT accounts text[], OUT last text, OUT objects integer) IS 'The next keys of a stage, after the given one and up to p_until, with their accounts.';

CREATE FUNCTION payments_private.next_push(p_tries integer) RETURNS interval
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.next_push(p_tries integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.next_push(p_tries integer) IS 'How long to wait after so many tries: 1, 2, 4 … seconds, at most 15 minutes.';

CREATE FUNCTION payments_private.not_of_a_superuser(p_thing text, p_owner name) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.not_of_a_superuser(p_thing text, p_owner name) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.not_of_a_superuser(p_thing text, p_owner name) IS 'Raises PY002 if the owner of a thing is a superuser.';

CREATE FUNCTION payments_private.note_account() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.note_account() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.note_account() IS 'Makes a connected account known that an event tells of.';

CREATE FUNCTION payments_private.note_change_at_stripe(p_link integer, p_object_id text, p_before jsonb, p_data jsonb, p_echo jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.note_change_at_stripe(p_link integer, p_object_id text, p_before jsonb, p_data jsonb, p_echo jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.note_change_at_stripe(p_link integer, p_object_id text, p_before jsonb, p_data jsonb, p_echo jsonb) IS 'Where Stripe owns the pushed columns, writes what changed there into the rows that are linked to the object, but for what a push of the same link has changed itself, which p_echo tells.';

CREATE FUNCTION payments_private.note_changed_hour(p_environment text, p_account_id text, p_at timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.note_changed_hour(p_environment text, p_account_id text, p_at timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.note_changed_hour(p_environment text, p_account_id text, p_at timestamp with time zone) IS 'Notes that the volume of that hour changes, if anybody looks at it. Waits for nobody.';

CREATE FUNCTION payments_private.note_echo(p_environment text, p_account_id text, p_object_id text, p_data jsonb, p_key text, p_previous jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.note_echo(p_environment text, p_account_id text, p_object_id text, p_data jsonb, p_key text, p_previous jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.note_echo(p_environment text, p_account_id text, p_object_id text, p_data jsonb, p_key text, p_previous jsonb) IS 'Matches an event to the push that led to it, and settles the push if that is still open. Returns the push''s link and what it changed, as Stripe''s previous_attributes or a list of parameters; null for a key that is not of this outbox.';

CREATE FUNCTION payments_private.note_linked_row(p_link integer, p_row jsonb, p_object_id text, p_before text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.note_linked_row(p_link integer, p_row jsonb, p_object_id text, p_before text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.note_linked_row(p_link integer, p_row jsonb, p_object_id text, p_before text) IS 'Writes down which object a row was linked to, and tells whoever listens on payments_objects.';

CREATE FUNCTION payments_private.note_refresh() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.note_refresh() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.note_refresh() IS 'Wakes a worker for an object in doubt, and notes a doubt that came up while the object was being fetched.';

CREATE FUNCTION payments_private.now() RETURNS timestamp with time zone
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.now() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.now() IS 'The time, or where the clock has been stopped by a test.';

CREATE FUNCTION payments_private.object_of_checkout(p_environment text, p_account_id text, p_object_type text, p_checkout_id text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.object_of_checkout(p_environment text, p_account_id text, p_object_type text, p_checkout_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.object_of_checkout(p_environment text, p_account_id text, p_object_type text, p_checkout_id text) IS 'Returns the payment intent, subscription, customer or session that answers a checkout attempt, or null.';

CREATE FUNCTION payments_private.object_of_metadata(p_link integer, p_value text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.object_of_metadata(p_link integer, p_value text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.object_of_metadata(p_link integer, p_value text) IS 'Returns the object whose metadata names a row: of several one that succeeded, then the latest made.';

CREATE FUNCTION payments_private.origin_of(p_url text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.origin_of(p_url text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.origin_of(p_url text) IS 'Scheme, host and port of a URL that check_url() lets pass, as browsers compare them.';

CREATE FUNCTION payments_private.outbox_home() RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.outbox_home() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.outbox_home() IS 'Names this database: cluster and database. A restored copy has another name.';

CREATE FUNCTION payments_private.outbox_is_open(p_environment text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.outbox_is_open(p_environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.outbox_is_open(p_environment text) IS 'Whether pushes of an environment are sent: not while paused, and not from a copy of the database or to another account than before.';

CREATE FUNCTION payments_private.outcome_of(p_key payments_private.payment_facts, p_heir boolean, p_parts payments_private.payment_facts[]) RETURNS payments_private.payment_outcome
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.outcome_of(p_key payments_private.payment_facts, p_heir boolean, p_parts payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.outcome_of(p_key payments_private.payment_facts, p_heir boolean, p_parts payments_private.payment_facts[]) IS 'What the objects of a payment say of its state, taken together. p_key, p_heir: as for payment_row.';

CREATE FUNCTION payments_private.outdated_parts(OUT kind text, OUT id text, OUT thing text, OUT owner name) RETURNS SETOF record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.outdated_parts(OUT kind text, OUT id text, OUT thing text, OUT owner name) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.outdated_parts(OUT kind text, OUT id text, OUT thing text, OUT owner name) IS 'What was written for an application''s tables and is not as this version writes it: kind, id, the table or function it is about, and who has to write it.';

CREATE FUNCTION payments_private.outdated_triggers(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.outdated_triggers(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.outdated_triggers(p_link payments_private.linked_tables) IS 'Returns the statements that give a linked table the triggers that this version writes; none where it has them.';

CREATE FUNCTION payments_private.owners_function(p_link payments_private.linked_tables, p_what text, p_arguments text, p_returns text, p_body text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.owners_function(p_link payments_private.linked_tables, p_what text, p_arguments text, p_returns text, p_body text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.owners_function(p_link payments_private.linked_tables, p_what text, p_arguments text, p_returns text, p_body text) IS 'Returns the statements that make one function of a link that belongs to the table''s owner.';

CREATE FUNCTION payments_private.owners_functions(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.owners_functions(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.owners_functions(p_link payments_private.linked_tables) IS 'Returns the statements that make the functions of a link that belong to the table''s owner.';

CREATE FUNCTION payments_private.owners_of_groups(p_environment text, p_account text, p_groups text[]) RETURNS text[]
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.owners_of_groups(p_environment text, p_account text, p_groups text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.owners_of_groups(p_environment text, p_account text, p_groups text[]) IS 'The customers and subscriptions that tell whose the payments of these groups are.';

CREATE FUNCTION payments_private.padded_key(p_key bytea, p_pad integer) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.padded_key(p_key bytea, p_pad integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.padded_key(p_key bytea, p_pad integer) IS 'A key of HMAC-SHA-256 as a block of 64 bytes, each xor p_pad.';

CREATE FUNCTION payments_private.parameters_of(o payments.outbox) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.parameters_of(o payments.outbox) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.parameters_of(o payments.outbox) IS 'Returns the fields of the form that a push sends.';

CREATE FUNCTION payments_private.parent_of(p_member payments_private.payment_facts, p_payments payments.transactions[], p_group payments_private.payment_facts[]) RETURNS payments.transactions
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.parent_of(p_member payments_private.payment_facts, p_payments payments.transactions[], p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.parent_of(p_member payments_private.payment_facts, p_payments payments.transactions[], p_group payments_private.payment_facts[]) IS 'The payment that a refund or dispute belongs to; null if it is not known.';

CREATE FUNCTION payments_private.parts_of(p_key payments_private.payment_facts, p_alone boolean, p_group payments_private.payment_facts[]) RETURNS payments_private.payment_facts[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.parts_of(p_key payments_private.payment_facts, p_alone boolean, p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.parts_of(p_key payments_private.payment_facts, p_alone boolean, p_group payments_private.payment_facts[]) IS 'The objects that tell of a payment, given its group and whether it is the only one there.';

CREATE FUNCTION payments_private.passes_by_itself(p_sqlstate text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.passes_by_itself(p_sqlstate text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.passes_by_itself(p_sqlstate text) IS 'Whether an error is of the moment: a deadlock, a lock that was not to be had, a full disk, a server that stops.';

CREATE FUNCTION payments_private.payer_in(p_data jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.payer_in(p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payer_in(p_data jsonb) IS 'The customer (cus_…) or account (acct_…) that an object says pays.';

CREATE FUNCTION payments_private.payer_of(p_environment text, p_account text, p_named text, p_subscription text, p_shared text, p_customer_id text, p_at timestamp with time zone) RETURNS text
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.payer_of(p_environment text, p_account text, p_named text, p_subscription text, p_shared text, p_customer_id text, p_at timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payer_of(p_environment text, p_account text, p_named text, p_subscription text, p_shared text, p_customer_id text, p_at timestamp with time zone) IS 'The billing subject of a payment, as type:id, or null.';

CREATE FUNCTION payments_private.payment_groups_of(p_environment text, p_account text, p_word text, p_max integer) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.payment_groups_of(p_environment text, p_account text, p_word text, p_max integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payment_groups_of(p_environment text, p_account text, p_word text, p_max integer) IS 'The payment groups that a word stands for: the id of an object, a subscription, an event or an attempt, or a value in an attempt''s metadata.';

CREATE FUNCTION payments_private.payment_intent_facts(p_data jsonb, o payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.payment_intent_facts(p_data jsonb, o payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payment_intent_facts(p_data jsonb, o payments_private.payment_facts) IS 'What a payment intent says of its payment.';

CREATE FUNCTION payments_private.payment_keys(p_group payments_private.payment_facts[]) RETURNS payments_private.payment_facts[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.payment_keys(p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payment_keys(p_group payments_private.payment_facts[]) IS 'The objects that identify the payments of a group, in the order of the group.';

CREATE FUNCTION payments_private.payment_references(p_references text[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.payment_references(p_references text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payment_references(p_references text[]) IS 'Those of the references that a payment''s group is made of.';

CREATE FUNCTION payments_private.payment_row(p_environment text, p_account text, p_key payments_private.payment_facts, p_heir boolean, p_share bigint, p_parts payments_private.payment_facts[]) RETURNS payments.transactions
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.payment_row(p_environment text, p_account text, p_key payments_private.payment_facts, p_heir boolean, p_share bigint, p_parts payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payment_row(p_environment text, p_account text, p_key payments_private.payment_facts, p_heir boolean, p_share bigint, p_parts payments_private.payment_facts[]) IS 'The transaction of one payment; its status is null while nobody has tried to pay. p_heir: what invoice and session say of their state is of this payment; p_share: so much of what they received was paid by it.';

CREATE FUNCTION payments_private.payments_of(p_environment text, p_account text, p_group payments_private.payment_facts[]) RETURNS payments.transactions[]
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.payments_of(p_environment text, p_account text, p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payments_of(p_environment text, p_account text, p_group payments_private.payment_facts[]) IS 'The transactions of the payments of a group; the status of one is null while nobody has tried to pay.';

CREATE FUNCTION payments_private.payments_of_bill(p_environment text, p_account text, p_keys payments_private.payment_facts[], p_group payments_private.payment_facts[]) RETURNS payments.transactions[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.payments_of_bill(p_environment text, p_account text, p_keys payments_private.payment_facts[], p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payments_of_bill(p_environment text, p_account text, p_keys payments_private.payment_facts[], p_group payments_private.payment_facts[]) IS 'The payments of a group by the payment intents that identify them, and by the invoice what was paid outside of these.';

CREATE FUNCTION payments_private.payments_of_subscriptions(p_environment text, p_account text, p_ids text[]) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.payments_of_subscriptions(p_environment text, p_account text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.payments_of_subscriptions(p_environment text, p_account text, p_ids text[]) IS 'References (type:id) of the invoices and sessions of these subscriptions.';

CREATE FUNCTION payments_private.period_of(p_subscription jsonb, p_field text) RETURNS timestamp with time zone
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.period_of(p_subscription jsonb, p_field text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.period_of(p_subscription jsonb, p_field text) IS 'current_period_start or current_period_end of a subscription in any API version.';

CREATE FUNCTION payments_private.place_or_fail(p_place text, p_field text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.place_or_fail(p_place text, p_field text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.place_or_fail(p_place text, p_field text) IS 'The given place of a rebuild; raises PY001 with the name of the field for anything else, and lets null pass.';

CREATE FUNCTION payments_private.prepare_change(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.prepare_change(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.prepare_change(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb) IS 'Compares what a row wants with what Stripe says, three-way, and completes the push; settles it as dropped or conflict where nothing is to be sent.';

CREATE FUNCTION payments_private.prepare_checkout() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.prepare_checkout() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.prepare_checkout() IS 'Checks a checkout attempt and writes down whose it is.';

CREATE FUNCTION payments_private.prepare_creation(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.prepare_creation(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.prepare_creation(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb) IS 'Completes a push that creates an object: its parameters and key stay until the outcome is known. The object carries our mark, metadata payments_row.';

CREATE FUNCTION payments_private.prepare_portal_session() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.prepare_portal_session() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.prepare_portal_session() IS 'Checks a portal request and finds the subject''s customer.';

CREATE FUNCTION payments_private.prepare_push(p_id uuid) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.prepare_push(p_id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.prepare_push(p_id uuid) IS 'Reads the row that a claimed push is about and completes the push; settles it as dropped or conflict where nothing is to be sent.';

CREATE FUNCTION payments_private.prepare_update(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb, p_found jsonb) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.prepare_update(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb, p_found jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.prepare_update(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb, p_found jsonb) IS 'Completes a push that changes an object, or replaces a price.';

CREATE TABLE payments_private.subject_types (
    subject_type text NOT NULL,
    members regclass,
    subject_column name,
    user_column name,
    filter text,
    lookup text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT asks_a_table_or_a_function CHECK (((members IS NULL) = (lookup IS NOT NULL))),
    CONSTRAINT subject_type_is_an_identifier CHECK ((subject_type ~ '^[a-z][a-z0-9_]*$'::text)),
    CONSTRAINT user_is_built_in CHECK ((subject_type <> 'user'::text))
);

ALTER TABLE payments_private.subject_types OWNER TO payments_owner;

COMMENT ON TABLE payments_private.subject_types IS 'The billing subjects an application has besides its users, and what is asked for a user''s own.';

COMMENT ON COLUMN payments_private.subject_types.members IS 'The membership table or view; null where the application registered a function of its own.';

COMMENT ON COLUMN payments_private.subject_types.lookup IS 'That function, by its quoted name: a regprocedure would be in the way of pg_upgrade.';

CREATE FUNCTION payments_private.present_lookup(p_type payments_private.subject_types) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.present_lookup(p_type payments_private.subject_types) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.present_lookup(p_type payments_private.subject_types) IS 'Returns the body of a subject type''s lookup as this version writes it; null where the table or a column is gone.';

CREATE FUNCTION payments_private.project_account(p_environment text, p_account_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_account(p_environment text, p_account_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_account(p_environment text, p_account_id text) IS 'Computes an account''s row of payments.accounts; leaves alone which subject owns it.';

CREATE FUNCTION payments_private.project_accounts(p_environment text, p_account text, p_object_type text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_accounts(p_environment text, p_account text, p_object_type text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_accounts(p_environment text, p_account text, p_object_type text, p_ids text[]) IS 'Computes the rows that account and application objects tell of: an account tells of itself, the platform of all.';

CREATE FUNCTION payments_private.project_bill(p_environment text, p_account text, p_group payments_private.payment_facts[], p_stored payments.transactions[]) RETURNS text[]
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.project_bill(p_environment text, p_account text, p_group payments_private.payment_facts[], p_stored payments.transactions[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_bill(p_environment text, p_account text, p_group payments_private.payment_facts[], p_stored payments.transactions[]) IS 'Computes payments.transactions for one bill of a group, given what there is; returns which rows there are now (type:id).';

CREATE FUNCTION payments_private.project_changes(p_environment text, p_account text, p_others text[], p_customers text[], p_subjects text[], p_claimed text[], p_subscriptions text[], p_sessions text[], p_groups text[]) RETURNS void
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.project_changes(p_environment text, p_account text, p_others text[], p_customers text[], p_subjects text[], p_claimed text[], p_subscriptions text[], p_sessions text[], p_groups text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_changes(p_environment text, p_account text, p_others text[], p_customers text[], p_subjects text[], p_claimed text[], p_subscriptions text[], p_sessions text[], p_groups text[]) IS 'Computes what depends on stored objects that changed. p_others: type:id of what has rows of its own and nothing that depends on it; p_subjects: whose customer mapping; p_claimed: customers that stand for another subject than before; p_groups: whose payments; each null for none.';

CREATE FUNCTION payments_private.project_checkout_sessions(p_environment text, p_account text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_checkout_sessions(p_environment text, p_account text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_checkout_sessions(p_environment text, p_account text, p_ids text[]) IS 'Brings the checkout attempts behind the given Stripe session ids up to date.';

CREATE FUNCTION payments_private.project_customer_mappings(p_environment text, p_account text, p_subject_keys text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_customer_mappings(p_environment text, p_account text, p_subject_keys text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_customer_mappings(p_environment text, p_account text, p_subject_keys text[]) IS 'Computes payments.customer_mappings for the given subjects.';

CREATE FUNCTION payments_private.project_customers(p_environment text, p_account text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_customers(p_environment text, p_account text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_customers(p_environment text, p_account text, p_ids text[]) IS 'Computes payments.customers for the given customer ids.';

CREATE FUNCTION payments_private.project_group(p_environment text, p_account text, p_group text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_group(p_environment text, p_account text, p_group text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_group(p_environment text, p_account text, p_group text) IS 'Computes payments.transactions for all payments, refunds and disputes of a group.';

CREATE FUNCTION payments_private.project_groups(p_environment text, p_account text, p_groups text[]) RETURNS void
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.project_groups(p_environment text, p_account text, p_groups text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_groups(p_environment text, p_account text, p_groups text[]) IS 'Computes payments.transactions for groups, each once.';

CREATE FUNCTION payments_private.project_many_mappings(p_environment text, p_account text, p_subject_keys text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_many_mappings(p_environment text, p_account text, p_subject_keys text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_many_mappings(p_environment text, p_account text, p_subject_keys text[]) IS 'What project_customer_mappings() does, by a few statements for all of them.';

CREATE FUNCTION payments_private.project_methods_of_customers(p_environment text, p_account text, p_customers text[]) RETURNS void
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.project_methods_of_customers(p_environment text, p_account text, p_customers text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_methods_of_customers(p_environment text, p_account text, p_customers text[]) IS 'Computes the payment methods of the given customers again.';

CREATE FUNCTION payments_private.project_objects(p_environment text, p_account text, p_object_type text, p_ids text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_objects(p_environment text, p_account text, p_object_type text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_objects(p_environment text, p_account text, p_object_type text, p_ids text[]) IS 'Computes the rows of stored objects of one type. Returns the ids of those whose payments are to be computed again.';

CREATE FUNCTION payments_private.project_payment_methods(p_environment text, p_account text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_payment_methods(p_environment text, p_account text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_payment_methods(p_environment text, p_account text, p_ids text[]) IS 'Computes payments.stripe_payment_methods for the given ids.';

CREATE FUNCTION payments_private.project_prices(p_environment text, p_account text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_prices(p_environment text, p_account text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_prices(p_environment text, p_account text, p_ids text[]) IS 'Computes payments.stripe_prices for the given price or plan ids.';

CREATE FUNCTION payments_private.project_products(p_environment text, p_account text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_products(p_environment text, p_account text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_products(p_environment text, p_account text, p_ids text[]) IS 'Computes payments.stripe_products for the given product ids.';

CREATE FUNCTION payments_private.project_references(p_environment text, p_account text, p_references text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_references(p_environment text, p_account text, p_references text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_references(p_environment text, p_account text, p_references text[]) IS 'Computes the rows of stored objects of any types, given as type:id.';

CREATE FUNCTION payments_private.project_subscription_items(p_environment text, p_account text, p_ids text[], p_have_items boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_subscription_items(p_environment text, p_account text, p_ids text[], p_have_items boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_subscription_items(p_environment text, p_account text, p_ids text[], p_have_items boolean) IS 'Computes payments.stripe_subscription_items for the given subscription ids, each once. p_have_items: whether any of them has rows.';

CREATE FUNCTION payments_private.project_subscriptions(p_environment text, p_account text, p_ids text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_subscriptions(p_environment text, p_account text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_subscriptions(p_environment text, p_account text, p_ids text[]) IS 'Computes payments.stripe_subscriptions and their items for the given ids. Returns the ids of those whose subject is another than before: their payments are to be computed again.';

CREATE FUNCTION payments_private.project_transactions(p_environment text, p_account text, p_references text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.project_transactions(p_environment text, p_account text, p_references text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.project_transactions(p_environment text, p_account text, p_references text[]) IS 'Computes payments.transactions for all payments, refunds and disputes in the groups of the given objects (type:id).';

CREATE FUNCTION payments_private.projected_rows(p_environment text, p_account text, p_stage text, p_keys text[]) RETURNS TABLE(projection text, key text, content jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.projected_rows(p_environment text, p_account text, p_stage text, p_keys text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.projected_rows(p_environment text, p_account text, p_stage text, p_keys text[]) IS 'What there is in the tables of a stage, for its keys. Only stage_rows calls it, with its settings of the planner.';

CREATE TABLE payments_private.projections (
    table_name name NOT NULL,
    object_types text[] NOT NULL,
    key_column name NOT NULL,
    object_column name NOT NULL,
    keeps_deleted boolean NOT NULL,
    made_by_callers boolean NOT NULL,
    scope text NOT NULL,
    place bigint NOT NULL
);

ALTER TABLE payments_private.projections OWNER TO payments_owner;

COMMENT ON TABLE payments_private.projections IS 'The tables whose rows are computed from stored objects, as functions/50_projections/ registers them.';

COMMENT ON COLUMN payments_private.projections.object_types IS 'The types of object that account for a row; empty where a row is computed from several.';

COMMENT ON COLUMN payments_private.projections.object_column IS 'The column with the id of the object that accounts for a row: the key, unless one object has several rows.';

COMMENT ON COLUMN payments_private.projections.keeps_deleted IS 'Whether a row stays when its object was deleted.';

COMMENT ON COLUMN payments_private.projections.made_by_callers IS 'Whether the rows are only brought up to date here: they are never removed.';

COMMENT ON COLUMN payments_private.projections.scope IS 'What all rows x of the table have in common, as the beginning of a condition.';

CREATE FUNCTION payments_private.projection_statement(p_projection payments_private.projections, p_template text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.projection_statement(p_projection payments_private.projections, p_template text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.projection_statement(p_projection payments_private.projections, p_template text) IS 'A statement about a projection: %1$I is its table, %2$I its key, %3$I the column with the id of the object that accounts for a row, %4$s what all its rows x have in common, to be followed by further conditions.';

CREATE FUNCTION payments_private.prune_rows(p_environment text, p_account text, p_table text, p_keys text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.prune_rows(p_environment text, p_account text, p_table text, p_keys text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.prune_rows(p_environment text, p_account text, p_table text, p_keys text[]) IS 'Deletes rows that nothing stored accounts for.';

CREATE FUNCTION payments_private.purged_before() RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.purged_before() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.purged_before() IS 'Events that happened earlier than that may have been purged.';

CREATE TABLE payments_private.purged_events (
    environment text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    provider_event_id text NOT NULL,
    event_id uuid NOT NULL,
    processing_status text NOT NULL,
    purged_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE payments_private.purged_events OWNER TO payments_owner;

COMMENT ON TABLE payments_private.purged_events IS 'Events that were settled and then purged from payments.webhook_events. A redelivery is answered from here.';

COMMENT ON COLUMN payments_private.purged_events.event_id IS 'The id that the event had in payments.webhook_events.';

CREATE FUNCTION payments_private.purged_event(p_environment text, p_account text, p_event_id text) RETURNS payments_private.purged_events
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.purged_event(p_environment text, p_account text, p_event_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.purged_event(p_environment text, p_account text, p_event_id text) IS 'What became of an event that is not in the ledger any more; null if it was not purged.';

CREATE FUNCTION payments_private.push_body(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.push_body(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.push_body(p_link payments_private.linked_tables) IS 'Returns the body of push_linked_<n>.';

CREATE FUNCTION payments_private.push_rate(p_environment text) RETURNS double precision
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.push_rate(p_environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.push_rate(p_environment text) IS 'Writes a second that an account is told at most: 25 live, 20 test, or the setting push_rate_<environment>. (Stripe documentation: Rate limits.)';

CREATE FUNCTION payments_private.push_triggers(p_link payments_private.linked_tables) RETURNS TABLE(name text, moment text, condition text)
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.push_triggers(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.push_triggers(p_link payments_private.linked_tables) IS 'The triggers that fill the outbox for a link.';

CREATE FUNCTION payments_private.pushable(p_object_type text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.pushable(p_object_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.pushable(p_object_type text) IS 'Returns the parameters of a type that a column may be pushed to, beside metadata.';

CREATE FUNCTION payments_private.pushed_text(p_value jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.pushed_text(p_value jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.pushed_text(p_value jsonb) IS 'A value as Stripe gives it, as text; null where it is empty.';

CREATE FUNCTION payments_private.quarantine_event(p_environment text, p_event_id text, p_body text, p_sqlstate text, p_message text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.quarantine_event(p_environment text, p_event_id text, p_body text, p_sqlstate text, p_message text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.quarantine_event(p_environment text, p_event_id text, p_body text, p_sqlstate text, p_message text) IS 'Puts a verified event that the ledger does not take into quarantine. Raises what keeps it out of there too.';

CREATE FUNCTION payments_private.queue_thin_events(p_ids uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.queue_thin_events(p_ids uuid[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.queue_thin_events(p_ids uuid[]) IS 'Queues the objects of thin events anew, which are pending or have failed; does nothing for other events.';

CREATE FUNCTION payments_private.raise_if_snapshot_is_too_old(p_sqlstate text, p_schema text, p_message text) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.raise_if_snapshot_is_too_old(p_sqlstate text, p_schema text, p_message text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.raise_if_snapshot_is_too_old(p_sqlstate text, p_schema text, p_message text) IS 'Given an error''s SQLSTATE, schema and message: raises 40001 where it is due to a REPEATABLE READ or SERIALIZABLE transaction.';

CREATE FUNCTION payments_private.read_envelope(e payments_private.incoming, p_body text) RETURNS payments_private.incoming
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.read_envelope(e payments_private.incoming, p_body text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.read_envelope(e payments_private.incoming, p_body text) IS 'The event with id, mode and account of a body that jsonb refuses, and the error of that.';

CREATE FUNCTION payments_private.read_event(p_environment text, p_place bigint, p_body text, p_payload jsonb) RETURNS payments_private.incoming
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.read_event(p_environment text, p_place bigint, p_body text, p_payload jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.read_event(p_environment text, p_place bigint, p_body text, p_payload jsonb) IS 'Reads a verified body.';

CREATE FUNCTION payments_private.read_events(p_environment text, p_bodies text[]) RETURNS payments_private.incoming[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.read_events(p_environment text, p_bodies text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.read_events(p_environment text, p_bodies text[]) IS 'Reads verified bodies, in the order of their event ids. Never raises.';

CREATE FUNCTION payments_private.read_group(p_environment text, p_account text, p_group text, OUT members payments_private.payment_facts[], OUT stored payments.transactions[]) RETURNS record
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.read_group(p_environment text, p_account text, p_group text, OUT members payments_private.payment_facts[], OUT stored payments.transactions[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.read_group(p_environment text, p_account text, p_group text, OUT members payments_private.payment_facts[], OUT stored payments.transactions[]) IS 'The members of a group of payments, and the transactions that there are of it.';

CREATE FUNCTION payments_private.read_link(p_target regclass, p_kind text, p_environment text, p_by text, p_match jsonb, p_columns jsonb, p_push jsonb, p_owner text, p_create boolean, p_object_type text, p_account_id text, p_archive boolean) RETURNS payments_private.linked_tables
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.read_link(p_target regclass, p_kind text, p_environment text, p_by text, p_match jsonb, p_columns jsonb, p_push jsonb, p_owner text, p_create boolean, p_object_type text, p_account_id text, p_archive boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.read_link(p_target regclass, p_kind text, p_environment text, p_by text, p_match jsonb, p_columns jsonb, p_push jsonb, p_owner text, p_create boolean, p_object_type text, p_account_id text, p_archive boolean) IS 'Returns what payments.link_table() was asked for, completed. Raises PY001 naming the argument that is wrong.';

CREATE FUNCTION payments_private.read_rate(p_environment text) RETURNS double precision
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.read_rate(p_environment text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.read_rate(p_environment text) IS 'Objects a second that all workers together fetch: 20 as shipped, under the 25 that Stripe allows to a test account and an endpoint.';

CREATE FUNCTION payments_private.reading_or_fail(p_what text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.reading_or_fail(p_what text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.reading_or_fail(p_what text) IS 'What is to be read, or PY001 when there is no such thing.';

CREATE FUNCTION payments_private.reapply_event(p_id uuid) RETURNS TABLE(processing_status text, error text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.reapply_event(p_id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.reapply_event(p_id uuid) IS 'Applies a stored event once more; answers its status and error.';

CREATE FUNCTION payments_private.rebuild_batch(p_environment text, p_after text, p_max integer, p_alone boolean, p_until text DEFAULT NULL::text, OUT next text, OUT objects integer) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.rebuild_batch(p_environment text, p_after text, p_max integer, p_alone boolean, p_until text, OUT next text, OUT objects integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.rebuild_batch(p_environment text, p_after text, p_max integer, p_alone boolean, p_until text, OUT next text, OUT objects integer) IS 'One batch of a rebuild; answers where it is then, null at the end, and how many objects were read. p_alone: the caller has locked the environment.';

CREATE FUNCTION payments_private.rebuild_part(p_environment text, p_account text, p_stage text, p_keys text[], p_after text, p_max integer) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.rebuild_part(p_environment text, p_account text, p_stage text, p_keys text[], p_after text, p_max integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.rebuild_part(p_environment text, p_account text, p_stage text, p_keys text[], p_after text, p_max integer) IS 'Locks what the keys of a stage stand for, and computes it. p_after, p_max: what next_batch() was asked for them.';

CREATE FUNCTION payments_private.rebuild_stages() RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.rebuild_stages() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.rebuild_stages() IS 'What a rebuild does: reads what objects say of payments (keys: their ids), computes rows of their own (ids), payments (references), mappings (subjects), and removes rows that nothing stored accounts for (the rows'' keys).';

CREATE FUNCTION payments_private.references_of(p_object_type text, p_data jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.references_of(p_object_type text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.references_of(p_object_type text, p_data jsonb) IS 'The objects that an object refers to, as far as payments are concerned, as type:id; one may be named twice.';

CREATE FUNCTION payments_private.references_of_invoice(p_data jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.references_of_invoice(p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.references_of_invoice(p_data jsonb) IS 'The objects that an invoice refers to, as type:id.';

CREATE FUNCTION payments_private.refill_anchor(p_anchor payments_private.object_anchors, p_object_type text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refill_anchor(p_anchor payments_private.object_anchors, p_object_type text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refill_anchor(p_anchor payments_private.object_anchors, p_object_type text, p_ids text[]) IS 'Copies stored objects of a type to one anchor and fills the rows that are linked to them there.';

CREATE FUNCTION payments_private.refill_linked_rows(p_environment text, p_account text, p_object_type text, p_ids text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refill_linked_rows(p_environment text, p_account text, p_object_type text, p_ids text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refill_linked_rows(p_environment text, p_account text, p_object_type text, p_ids text[]) IS 'Copies stored objects to their anchor and fills the rows that are linked to them. The caller holds the locks of the objects.';

CREATE FUNCTION payments_private.refund_facts(p_data jsonb, o payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refund_facts(p_data jsonb, o payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refund_facts(p_data jsonb, o payments_private.payment_facts) IS 'What a refund says.';

CREATE FUNCTION payments_private.refund_or_dispute_row(p_environment text, p_account text, p_object payments_private.payment_facts, p_payment payments.transactions, p_released boolean) RETURNS payments.transactions
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refund_or_dispute_row(p_environment text, p_account text, p_object payments_private.payment_facts, p_payment payments.transactions, p_released boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refund_or_dispute_row(p_environment text, p_account text, p_object payments_private.payment_facts, p_payment payments.transactions, p_released boolean) IS 'The transaction of a refund or dispute, given that of its payment, if there is one.';

CREATE FUNCTION payments_private.refuse(p_field text, p_problem text, p_hint text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refuse(p_field text, p_problem text, p_hint text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refuse(p_field text, p_problem text, p_hint text) IS 'Raises PY001 for a field.';

CREATE FUNCTION payments_private.refuse_change_of_audit_log() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refuse_change_of_audit_log() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refuse_change_of_audit_log() IS 'Raises PY006: rows of the audit log neither change nor go.';

CREATE FUNCTION payments_private.refuse_deauthorized(p_environment text, p_account text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refuse_deauthorized(p_environment text, p_account text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refuse_deauthorized(p_environment text, p_account text) IS 'Raises PY006 for an account that has withdrawn its access.';

CREATE FUNCTION payments_private.refuse_link(p_link integer, p_target text, p_object_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refuse_link(p_link integer, p_target text, p_object_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refuse_link(p_link integer, p_target text, p_object_id text) IS 'Raises PY011 for an id that no stored object of the caller''s has.';

CREATE FUNCTION payments_private.refuse_linked_value(p_target text, p_column text, p_value text, p_object_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refuse_linked_value(p_target text, p_column text, p_value text, p_object_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refuse_linked_value(p_target text, p_column text, p_value text, p_object_id text) IS 'Raises PY010 for a value that does not stand in the object store.';

CREATE FUNCTION payments_private.refuse_signature(p_reason text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refuse_signature(p_reason text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refuse_signature(p_reason text) IS 'Raises PY015.';

CREATE FUNCTION payments_private.refuse_to_wait(p_what text, p_pids integer[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.refuse_to_wait(p_what text, p_pids integer[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.refuse_to_wait(p_what text, p_pids integer[]) IS 'Raises 55P03 and names the sessions that hold the lock: pid, user, application.';

CREATE FUNCTION payments_private.register_projection(p_table text, p_object_types text[], p_key text, p_object_key text DEFAULT NULL::text, p_keeps_deleted boolean DEFAULT false, p_made_by_callers boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.register_projection(p_table text, p_object_types text[], p_key text, p_object_key text, p_keeps_deleted boolean, p_made_by_callers boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.register_projection(p_table text, p_object_types text[], p_key text, p_object_key text, p_keeps_deleted boolean, p_made_by_callers boolean) IS 'Registers a table of schema payments as a projection; called by functions/ whenever these are loaded.';

CREATE FUNCTION payments_private.related_ids(p_environment text, p_account text, p_row payments.transactions, p_charge payments_private.payment_facts, p_invoice payments_private.payment_facts, p_session payments_private.payment_facts, p_subscription text) RETURNS jsonb
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.related_ids(p_environment text, p_account text, p_row payments.transactions, p_charge payments_private.payment_facts, p_invoice payments_private.payment_facts, p_session payments_private.payment_facts, p_subscription text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.related_ids(p_environment text, p_account text, p_row payments.transactions, p_charge payments_private.payment_facts, p_invoice payments_private.payment_facts, p_session payments_private.payment_facts, p_subscription text) IS 'What belongs to a payment, for related_object_ids.';

CREATE FUNCTION payments_private.renew_part(p_kind text, p_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning';

ALTER FUNCTION payments_private.renew_part(p_kind text, p_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.renew_part(p_kind text, p_id text) IS 'Writes the functions and triggers of a link, or a subject type''s lookup, as this version has them. Locks a linked table only where one of its triggers differs. Called as payments_owner; raises 42501 for who may not act as the owner.';

CREATE FUNCTION payments_private.repeated_objects(p_snapshots payments_private.snapshot[], OUT carry boolean[], OUT more boolean[]) RETURNS record
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.repeated_objects(p_snapshots payments_private.snapshot[], OUT carry boolean[], OUT more boolean[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.repeated_objects(p_snapshots payments_private.snapshot[], OUT carry boolean[], OUT more boolean[]) IS 'For each snapshot whether there are others of its object here (carry), and whether others of its second follow (more), as for store_snapshot; null where no object has several.';

CREATE FUNCTION payments_private.reproject(p_environment text, p_account text, p_stage text, p_keys text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.reproject(p_environment text, p_account text, p_stage text, p_keys text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.reproject(p_environment text, p_account text, p_stage text, p_keys text[]) IS 'Computes what the keys of a stage stand for.';

CREATE FUNCTION payments_private.reproject_customer(p_environment text, p_account text, p_customer_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.reproject_customer(p_environment text, p_account text, p_customer_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.reproject_customer(p_environment text, p_account text, p_customer_id text) IS 'Computes the subscriptions and transactions of a customer again.';

CREATE FUNCTION payments_private.request_of(p_id uuid) RETURNS TABLE(id uuid, environment text, account_id text, method text, path text, parameters jsonb, idempotency_key text, search text, creates boolean)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.request_of(p_id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.request_of(p_id uuid) IS 'Returns what a claimed push asks of Stripe, as payments.claim_pushes() does.';

CREATE FUNCTION payments_private.rest_of_bill(p_environment text, p_account text, p_bill payments_private.payment_facts, p_paid bigint, p_heir integer, p_group payments_private.payment_facts[]) RETURNS payments.transactions
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.rest_of_bill(p_environment text, p_account text, p_bill payments_private.payment_facts, p_paid bigint, p_heir integer, p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.rest_of_bill(p_environment text, p_account text, p_bill payments_private.payment_facts, p_paid bigint, p_heir integer, p_group payments_private.payment_facts[]) IS 'The payment of an invoice or session outside of its intents, which paid so much; null if there is none.';

CREATE FUNCTION payments_private.retry_event(p_id uuid, p_due timestamp with time zone) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.retry_event(p_id uuid, p_due timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.retry_event(p_id uuid, p_due timestamp with time zone) IS 'Applies a failed event again; false if its objects are locked or it is not due any more.';

CREATE FUNCTION payments_private.retry_stashed_event(p_environment text, p_event_id text, p_body text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.retry_stashed_event(p_environment text, p_event_id text, p_body text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.retry_stashed_event(p_environment text, p_event_id text, p_body text) IS 'Ingests an event from quarantine again; it leaves once the ledger says what became of it.';

CREATE FUNCTION payments_private.row_key(p_columns name[], p_row jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.row_key(p_columns name[], p_row jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.row_key(p_columns name[], p_row jsonb) IS 'Returns the primary key of a row, as an object.';

CREATE FUNCTION payments_private.row_kind(p_stored jsonb, p_expected jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.row_kind(p_stored jsonb, p_expected jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.row_kind(p_stored jsonb, p_expected jsonb) IS 'What is wrong with a row of a projection.';

CREATE FUNCTION payments_private.rows_about(p_target regclass) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.rows_about(p_target regclass) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.rows_about(p_target regclass) IS 'Returns about how many rows a table has, without reading it.';

CREATE FUNCTION payments_private.rows_to_prune(p_environment text, p_table text, p_after text, p_max integer) RETURNS TABLE(key text, account_id text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.rows_to_prune(p_environment text, p_table text, p_after text, p_max integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.rows_to_prune(p_environment text, p_table text, p_after text, p_max integer) IS 'Keys and accounts of the rows of a projection that nothing stored accounts for; all accounts'' of the last key.';

CREATE FUNCTION payments_private.run_as_owner(p_thing text, p_owner name, p_statements text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.run_as_owner(p_thing text, p_owner name, p_statements text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.run_as_owner(p_thing text, p_owner name, p_statements text[]) IS 'Runs statements as the owner of an application''s table, then acts as payments_owner again. Raises 42501 where the session may not act as that owner.';

CREATE FUNCTION payments_private.runs_as_owner(p_members regclass, p_owner name, p_condition text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.runs_as_owner(p_members regclass, p_owner name, p_condition text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.runs_as_owner(p_members regclass, p_owner name, p_condition text) IS 'Whether reading a membership table runs what its owner wrote: a view, a generated column, or functions that the filter calls.';

CREATE FUNCTION payments_private.same_answer(p_event payments_private.incoming, p_before payments_private.incoming) RETURNS payments_private.incoming
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.same_answer(p_event payments_private.incoming, p_before payments_private.incoming) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.same_answer(p_event payments_private.incoming, p_before payments_private.incoming) IS 'What became of an event that is in a batch twice.';

CREATE FUNCTION payments_private.same_second_data(p_candidate payments_private.same_second_snapshots) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.same_second_data(p_candidate payments_private.same_second_snapshots) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.same_second_data(p_candidate payments_private.same_second_snapshots) IS 'The object as one of several snapshots of a second shows it.';

CREATE FUNCTION payments_private.save_link(p_link payments_private.linked_tables) RETURNS payments_private.linked_tables
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.save_link(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.save_link(p_link payments_private.linked_tables) IS 'Stores a link. Raises PY001 where two links would share a column. The caller holds the lock of links.';

CREATE FUNCTION payments_private.search_delay() RETURNS interval
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.search_delay() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.search_delay() IS 'How long after a request Stripe''s search surely shows what it made; the setting search_delay, or 90 seconds.';

CREATE FUNCTION payments_private.sells_directly(p_environment text, p_account text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER COST 10000
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.sells_directly(p_environment text, p_account text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.sells_directly(p_environment text, p_account text) IS 'Whether charges for a connected account are made on it, so that payers are its customers.';

CREATE FUNCTION payments_private.set_for_logins(p_setting text, p_values text[], p_below_ms integer DEFAULT NULL::integer) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.set_for_logins(p_setting text, p_values text[], p_below_ms integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.set_for_logins(p_setting text, p_values text[], p_below_ms integer) IS 'Which logins of payments_service, or the whole database, have a setting at one of these values, or at a time limit below so many milliseconds; null for none.';

CREATE FUNCTION payments_private.settle_same_seconds(p_events uuid[], p_until timestamp with time zone) RETURNS uuid[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.settle_same_seconds(p_events uuid[], p_until timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.settle_same_seconds(p_events uuid[], p_until timestamp with time zone) IS 'Leaves what is stored as the latest of its second; answers the events whose bodies nobody needs any more. Where somebody is at work on an object, waits for it until then.';

CREATE FUNCTION payments_private.settle_terms() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.settle_terms() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.settle_terms() IS 'Writes down under which terms an attempt is sold for a connected account.';

CREATE FUNCTION payments_private.settle_thin_events(p_ids uuid[], p_error text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.settle_thin_events(p_ids uuid[], p_error text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.settle_thin_events(p_ids uuid[], p_error text) IS 'Thin events whose object is in place become processed, or ignored if their full twin was applied meanwhile; with an error they are failed and parked. Where a trigger raises, its event is failed, and retried.';

CREATE FUNCTION payments_private.settled_status(p_amount bigint, p_refunded bigint, p_disputed boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.settled_status(p_amount bigint, p_refunded bigint, p_disputed boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.settled_status(p_amount bigint, p_refunded bigint, p_disputed boolean) IS 'The status of a payment whose money came in.';

CREATE FUNCTION payments_private.shared_bill(p_group payments_private.payment_facts[]) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.shared_bill(p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.shared_bill(p_group payments_private.payment_facts[]) IS 'The first invoice of a group, else its session; null if there is neither.';

CREATE FUNCTION payments_private.shorter_wait(p_setting text, p_callers_limit text) RETURNS integer
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.shorter_wait(p_setting text, p_callers_limit text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.shorter_wait(p_setting text, p_callers_limit text) IS 'Milliseconds that a lock is waited for, given the setting lock_timeout (null: a second) and the caller''s own.';

CREATE FUNCTION payments_private.shows_failure(p_object_type text, p_event_type text, p_data jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.shows_failure(p_object_type text, p_event_type text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.shows_failure(p_object_type text, p_event_type text, p_data jsonb) IS 'Whether the snapshot of a payment object, or the event that carried it, says that an attempt failed.';

CREATE FUNCTION payments_private.size_or_fail(p_size integer, p_field text) RETURNS integer
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.size_or_fail(p_size integer, p_field text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.size_or_fail(p_size integer, p_field text) IS 'The given number; raises PY001 with the name of the field where it is null or less than one.';

CREATE FUNCTION payments_private.snapshots_by_account(p_snapshots payments_private.snapshot[]) RETURNS TABLE(environment text, account_id text, snapshots payments_private.snapshot[])
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.snapshots_by_account(p_snapshots payments_private.snapshot[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.snapshots_by_account(p_snapshots payments_private.snapshot[]) IS 'Snapshots by environment and account, in the order in which these are locked.';

CREATE FUNCTION payments_private.stage_rows(p_environment text, p_account text, p_stage text, p_keys text[]) RETURNS TABLE(projection text, key text, content jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.stage_rows(p_environment text, p_account text, p_stage text, p_keys text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.stage_rows(p_environment text, p_account text, p_stage text, p_keys text[]) IS 'What there is for the keys of a stage.';

CREATE FUNCTION payments_private.stamp_is_believed(p_metadata jsonb) RETURNS boolean
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.stamp_is_believed(p_metadata jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.stamp_is_believed(p_metadata jsonb) IS 'Whether metadata is of this installation, or of nobody in particular, as the merchant writes it, unless allow_stamps(''strict'') was called.';

CREATE FUNCTION payments_private.state_before(p_data jsonb, p_previous jsonb, p_in_metadata boolean DEFAULT false) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.state_before(p_data jsonb, p_previous jsonb, p_in_metadata boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.state_before(p_data jsonb, p_previous jsonb, p_in_metadata boolean) IS 'An object with an event''s previous_attributes laid over it: how it looked before the event.';

CREATE FUNCTION payments_private.statements_of_trigger(p_link payments_private.linked_tables, p_name text, p_definition text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.statements_of_trigger(p_link payments_private.linked_tables, p_name text, p_definition text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.statements_of_trigger(p_link payments_private.linked_tables, p_name text, p_definition text) IS 'Returns the statements that put a trigger on a linked table, firing also where session_replication_role is replica.';

CREATE FUNCTION payments_private.status_without_object(p_environment text, p_payload jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.status_without_object(p_environment text, p_payload jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.status_without_object(p_environment text, p_payload jsonb) IS 'Returns what becomes of an event that carries no object: pending for a thin one, whose object is to be fetched; else ignored.';

CREATE FUNCTION payments_private.store_answers(p_environment text, p_account text, p_objects jsonb, p_observed_at timestamp with time zone, p_key text) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.store_answers(p_environment text, p_account text, p_objects jsonb, p_observed_at timestamp with time zone, p_key text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.store_answers(p_environment text, p_account text, p_objects jsonb, p_observed_at timestamp with time zone, p_key text) IS 'What payments.store_stripe_objects() does. p_key: the idempotency key of the push that was answered, or null.';

CREATE FUNCTION payments_private.store_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) RETURNS text[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.store_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.store_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) IS 'Stores those of a page of which nothing is to be decided, and returns their ids.';

CREATE FUNCTION payments_private.store_snapshot(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_carry boolean, p_more boolean, OUT changed boolean, OUT told boolean, OUT newest payments_private.snapshot, OUT payment_group text) RETURNS record
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.store_snapshot(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_carry boolean, p_more boolean, OUT changed boolean, OUT told boolean, OUT newest payments_private.snapshot, OUT payment_group text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.store_snapshot(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_carry boolean, p_more boolean, OUT changed boolean, OUT told boolean, OUT newest payments_private.snapshot, OUT payment_group text) IS 'Stores a snapshot where it is the newest, and what it says of payments also where it is not. The caller holds the locks.';

CREATE FUNCTION payments_private.stored_snapshot(p_environment text, p_account text, p_object_type text, p_object_id text) RETURNS payments_private.snapshot
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.stored_snapshot(p_environment text, p_account text, p_object_type text, p_object_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.stored_snapshot(p_environment text, p_account text, p_object_type text, p_object_id text) IS 'The stored snapshot of an object with its body, wherever that is kept; null if there is none.';

CREATE FUNCTION payments_private.stripe_path(p_object_type text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.stripe_path(p_object_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.stripe_path(p_object_type text) IS 'Returns the path of a type of object in Stripe''s API.';

CREATE FUNCTION payments_private.stripe_values(p_push jsonb, p_data jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.stripe_values(p_push jsonb, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.stripe_values(p_push jsonb, p_data jsonb) IS 'Returns what Stripe''s object says of the same parameters.';

CREATE FUNCTION payments_private.subject_has_another_object() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.subject_has_another_object() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subject_has_another_object() IS 'Fills the rows of a subject whose customer or subscription may be another now.';

CREATE FUNCTION payments_private.subject_id_in(p_subject_key text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.subject_id_in(p_subject_key text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subject_id_in(p_subject_key text) IS 'The id of a subject written as type:id.';

CREATE FUNCTION payments_private.subject_in(p_account text, p_metadata jsonb) RETURNS text
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.subject_in(p_account text, p_metadata jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subject_in(p_account text, p_metadata jsonb) IS 'The billing subject that the metadata of an account''s object names, as type:id; null where it names none, or none that is believed: see account_is_trusted() and stamp_is_believed().';

CREATE FUNCTION payments_private.subject_keys_of(p_user text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.subject_keys_of(p_user text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subject_keys_of(p_user text) IS 'Generated from payments_private.subject_types: the subjects that a user may bill, as type:id: itself, and those of registered types.';

CREATE FUNCTION payments_private.subject_of_customer(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone DEFAULT NULL::timestamp with time zone) RETURNS text
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.subject_of_customer(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subject_of_customer(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone) IS 'The billing subject that a customer stood for at a time (null: stands for now), as type:id; where nobody had claimed it by then, the first who did.';

CREATE FUNCTION payments_private.subject_type_in(p_subject_key text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.subject_type_in(p_subject_key text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subject_type_in(p_subject_key text) IS 'The type of a subject written as type:id.';

CREATE FUNCTION payments_private.subject_type_or_fail(p_subject_type text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.subject_type_or_fail(p_subject_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subject_type_or_fail(p_subject_type text) IS 'The name of a type that may be registered, or PY001.';

CREATE FUNCTION payments_private.subject_under(p_metadata jsonb, p_prefix text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.subject_under(p_metadata jsonb, p_prefix text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subject_under(p_metadata jsonb, p_prefix text) IS 'The billing subject that metadata names under one prefix, as type:id, or null.';

CREATE FUNCTION payments_private.subjects_claiming(p_environment text, p_account text, p_customer_id text) RETURNS text[]
    LANGUAGE plpgsql STABLE;

ALTER FUNCTION payments_private.subjects_claiming(p_environment text, p_account text, p_customer_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subjects_claiming(p_environment text, p_account text, p_customer_id text) IS 'All that anybody said a customer stands for.';

CREATE FUNCTION payments_private.subscription_facts(p_object_id text, p_refs text[], p_subject text) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.subscription_facts(p_object_id text, p_refs text[], p_subject text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subscription_facts(p_object_id text, p_refs text[], p_subject text) IS 'What facts_after() returns for the first snapshot of a subscription with these references, whose metadata names this subject.';

CREATE FUNCTION payments_private.subscription_in(p_refs text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.subscription_in(p_refs text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.subscription_in(p_refs text[]) IS 'The id of the subscription among references; null where there is none.';

CREATE FUNCTION payments_private.take_bodies_over(p_events uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.take_bodies_over(p_events uuid[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.take_bodies_over(p_events uuid[]) IS 'Stores the bodies of objects whose newest snapshot is one of these events with the objects themselves.';

CREATE FUNCTION payments_private.take_claims_back() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.take_claims_back() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.take_claims_back() IS 'Makes pushes whose claim has ended wait for another worker.';

CREATE FUNCTION payments_private.take_event(p_environment text, p_payload jsonb, p_secret bytea, OUT event_id uuid, OUT status text, OUT duplicate boolean) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.take_event(p_environment text, p_payload jsonb, p_secret bytea, OUT event_id uuid, OUT status text, OUT duplicate boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.take_event(p_environment text, p_payload jsonb, p_secret bytea, OUT event_id uuid, OUT status text, OUT duplicate boolean) IS 'Applies one new event and enters it into the ledger as processed, or says what became of one that is settled; status null, and nothing done, where it is not so simple. p_secret: what lock_secret() returns. Raises what a projection or trigger raises.';

CREATE FUNCTION payments_private.take_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.take_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.take_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[]) IS 'Locks and stores a page and computes what depends on it; answers how many were new or newer.';

CREATE FUNCTION payments_private.take_token(p_environment text, p_account_id text, p_name text, p_rate double precision, p_burst double precision) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.take_token(p_environment text, p_account_id text, p_name text, p_rate double precision, p_burst double precision) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.take_token(p_environment text, p_account_id text, p_name text, p_rate double precision, p_burst double precision) IS 'Takes one request out of an account''s token bucket, which all processes share; false when it is empty. Rate in requests a second.';

CREATE FUNCTION payments_private.target_oid(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.target_oid(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.target_oid(p_link payments_private.linked_tables) IS 'Returns the SQL that finds the oid of a linked table, whatever it is called now; null where it was dropped.';

CREATE FUNCTION payments_private.tell_of_answer() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.tell_of_answer() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.tell_of_answer() IS 'Notifies payments_checkouts of an attempt that has its url, or was refused, if workers ask; of its id alone, for anybody may listen.';

CREATE FUNCTION payments_private.tell_of_object(p_link payments_private.linked_tables, p_key jsonb, p_object_id text, p_direction text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.tell_of_object(p_link payments_private.linked_tables, p_key jsonb, p_object_id text, p_direction text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.tell_of_object(p_link payments_private.linked_tables, p_key jsonb, p_object_id text, p_direction text) IS 'Notifies payments_objects with kind, table, row and object ids and direction (from_stripe, to_stripe); never with values.';

CREATE FUNCTION payments_private.tells_of_payments(p_object_type text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE;

ALTER FUNCTION payments_private.tells_of_payments(p_object_type text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.tells_of_payments(p_object_type text) IS 'Whether objects of this type take part in a row of payments.transactions.';

CREATE FUNCTION payments_private.terms_asked_of_stripe(p_checkout_id uuid) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.terms_asked_of_stripe(p_checkout_id uuid) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.terms_asked_of_stripe(p_checkout_id uuid) IS 'What Stripe is asked for where an attempt is sold for a connected account: a currency, and members of payment_intent_data or subscription_data.';

CREATE FUNCTION payments_private.told_of_customers(p_environment text, p_account text, p_ids text[], OUT subscriptions text[], OUT payments text[]) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET jit TO 'off';

ALTER FUNCTION payments_private.told_of_customers(p_environment text, p_account text, p_ids text[], OUT subscriptions text[], OUT payments text[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.told_of_customers(p_environment text, p_account text, p_ids text[], OUT subscriptions text[], OUT payments text[]) IS 'The ids of the mirrored subscriptions of these customers, and references (type:id) of the payments that they made.';

CREATE FUNCTION payments_private.touch(p_link integer, p_values text[], p_by_id boolean) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.touch(p_link integer, p_values text[], p_by_id boolean) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.touch(p_link integer, p_values text[], p_by_id boolean) IS 'Has rows of a linked table filled anew; returns how many.';

CREATE FUNCTION payments_private.touch_body(p_link payments_private.linked_tables) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.touch_body(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.touch_body(p_link payments_private.linked_tables) IS 'Returns the body of touch_linked_<n>(values text[], by_id boolean).';

CREATE FUNCTION payments_private.touch_by_metadata(p_link integer, p_object_id text, p_data jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.touch_by_metadata(p_link integer, p_object_id text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.touch_by_metadata(p_link integer, p_object_id text, p_data jsonb) IS 'Fills the rows that an object''s metadata names, and those that it named before.';

CREATE FUNCTION payments_private.touch_by_reference(p_link integer, p_object_id text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.touch_by_reference(p_link integer, p_object_id text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.touch_by_reference(p_link integer, p_object_id text) IS 'Fills the rows whose subject or checkout attempt refers to an object that has just been stored.';

CREATE FUNCTION payments_private.transactions_to_prune(p_environment text, p_after text, p_max integer) RETURNS TABLE(key text, account_id text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.transactions_to_prune(p_environment text, p_after text, p_max integer) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.transactions_to_prune(p_environment text, p_after text, p_max integer) IS 'Nodes and accounts of transactions that are told by neither an object of their own nor a reference. Only rows_to_prune calls it, with its settings of the planner.';

CREATE FUNCTION payments_private.trigger_statements(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.trigger_statements(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.trigger_statements(p_link payments_private.linked_tables) IS 'Returns the statements that put the triggers of a link on its table.';

CREATE FUNCTION payments_private.triggers_on_updates() RETURNS SETOF oid
    LANGUAGE sql STABLE;

ALTER FUNCTION payments_private.triggers_on_updates() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.triggers_on_updates() IS 'The triggers of an application on payments.webhook_events that have to see rows change from pending to processed.';

CREATE FUNCTION payments_private.try_event(p_environment text, p_id uuid, p_body text, p_event_id text, p_snapshots payments_private.snapshot[], OUT processing_status text, OUT error text) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.try_event(p_environment text, p_id uuid, p_body text, p_event_id text, p_snapshots payments_private.snapshot[], OUT processing_status text, OUT error text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.try_event(p_environment text, p_id uuid, p_body text, p_event_id text, p_snapshots payments_private.snapshot[], OUT processing_status text, OUT error text) IS 'Applies one ledger row; if that raises, is cancelled or waits too long for a lock, only its effects are undone and the row is marked failed.';

CREATE FUNCTION payments_private.type_of_kind(p_kind text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.type_of_kind(p_kind text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.type_of_kind(p_kind text) IS 'Returns the type of Stripe object that a kind of link is about; null for kind object.';

CREATE FUNCTION payments_private.unclaim_by_hand() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.unclaim_by_hand() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.unclaim_by_hand() IS 'Takes the claim of a mapping that was written by hand back when it is deleted, and computes again what depended on it.';

CREATE FUNCTION payments_private.update_linked_rows(p_environment text, p_account_id text, p_object_type text, p_object_id text, p_data jsonb, p_key text, p_previous jsonb) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.update_linked_rows(p_environment text, p_account_id text, p_object_type text, p_object_id text, p_data jsonb, p_key text, p_previous jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.update_linked_rows(p_environment text, p_account_id text, p_object_type text, p_object_id text, p_data jsonb, p_key text, p_previous jsonb) IS 'Generated from payments_private.linked_tables: keeps the anchor of an object that was stored, and fills the rows that are linked to it. p_key, p_previous: the idempotency key of our request that the event tells of, and what it changed.';

CREATE FUNCTION payments_private.updates_are_watched() RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.updates_are_watched() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.updates_are_watched() IS 'Whether a trigger of an application on payments.webhook_events has to see rows change from pending to processed.';

CREATE FUNCTION payments_private.upsert_claim(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot, p_claims payments_private.customer_claims[]) RETURNS text
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.upsert_claim(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot, p_claims payments_private.customer_claims[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.upsert_claim(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot, p_claims payments_private.customer_claims[]) IS 'Keeps for whom a session, subscription or invoice says that a customer stands. Returns the subject, or an empty text for none, if that is new. p_newest: the snapshot stored now, null if that is the same as before; p_claims: what was claimed of its customer so far.';

CREATE FUNCTION payments_private.upsert_customer_statement(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone, p_subject_key text, p_is_newest boolean, p_is_change boolean, p_claims payments_private.customer_claims[]) RETURNS boolean
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.upsert_customer_statement(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone, p_subject_key text, p_is_newest boolean, p_is_change boolean, p_claims payments_private.customer_claims[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.upsert_customer_statement(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone, p_subject_key text, p_is_newest boolean, p_is_change boolean, p_claims payments_private.customer_claims[]) IS 'Keeps whom a customer''s own metadata named at a time; whether that says anything new. p_is_change: the event says that it changed; null: the customer was read. p_claims: what was claimed so far.';

CREATE FUNCTION payments_private.upsert_invoice_claim(p_environment text, p_account text, p_invoice_id text, p_data jsonb) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.upsert_invoice_claim(p_environment text, p_account text, p_invoice_id text, p_data jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.upsert_invoice_claim(p_environment text, p_account text, p_invoice_id text, p_data jsonb) IS 'Keeps for whom a paid invoice says that its customer stands; the subject, if that is new.';

CREATE FUNCTION payments_private.upsert_own_claim(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot, p_claims payments_private.customer_claims[]) RETURNS text
    LANGUAGE plpgsql;

ALTER FUNCTION payments_private.upsert_own_claim(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot, p_claims payments_private.customer_claims[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.upsert_own_claim(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot, p_claims payments_private.customer_claims[]) IS 'Keeps for whom a customer says itself that it stands. Returns the subject, or an empty text for none, if that is new.';

CREATE FUNCTION payments_private.validation_statements(p_link payments_private.linked_tables) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.validation_statements(p_link payments_private.linked_tables) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.validation_statements(p_link payments_private.linked_tables) IS 'Returns the statements that validate the foreign key of a link, which reads the table while it is used; on a partitioned table also the one that adds its own key.';

CREATE FUNCTION payments_private.wait_for_locks(p_keys bigint[], p_shared bigint[] DEFAULT '{}'::bigint[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.wait_for_locks(p_keys bigint[], p_shared bigint[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.wait_for_locks(p_keys bigint[], p_shared bigint[]) IS 'Takes advisory locks until the transaction ends, and shares others, in the order of their keys. Waits for each as long as lock_timeout says, or else the setting; then raises 55P03.';

CREATE FUNCTION payments_private.wait_for_locks_until(p_deadline timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.wait_for_locks_until(p_deadline timestamp with time zone) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.wait_for_locks_until(p_deadline timestamp with time zone) IS 'From here on a lock is waited for until then, and 10 ms at least; otherwise 55P03 (lock_not_available) is raised.';

CREATE FUNCTION payments_private.wanted_values(l payments_private.linked_tables, p_row jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.wanted_values(l payments_private.linked_tables, p_row jsonb) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.wanted_values(l payments_private.linked_tables, p_row jsonb) IS 'Returns what a row wants Stripe to hold: parameter to text, or to null where it is to be unset. A null of a parameter that Stripe cannot unset says nothing.';

CREATE FUNCTION payments_private.was_taken_later(p_facts payments_private.payment_facts, p_snapshot payments_private.snapshot) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.was_taken_later(p_facts payments_private.payment_facts, p_snapshot payments_private.snapshot) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.was_taken_later(p_facts payments_private.payment_facts, p_snapshot payments_private.snapshot) IS 'Whether a snapshot shows a charge whose money was not taken when it was made: a hold, one that waits for a bank, or one that an event says was captured or succeeded later.';

CREATE FUNCTION payments_private.with_contents(p_snapshots payments_private.snapshot[]) RETURNS payments_private.snapshot[]
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.with_contents(p_snapshots payments_private.snapshot[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.with_contents(p_snapshots payments_private.snapshot[]) IS 'Snapshots, and those that come inside them.';

CREATE FUNCTION payments_private.with_credits(p_rows payments.transactions[], p_group payments_private.payment_facts[]) RETURNS payments.transactions[]
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.with_credits(p_rows payments.transactions[], p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.with_credits(p_rows payments.transactions[], p_group payments_private.payment_facts[]) IS 'The payments of a group with what credit notes say was given back outside of Stripe.';

CREATE FUNCTION payments_private.with_lines_of(p_new payments_private.payment_facts, p_old payments_private.payment_facts) RETURNS payments_private.payment_facts
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.with_lines_of(p_new payments_private.payment_facts, p_old payments_private.payment_facts) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.with_lines_of(p_new payments_private.payment_facts, p_old payments_private.payment_facts) IS 'What an invoice says that shows its first lines only, with what is known of its lines so far: nothing that an earlier list told is lost before the whole list is read.';

CREATE FUNCTION payments_private.with_money(t payments.transactions, p_heir boolean, p_share bigint, p_parts payments_private.payment_facts[], m payments_private.payment_members, o payments_private.payment_outcome) RETURNS payments.transactions
    LANGUAGE plpgsql IMMUTABLE;

ALTER FUNCTION payments_private.with_money(t payments.transactions, p_heir boolean, p_share bigint, p_parts payments_private.payment_facts[], m payments_private.payment_members, o payments_private.payment_outcome) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.with_money(t payments.transactions, p_heir boolean, p_share bigint, p_parts payments_private.payment_facts[], m payments_private.payment_members, o payments_private.payment_outcome) IS 'A payment whose status is known, with its amounts and times. p_heir, p_share: as for payment_row.';

CREATE FUNCTION payments_private.with_row_ids(p_events payments_private.incoming[], p_ids uuid[]) RETURNS payments_private.incoming[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.with_row_ids(p_events payments_private.incoming[], p_ids uuid[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.with_row_ids(p_events payments_private.incoming[], p_ids uuid[]) IS 'Events with the ids of the rows that they were just given, in their order; an event that comes twice has the first one''s.';

CREATE FUNCTION payments_private.with_shared_bills(p_bills text[], p_group payments_private.payment_facts[]) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.with_shared_bills(p_bills text[], p_group payments_private.payment_facts[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.with_shared_bills(p_bills text[], p_group payments_private.payment_facts[]) IS 'The bills of the members of a group, those as one that an intent is tied to.';

CREATE FUNCTION payments_private.worker_asks() RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.worker_asks() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.worker_asks() IS 'Whether workers ask Stripe for attempts.';

CREATE FUNCTION payments_private.write_links_anew() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.write_links_anew() OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.write_links_anew() IS 'Writes what is payments_owner''s for all links again, as the functions that were just loaded have it: trigger functions, but for tables whose linked columns are gone, what an event calls, and triggers on our own tables, which are locked only where these change.';

CREATE FUNCTION payments_private.write_lookup(p_subject_type text, p_thing text, p_owner name, p_body text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.write_lookup(p_subject_type text, p_thing text, p_owner name, p_body text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.write_lookup(p_subject_type text, p_thing text, p_owner name, p_body text) IS 'Makes the lookup of a subject type, which belongs to the owner of what it asks.';

CREATE FUNCTION payments_private.write_transaction(p_row payments.transactions, p_stored payments.transactions[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.write_transaction(p_row payments.transactions, p_stored payments.transactions[]) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.write_transaction(p_row payments.transactions, p_stored payments.transactions[]) IS 'Stores a transaction, given those that are stored of its group.';

CREATE FUNCTION payments_private.wrong_link(p_field text, p_what text, p_hint text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp';

ALTER FUNCTION payments_private.wrong_link(p_field text, p_what text, p_hint text) OWNER TO payments_owner;

COMMENT ON FUNCTION payments_private.wrong_link(p_field text, p_what text, p_hint text) IS 'Raises PY001 for a wrong use of payments.link_table().';

CREATE VIEW payments_private.transactions_of_own_accounts WITH (security_barrier='true') AS
 SELECT id,
    environment,
    account_id,
    type,
    status,
    provider_object_type,
    provider_object_id,
    provider_parent_object_type,
    provider_parent_object_id,
    amount,
    amount_refunded,
    currency,
    description,
    paid_at,
    failed_at,
    refunded_at,
    provider_created_at
   FROM (payments_private.current_accounts() a(environment, account_id)
     JOIN payments.transactions t ON (((account_id = account_id) AND (environment = environment))));

ALTER VIEW payments_private.transactions_of_own_accounts OWNER TO payments_owner;

COMMENT ON VIEW payments_private.transactions_of_own_accounts IS 'The payments of the accounts that the caller''s subjects own; users reach it through payments.account_transactions only.';

CREATE VIEW payments.account_transactions WITH (security_invoker='true') AS
 SELECT id,
    environment,
    account_id,
    type,
    status,
    provider_object_type,
    provider_object_id,
    provider_parent_object_type,
    provider_parent_object_id,
    amount,
    amount_refunded,
    currency,
    description,
    paid_at,
    failed_at,
    refunded_at,
    provider_created_at
   FROM payments_private.transactions_of_own_accounts t;

ALTER VIEW payments.account_transactions OWNER TO payments_owner;

COMMENT ON VIEW payments.account_transactions IS 'Payments, refunds and disputes of the accounts that the caller''s subjects own, once open_to_users(''account_transactions'') was called.';

COMMENT ON COLUMN payments.account_transactions.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.account_transactions.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.account_transactions.account_id IS 'Stripe''s id of the account (acct_…).';

COMMENT ON COLUMN payments.account_transactions.type IS 'What kind of payment, refund or dispute it is.';

COMMENT ON COLUMN payments.account_transactions.status IS 'Where it stands.';

COMMENT ON COLUMN payments.account_transactions.provider_object_type IS 'The type of Stripe''s object that the row tells of.';

COMMENT ON COLUMN payments.account_transactions.provider_object_id IS 'Stripe''s id of that object.';

COMMENT ON COLUMN payments.account_transactions.provider_parent_object_type IS 'The type of what a refund or dispute is of.';

COMMENT ON COLUMN payments.account_transactions.provider_parent_object_id IS 'Stripe''s id of what a refund or dispute is of.';

COMMENT ON COLUMN payments.account_transactions.amount IS 'In minor units of the currency.';

COMMENT ON COLUMN payments.account_transactions.amount_refunded IS 'What of the amount was given back, in minor units.';

COMMENT ON COLUMN payments.account_transactions.currency IS 'Three letters, lower case.';

COMMENT ON COLUMN payments.account_transactions.description IS 'As Stripe has it.';

COMMENT ON COLUMN payments.account_transactions.paid_at IS 'When it was paid.';

COMMENT ON COLUMN payments.account_transactions.failed_at IS 'When it failed.';

COMMENT ON COLUMN payments.account_transactions.refunded_at IS 'When it was given back last.';

COMMENT ON COLUMN payments.account_transactions.provider_created_at IS 'When Stripe made the object.';

CREATE TABLE payments.audit_log (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    source text NOT NULL,
    action text NOT NULL,
    target text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL
);

ALTER TABLE payments.audit_log OWNER TO payments_owner;

COMMENT ON TABLE payments.audit_log IS 'Who did what, when and from where. Rows are added by the package and never change.';

COMMENT ON COLUMN payments.audit_log.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.audit_log.at IS 'When it was done.';

COMMENT ON COLUMN payments.audit_log.actor IS 'The database session''s user, and the caller''s own name where it has one.';

COMMENT ON COLUMN payments.audit_log.source IS 'Where it was done: sql, dashboard or http with the address of the caller.';

COMMENT ON COLUMN payments.audit_log.action IS 'What was done, as the dashboard and the functions call it.';

COMMENT ON COLUMN payments.audit_log.target IS 'To what: an id, a table, an environment.';

COMMENT ON COLUMN payments.audit_log.detail IS 'What else there is to say of it; never a secret.';

CREATE TABLE payments.customer_mappings (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider text DEFAULT 'stripe'::text NOT NULL,
    environment text NOT NULL,
    account_id text,
    subject_type text NOT NULL,
    subject_id text NOT NULL,
    subject_key text GENERATED ALWAYS AS (((subject_type || ':'::text) || subject_id)) STORED NOT NULL,
    provider_customer_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT provider_is_known CHECK ((provider = 'stripe'::text)),
    CONSTRAINT subject_id_is_given CHECK ((subject_id <> ''::text)),
    CONSTRAINT subject_type_is_an_identifier CHECK ((subject_type ~ '^[a-z][a-z0-9_]*$'::text))
);

ALTER TABLE payments.customer_mappings OWNER TO payments_owner;

COMMENT ON TABLE payments.customer_mappings IS 'The Stripe customer that stands for a billing subject: mapped by hand, or else by its own metadata, or else the first that a session or subscription claimed.';

COMMENT ON COLUMN payments.customer_mappings.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.customer_mappings.provider IS 'stripe.';

COMMENT ON COLUMN payments.customer_mappings.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.customer_mappings.account_id IS 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.customer_mappings.subject_type IS 'The kind of billing subject: user, or one that was registered; null for nobody''s.';

COMMENT ON COLUMN payments.customer_mappings.subject_id IS 'The billing subject''s id, in the application''s own terms.';

COMMENT ON COLUMN payments.customer_mappings.subject_key IS 'subject_type:subject_id, in one column for lookups.';

COMMENT ON COLUMN payments.customer_mappings.provider_customer_id IS 'Stripe''s customer (cus_…), or the account that pays (acct_…).';

COMMENT ON COLUMN payments.customer_mappings.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.customer_mappings.updated_at IS 'When the row last changed here.';

CREATE TABLE payments.customers (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    provider text DEFAULT 'stripe'::text NOT NULL,
    environment text NOT NULL,
    account_id text,
    provider_customer_id text NOT NULL,
    email text,
    name text,
    phone text,
    deleted boolean DEFAULT false NOT NULL,
    metadata jsonb,
    provider_created_at timestamp with time zone,
    synced_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT provider_is_known CHECK ((provider = 'stripe'::text))
);

ALTER TABLE payments.customers OWNER TO payments_owner;

COMMENT ON TABLE payments.customers IS 'Mirror of Stripe''s customers; a deleted one keeps its row, marked deleted.';

COMMENT ON COLUMN payments.customers.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.customers.provider IS 'stripe.';

COMMENT ON COLUMN payments.customers.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.customers.account_id IS 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.customers.provider_customer_id IS 'Stripe''s customer (cus_…), or the account that pays (acct_…).';

COMMENT ON COLUMN payments.customers.email IS 'The customer''s e-mail address at Stripe.';

COMMENT ON COLUMN payments.customers.name IS 'The customer''s name at Stripe.';

COMMENT ON COLUMN payments.customers.phone IS 'The customer''s telephone number at Stripe.';

COMMENT ON COLUMN payments.customers.deleted IS 'Whether Stripe says that it was deleted; the row stays.';

COMMENT ON COLUMN payments.customers.metadata IS 'Stripe''s metadata, verbatim.';

COMMENT ON COLUMN payments.customers.provider_created_at IS 'When Stripe made the object.';

COMMENT ON COLUMN payments.customers.synced_at IS 'When Stripe''s object was last told or read, as far as it is stored.';

COMMENT ON COLUMN payments.customers.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.customers.updated_at IS 'When the row last changed here.';

CREATE TABLE payments_private.stashed_events (
    environment text NOT NULL,
    provider_event_id text NOT NULL,
    body text NOT NULL,
    last_error text NOT NULL,
    attempt_count integer DEFAULT 1 NOT NULL,
    next_attempt_at timestamp with time zone,
    parked_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE payments_private.stashed_events OWNER TO payments_owner;

COMMENT ON TABLE payments_private.stashed_events IS 'Verified events that an application''s trigger kept out of payments.webhook_events, to be tried again.';

CREATE VIEW payments.dead_events WITH (security_invoker='true') AS
 SELECT id,
    environment,
    provider_event_id,
    event_type,
    object_type,
    object_id,
    attempt_count,
    last_error,
    received_at,
    parked_at
   FROM payments.webhook_events e
  WHERE (parked_at IS NOT NULL)
UNION ALL
 SELECT NULL::uuid AS id,
    environment,
    provider_event_id,
    NULL::text AS event_type,
    NULL::text AS object_type,
    NULL::text AS object_id,
    attempt_count,
    last_error,
    created_at AS received_at,
    parked_at
   FROM payments_private.stashed_events s
  WHERE (parked_at IS NOT NULL);

ALTER VIEW payments.dead_events OWNER TO payments_owner;

COMMENT ON VIEW payments.dead_events IS 'Events parked after too many attempts, or unreadable as jsonb, or kept out of the ledger by a trigger (id is null). Replay them by hand once the cause is mended.';

COMMENT ON COLUMN payments.dead_events.id IS 'The event''s row in the ledger; null for one that the ledger does not take.';

COMMENT ON COLUMN payments.dead_events.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.dead_events.provider_event_id IS 'Stripe''s id of the event (evt_…).';

COMMENT ON COLUMN payments.dead_events.event_type IS 'Stripe''s name of the event.';

COMMENT ON COLUMN payments.dead_events.object_type IS 'The type of the object that the event tells of.';

COMMENT ON COLUMN payments.dead_events.object_id IS 'The id of the object that the event tells of.';

COMMENT ON COLUMN payments.dead_events.attempt_count IS 'How often it was tried.';

COMMENT ON COLUMN payments.dead_events.last_error IS 'Why the last try failed.';

COMMENT ON COLUMN payments.dead_events.received_at IS 'When it first came.';

COMMENT ON COLUMN payments.dead_events.parked_at IS 'Since when nobody tries it again by itself.';

CREATE VIEW payments.linked_tables WITH (security_invoker='true') AS
 SELECT link_id,
    target,
    kind,
    object_type,
    environment,
    account_id,
    found_by AS by,
    match,
    columns,
    push,
    owner,
    create_at_stripe,
    filled,
    (GREATEST(reltuples, (0)::real))::bigint AS rows,
    ( SELECT count(*) AS count
           FROM payments.outbox o
          WHERE ((link_id = link_id) AND (status = ANY ('{pending,claimed,paused}'::text[])))) AS pending,
    ( SELECT count(*) AS count
           FROM payments.outbox o
          WHERE ((link_id = link_id) AND (status = ANY ('{refused,conflict}'::text[])))) AS refused,
    ( SELECT (now() - min(created_at))
           FROM payments.outbox o
          WHERE ((link_id = link_id) AND (status = ANY ('{pending,claimed,paused}'::text[])))) AS lag
   FROM (payments_private.linked_tables l
     LEFT JOIN pg_class c ON ((oid = (target)::oid)));

ALTER VIEW payments.linked_tables OWNER TO payments_owner;

COMMENT ON VIEW payments.linked_tables IS 'The tables that payments.link_table() has linked: rows is the planner''s estimate, pending and refused count what Stripe is to be told, lag is the age of the oldest of it.';

COMMENT ON COLUMN payments.linked_tables.link_id IS 'The link''s own id.';

COMMENT ON COLUMN payments.linked_tables.target IS 'The application''s table.';

COMMENT ON COLUMN payments.linked_tables.kind IS 'product, customer, subscription, payment or object.';

COMMENT ON COLUMN payments.linked_tables.object_type IS 'Stripe''s name of the type of object.';

COMMENT ON COLUMN payments.linked_tables.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.linked_tables.account_id IS 'Null: links are with the account behind the environment''s key.';

COMMENT ON COLUMN payments.linked_tables.by IS 'How a row finds its object: id, subject, checkout or metadata.';

COMMENT ON COLUMN payments.linked_tables.match IS 'What by needs: names of columns, of the subject type or the metadata key.';

COMMENT ON COLUMN payments.linked_tables.columns IS 'The columns that are filled, as they are called in the table.';

COMMENT ON COLUMN payments.linked_tables.push IS 'Stripe''s fields and the columns they are told from; null: nothing is told.';

COMMENT ON COLUMN payments.linked_tables.owner IS 'Who wins where both sides changed: database, stripe or refuse.';

COMMENT ON COLUMN payments.linked_tables.create_at_stripe IS 'Whether a new row is created at Stripe.';

COMMENT ON COLUMN payments.linked_tables.filled IS 'Whether the rows that were there before have been filled.';

COMMENT ON COLUMN payments.linked_tables.rows IS 'About how many rows the table has, as the planner thinks.';

COMMENT ON COLUMN payments.linked_tables.pending IS 'How many changes wait to be told.';

COMMENT ON COLUMN payments.linked_tables.refused IS 'How many changes Stripe has refused, or are in conflict.';

COMMENT ON COLUMN payments.linked_tables.lag IS 'How long the oldest change has waited to be told.';

CREATE TABLE payments_private.stored_objects (
    environment text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    object_type text NOT NULL,
    object_id text NOT NULL,
    payment_group text COLLATE pg_catalog."C",
    subscription_id text,
    observed_at timestamp with time zone,
    provider_event_id text,
    event_type text,
    deleted boolean DEFAULT false NOT NULL,
    tied boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    facts payments_private.payment_facts,
    data jsonb,
    previous_attributes jsonb
)
WITH (toast_tuple_target='3072', fillfactor='80');
ALTER TABLE ONLY payments_private.stored_objects ALTER COLUMN data SET STORAGE MAIN;

ALTER TABLE payments_private.stored_objects OWNER TO payments_owner;

COMMENT ON TABLE payments_private.stored_objects IS 'The store: one row for each Stripe object that was seen or, in payments, referred to. Read it as payments.stripe_objects.';

COMMENT ON COLUMN payments_private.stored_objects.payment_group IS 'Which payment the object is part of: the reference (type:id) of the intent, else the invoice, else the charge, else the session of it all. An object without a row is in the group of its own reference.';

COMMENT ON COLUMN payments_private.stored_objects.subscription_id IS 'The subscription that an invoice or session refers to.';

COMMENT ON COLUMN payments_private.stored_objects.observed_at IS 'When the object looked like this: the event''s created (whole seconds), or when the API was asked; null while it was only referred to.';

COMMENT ON COLUMN payments_private.stored_objects.provider_event_id IS 'The event that carried this snapshot; null when it came from the API.';

COMMENT ON COLUMN payments_private.stored_objects.deleted IS 'A tombstone: Stripe said the object is deleted. Only a newer snapshot can undo it.';

COMMENT ON COLUMN payments_private.stored_objects.tied IS 'Other snapshots of the same second exist; payments_private.same_second_snapshots has them all.';

COMMENT ON COLUMN payments_private.stored_objects.facts IS 'What the object says of its payment; null for what tells of none.';

COMMENT ON COLUMN payments_private.stored_objects.data IS 'The object exactly as Stripe sent it; null while the ledger has it with the event.';

COMMENT ON COLUMN payments_private.stored_objects.previous_attributes IS 'What the event says was different before it, where the body is kept here.';

CREATE VIEW payments.stripe_objects WITH (security_invoker='true') AS
 SELECT environment,
    NULLIF(account, ''::text) AS account_id,
    object_type,
    object_id,
    COALESCE(data, ( SELECT (payload #> '{data,object}'::text[])
           FROM payments.webhook_events e
          WHERE ((provider = 'stripe'::text) AND (environment = environment) AND (provider_event_id = provider_event_id) AND (NOT (account_id IS DISTINCT FROM NULLIF(account, ''::text)))))) AS data,
    deleted,
    observed_at,
    provider_event_id,
    event_type,
    tied,
    created_at,
    updated_at
   FROM payments_private.stored_objects o
  WHERE (observed_at IS NOT NULL);

ALTER VIEW payments.stripe_objects OWNER TO payments_owner;

COMMENT ON VIEW payments.stripe_objects IS 'The newest known snapshot of each Stripe object, whether an event or the API told of it.';

COMMENT ON COLUMN payments.stripe_objects.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.stripe_objects.account_id IS 'The connected account (acct_…) that the object is of; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.stripe_objects.object_type IS 'Stripe''s name of the type, as in the object''s own "object" field: payment_intent, checkout.session, ….';

COMMENT ON COLUMN payments.stripe_objects.object_id IS 'Stripe''s id of the object.';

COMMENT ON COLUMN payments.stripe_objects.data IS 'The object exactly as Stripe sent it.';

COMMENT ON COLUMN payments.stripe_objects.deleted IS 'A tombstone: Stripe said the object is deleted. Only a newer snapshot can undo it.';

COMMENT ON COLUMN payments.stripe_objects.observed_at IS 'When the object looked like this: the event''s created (whole seconds), or when the API was asked.';

COMMENT ON COLUMN payments.stripe_objects.provider_event_id IS 'The event that carried this snapshot; null when it came from the API.';

COMMENT ON COLUMN payments.stripe_objects.event_type IS 'The event that told the stored state; null where the API did.';

COMMENT ON COLUMN payments.stripe_objects.tied IS 'Other snapshots of the same second exist; payments_private.same_second_snapshots has them all.';

COMMENT ON COLUMN payments.stripe_objects.created_at IS 'When the object was first stored.';

COMMENT ON COLUMN payments.stripe_objects.updated_at IS 'When a newer state was last stored.';

CREATE TABLE payments.stripe_payment_methods (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    account_id text,
    payment_method_id text NOT NULL,
    customer_id text,
    type text,
    brand text,
    last4 text,
    exp_month bigint,
    exp_year bigint,
    is_default boolean DEFAULT false NOT NULL,
    metadata jsonb,
    synced_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
)
WITH (fillfactor='80');

ALTER TABLE payments.stripe_payment_methods OWNER TO payments_owner;

COMMENT ON TABLE payments.stripe_payment_methods IS 'Mirror of Stripe''s payment methods. One that was detached keeps its row, without a customer.';

COMMENT ON COLUMN payments.stripe_payment_methods.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.stripe_payment_methods.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.stripe_payment_methods.account_id IS 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.stripe_payment_methods.payment_method_id IS 'Stripe''s payment method (pm_…).';

COMMENT ON COLUMN payments.stripe_payment_methods.customer_id IS 'Stripe''s customer (cus_…), or the account that pays (acct_…).';

COMMENT ON COLUMN payments.stripe_payment_methods.type IS 'card, sepa_debit, …: Stripe''s own name; brand, last4 and expiry are what its details of that type say.';

COMMENT ON COLUMN payments.stripe_payment_methods.brand IS 'The card''s brand, or the like.';

COMMENT ON COLUMN payments.stripe_payment_methods.last4 IS 'The last four digits.';

COMMENT ON COLUMN payments.stripe_payment_methods.exp_month IS 'The month in which it expires.';

COMMENT ON COLUMN payments.stripe_payment_methods.exp_year IS 'The year in which it expires.';

COMMENT ON COLUMN payments.stripe_payment_methods.is_default IS 'The customer''s invoice_settings.default_payment_method, or its default_source, is this one.';

COMMENT ON COLUMN payments.stripe_payment_methods.metadata IS 'Stripe''s metadata, verbatim.';

COMMENT ON COLUMN payments.stripe_payment_methods.synced_at IS 'When Stripe''s object was last told or read, as far as it is stored.';

COMMENT ON COLUMN payments.stripe_payment_methods.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.stripe_payment_methods.updated_at IS 'When the row last changed here.';

CREATE TABLE payments.stripe_prices (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    account_id text,
    price_id text NOT NULL,
    product_id text,
    active boolean,
    currency text,
    unit_amount bigint,
    unit_amount_decimal text,
    type text,
    lookup_key text,
    billing_scheme text,
    tax_behavior text,
    recurring_interval text,
    recurring_interval_count bigint,
    metadata jsonb,
    synced_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments.stripe_prices OWNER TO payments_owner;

COMMENT ON TABLE payments.stripe_prices IS 'Mirror of Stripe''s prices, and of plans where an account still has them. A deleted price has no row.';

COMMENT ON COLUMN payments.stripe_prices.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.stripe_prices.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.stripe_prices.account_id IS 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.stripe_prices.price_id IS 'Stripe''s price (price_…).';

COMMENT ON COLUMN payments.stripe_prices.product_id IS 'Stripe''s product (prod_…).';

COMMENT ON COLUMN payments.stripe_prices.active IS 'Whether it can be bought now.';

COMMENT ON COLUMN payments.stripe_prices.currency IS 'ISO 4217, in lower case as Stripe writes it.';

COMMENT ON COLUMN payments.stripe_prices.unit_amount IS 'Minor units of currency; null where Stripe gives a fraction or tiers.';

COMMENT ON COLUMN payments.stripe_prices.unit_amount_decimal IS 'Stripe''s decimal string, unrounded.';

COMMENT ON COLUMN payments.stripe_prices.type IS 'one_time or recurring.';

COMMENT ON COLUMN payments.stripe_prices.lookup_key IS 'The account''s own name for the price.';

COMMENT ON COLUMN payments.stripe_prices.billing_scheme IS 'per_unit or tiered.';

COMMENT ON COLUMN payments.stripe_prices.tax_behavior IS 'inclusive, exclusive or unspecified.';

COMMENT ON COLUMN payments.stripe_prices.recurring_interval IS 'day, week, month or year; null for a one-time price.';

COMMENT ON COLUMN payments.stripe_prices.recurring_interval_count IS 'How many intervals a period has.';

COMMENT ON COLUMN payments.stripe_prices.metadata IS 'Stripe''s metadata, verbatim.';

COMMENT ON COLUMN payments.stripe_prices.synced_at IS 'When Stripe''s object was last told or read, as far as it is stored.';

COMMENT ON COLUMN payments.stripe_prices.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.stripe_prices.updated_at IS 'When the row last changed here.';

CREATE TABLE payments.stripe_products (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    account_id text,
    product_id text NOT NULL,
    name text,
    description text,
    active boolean,
    default_price_id text,
    metadata jsonb,
    synced_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments.stripe_products OWNER TO payments_owner;

COMMENT ON TABLE payments.stripe_products IS 'Mirror of Stripe''s products. A deleted product has no row.';

COMMENT ON COLUMN payments.stripe_products.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.stripe_products.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.stripe_products.account_id IS 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.stripe_products.product_id IS 'Stripe''s product (prod_…).';

COMMENT ON COLUMN payments.stripe_products.name IS 'As Stripe shows it to payers.';

COMMENT ON COLUMN payments.stripe_products.description IS 'As Stripe shows it to payers.';

COMMENT ON COLUMN payments.stripe_products.active IS 'Whether it can be bought now.';

COMMENT ON COLUMN payments.stripe_products.default_price_id IS 'The product''s default price (price_…).';

COMMENT ON COLUMN payments.stripe_products.metadata IS 'Stripe''s metadata, verbatim.';

COMMENT ON COLUMN payments.stripe_products.synced_at IS 'The observed_at of the snapshot that the row shows.';

COMMENT ON COLUMN payments.stripe_products.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.stripe_products.updated_at IS 'When the row last changed here.';

CREATE TABLE payments.stripe_subscription_items (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    account_id text,
    subscription_item_id text NOT NULL,
    subscription_id text NOT NULL,
    product_id text,
    price_id text,
    quantity bigint,
    current_period_start timestamp with time zone,
    current_period_end timestamp with time zone,
    metadata jsonb,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments.stripe_subscription_items OWNER TO payments_owner;

COMMENT ON TABLE payments.stripe_subscription_items IS 'The items of each mirrored subscription.';

COMMENT ON COLUMN payments.stripe_subscription_items.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.stripe_subscription_items.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.stripe_subscription_items.account_id IS 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.stripe_subscription_items.subscription_item_id IS 'Stripe''s item (si_…).';

COMMENT ON COLUMN payments.stripe_subscription_items.subscription_id IS 'Stripe''s subscription (sub_…).';

COMMENT ON COLUMN payments.stripe_subscription_items.product_id IS 'Stripe''s product (prod_…).';

COMMENT ON COLUMN payments.stripe_subscription_items.price_id IS 'Stripe''s price (price_…).';

COMMENT ON COLUMN payments.stripe_subscription_items.quantity IS 'How many of the price are subscribed to.';

COMMENT ON COLUMN payments.stripe_subscription_items.current_period_start IS 'When the period that is billed began.';

COMMENT ON COLUMN payments.stripe_subscription_items.current_period_end IS 'When the period that is billed ends.';

COMMENT ON COLUMN payments.stripe_subscription_items.metadata IS 'Stripe''s metadata, verbatim.';

COMMENT ON COLUMN payments.stripe_subscription_items.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.stripe_subscription_items.updated_at IS 'When the row last changed here.';

CREATE TABLE payments.stripe_subscriptions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    account_id text,
    subscription_id text NOT NULL,
    customer_id text,
    subject_type text,
    subject_id text,
    subject_key text GENERATED ALWAYS AS (((subject_type || ':'::text) || subject_id)) STORED,
    status text,
    current_period_start timestamp with time zone,
    current_period_end timestamp with time zone,
    cancel_at_period_end boolean,
    cancel_at timestamp with time zone,
    canceled_at timestamp with time zone,
    trial_start timestamp with time zone,
    trial_end timestamp with time zone,
    latest_invoice_id text,
    metadata jsonb,
    synced_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT subject_is_whole CHECK (((subject_type IS NULL) = (subject_id IS NULL)))
);

ALTER TABLE payments.stripe_subscriptions OWNER TO payments_owner;

COMMENT ON TABLE payments.stripe_subscriptions IS 'Mirror of Stripe''s subscriptions, with the billing subject that pays.';

COMMENT ON COLUMN payments.stripe_subscriptions.id IS 'The row''s own id.';

COMMENT ON COLUMN payments.stripe_subscriptions.environment IS 'test or live: which of Stripe''s modes the row is of.';

COMMENT ON COLUMN payments.stripe_subscriptions.account_id IS 'The connected account (acct_…) that the row is of; null for the account behind the environment''s key.';

COMMENT ON COLUMN payments.stripe_subscriptions.subscription_id IS 'Stripe''s subscription (sub_…).';

COMMENT ON COLUMN payments.stripe_subscriptions.customer_id IS 'Stripe''s customer (cus_…), or the account that pays (acct_…).';

COMMENT ON COLUMN payments.stripe_subscriptions.subject_type IS 'The kind of billing subject: user, or one that was registered; null for nobody''s.';

COMMENT ON COLUMN payments.stripe_subscriptions.subject_id IS 'The billing subject''s id, in the application''s own terms.';

COMMENT ON COLUMN payments.stripe_subscriptions.subject_key IS 'subject_type:subject_id, in one column for lookups.';

COMMENT ON COLUMN payments.stripe_subscriptions.status IS 'Stripe''s: trialing, active, past_due, canceled, unpaid, incomplete, incomplete_expired or paused.';

COMMENT ON COLUMN payments.stripe_subscriptions.current_period_start IS 'The subscription''s own period in older API versions, else the period its items agree on; null where they differ (see the items).';

COMMENT ON COLUMN payments.stripe_subscriptions.current_period_end IS 'When the period that is billed ends.';

COMMENT ON COLUMN payments.stripe_subscriptions.cancel_at_period_end IS 'Whether it ends with the period that is paid for.';

COMMENT ON COLUMN payments.stripe_subscriptions.cancel_at IS 'When it is going to be canceled; null if it is not.';

COMMENT ON COLUMN payments.stripe_subscriptions.canceled_at IS 'When its cancellation was asked for, or happened.';

COMMENT ON COLUMN payments.stripe_subscriptions.trial_start IS 'When its trial began.';

COMMENT ON COLUMN payments.stripe_subscriptions.trial_end IS 'When its trial ends or ended.';

COMMENT ON COLUMN payments.stripe_subscriptions.latest_invoice_id IS 'The last invoice (in_…).';

COMMENT ON COLUMN payments.stripe_subscriptions.metadata IS 'Stripe''s metadata, verbatim.';

COMMENT ON COLUMN payments.stripe_subscriptions.synced_at IS 'When Stripe''s object was last told or read, as far as it is stored.';

COMMENT ON COLUMN payments.stripe_subscriptions.created_at IS 'When the row was made here.';

COMMENT ON COLUMN payments.stripe_subscriptions.updated_at IS 'When the row last changed here.';

CREATE TABLE payments_private.account_keys (
    environment text NOT NULL,
    account_id text NOT NULL,
    secret text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.account_keys OWNER TO payments_owner;

COMMENT ON TABLE payments_private.account_keys IS 'Stripe''s keys of accounts'' own, as Fernet tokens under PAYMENTS_MASTER_KEY, which the database never sees. A token opens for its environment and account only.';

CREATE UNLOGGED TABLE payments_private.changed_hours (
    environment text NOT NULL,
    account text NOT NULL,
    hour timestamp with time zone NOT NULL,
    changed_by xid8 NOT NULL
);

ALTER TABLE payments_private.changed_hours OWNER TO payments_owner;

COMMENT ON TABLE payments_private.changed_hours IS 'Hours whose rows of hourly_volume are not right any more.';

COMMENT ON COLUMN payments_private.changed_hours.changed_by IS 'The transaction that changed it: two that change the same hour have rows of their own and never wait for each other.';

CREATE TABLE payments_private.checkout_terms (
    checkout_id uuid NOT NULL,
    account_id text NOT NULL,
    charge_type text NOT NULL,
    fee_percent numeric(5,2),
    fee_amount bigint,
    currency text,
    on_behalf_of boolean NOT NULL,
    CONSTRAINT charge_type_is_known CHECK ((charge_type = ANY ('{direct,destination}'::text[])))
);

ALTER TABLE payments_private.checkout_terms OWNER TO payments_owner;

COMMENT ON TABLE payments_private.checkout_terms IS 'Under which terms attempts are sold for connected accounts, as payments.register_account() had said when they were begun.';

CREATE TABLE payments_private.clock (
    stands_at timestamp with time zone NOT NULL,
    one_row boolean DEFAULT true NOT NULL,
    CONSTRAINT clock_is_one_row CHECK (one_row)
);

ALTER TABLE payments_private.clock OWNER TO payments_owner;

COMMENT ON TABLE payments_private.clock IS 'Empty in production: the time is the time. A row stops the package''s clock at that moment, for tests.';

CREATE TABLE payments_private.connect_endpoints (
    environment text NOT NULL,
    endpoint_id text NOT NULL,
    url text NOT NULL,
    configured_at timestamp with time zone NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.connect_endpoints OWNER TO payments_owner;

COMMENT ON TABLE payments_private.connect_endpoints IS 'The managed webhook endpoint for what happens in connected accounts, where there is one.';

COMMENT ON COLUMN payments_private.connect_endpoints.environment IS 'test or live: of which of Stripe''s modes it tells.';

COMMENT ON COLUMN payments_private.connect_endpoints.endpoint_id IS 'The endpoint at Stripe (we_…).';

COMMENT ON COLUMN payments_private.connect_endpoints.url IS 'Where it delivers to.';

COMMENT ON COLUMN payments_private.connect_endpoints.configured_at IS 'When it was made.';

CREATE TABLE payments_private.connected_accounts (
    environment text NOT NULL,
    account text NOT NULL,
    since timestamp with time zone NOT NULL,
    swept_at timestamp with time zone,
    synced_at timestamp with time zone,
    last_error text,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.connected_accounts OWNER TO payments_owner;

COMMENT ON TABLE payments_private.connected_accounts IS 'Accounts other than the one behind an environment''s key, as events told of them.';

COMMENT ON COLUMN payments_private.connected_accounts.since IS 'When the first event happened that told of it: what happened before is not looked for.';

COMMENT ON COLUMN payments_private.connected_accounts.swept_at IS 'When a worker last tried to sweep it, and in synced_at to sync it.';

COMMENT ON COLUMN payments_private.connected_accounts.last_error IS 'Why the last try failed, as where its owner has withdrawn the access.';

CREATE UNLOGGED TABLE payments_private.counted_hours (
    environment text NOT NULL,
    account text NOT NULL,
    hour timestamp with time zone NOT NULL
);

ALTER TABLE payments_private.counted_hours OWNER TO payments_owner;

COMMENT ON TABLE payments_private.counted_hours IS 'Hours (UTC) of which hourly_volume says all.';

CREATE TABLE payments_private.dashboard_jobs (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    environment text NOT NULL,
    title text NOT NULL,
    back text NOT NULL,
    status text DEFAULT 'running'::text NOT NULL,
    lines text[] DEFAULT '{}'::text[] NOT NULL,
    begun_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    told_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT status_is_known CHECK ((status = ANY ('{running,done,failed}'::text[])))
);

ALTER TABLE payments_private.dashboard_jobs OWNER TO payments_owner;

COMMENT ON TABLE payments_private.dashboard_jobs IS 'What people began on the dashboard and takes longer than a request; a day''s.';

COMMENT ON COLUMN payments_private.dashboard_jobs.back IS 'The page it was begun on.';

COMMENT ON COLUMN payments_private.dashboard_jobs.lines IS 'What it said, the latest 200 lines.';

COMMENT ON COLUMN payments_private.dashboard_jobs.told_at IS 'When the process that runs it was last heard of: every few seconds, while it runs.';

CREATE TABLE payments_private.ended_sessions (
    id text NOT NULL,
    until timestamp with time zone NOT NULL,
    CONSTRAINT id_is_short CHECK ((length(id) <= 100))
);

ALTER TABLE payments_private.ended_sessions OWNER TO payments_owner;

COMMENT ON TABLE payments_private.ended_sessions IS 'Sessions of the dashboard that were ended before their time, and ways in that were used: their cookies open nothing any more.';

COMMENT ON COLUMN payments_private.ended_sessions.until IS 'When it would have ended by itself; the row is of no use then.';

CREATE UNLOGGED TABLE payments_private.followed_volumes (
    environment text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    begun_by xid8 NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.followed_volumes OWNER TO payments_owner;

COMMENT ON TABLE payments_private.followed_volumes IS 'Whose volume somebody looks at: only for these is it remembered which hours change.';

COMMENT ON COLUMN payments_private.followed_volumes.begun_by IS 'The transaction that entered the row: what began before it ended may not have seen it.';

CREATE UNLOGGED TABLE payments_private.hourly_volume (
    environment text NOT NULL,
    account text NOT NULL,
    hour timestamp with time zone NOT NULL,
    currency text NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    number bigint NOT NULL,
    amount numeric,
    refunded numeric,
    paid numeric
);

ALTER TABLE payments_private.hourly_volume OWNER TO payments_owner;

COMMENT ON TABLE payments_private.hourly_volume IS 'What rows of payments.transactions amount to, by the hour (UTC) in which Stripe made them.';

COMMENT ON COLUMN payments_private.hourly_volume.paid IS 'The amount of those that have paid_at.';

CREATE TABLE payments_private.installation (
    one_row boolean DEFAULT true NOT NULL,
    installation_id text DEFAULT (gen_random_uuid())::text NOT NULL,
    former_ids text[] DEFAULT '{}'::text[] NOT NULL,
    lock_secret bytea DEFAULT sha256(convert_to(((gen_random_uuid())::text || (gen_random_uuid())::text), 'UTF8'::name)) NOT NULL,
    strict_stamps boolean DEFAULT false NOT NULL,
    closed_environments text[] DEFAULT '{}'::text[] NOT NULL,
    price_rule text DEFAULT 'any'::text NOT NULL,
    portal_configurations text[],
    CONSTRAINT environments_are_known CHECK ((closed_environments <@ '{test,live}'::text[])),
    CONSTRAINT id_fits_into_metadata CHECK ((installation_id ~ '^[A-Za-z0-9._:-]{1,100}$'::text)),
    CONSTRAINT installation_is_one_row CHECK (one_row),
    CONSTRAINT price_rule_is_known CHECK ((price_rule = ANY ('{any,mirrored,active}'::text[])))
);

ALTER TABLE payments_private.installation OWNER TO payments_owner;

COMMENT ON TABLE payments_private.installation IS 'This installation: one row, made by the migration.';

COMMENT ON COLUMN payments_private.installation.installation_id IS 'Stamped into the metadata of checkouts as payments_installation, so that two installations on one Stripe account tell their own apart; see payments.name_installation().';

COMMENT ON COLUMN payments_private.installation.former_ids IS 'Ids it had before, whose stamps are still believed.';

COMMENT ON COLUMN payments_private.installation.lock_secret IS 'Keys of advisory locks are derived with it, so that nobody without rights here can know them beforehand.';

COMMENT ON COLUMN payments_private.installation.strict_stamps IS 'Whether metadata without this installation''s stamp is believed to name a subject: see payments.allow_stamps().';

COMMENT ON COLUMN payments_private.installation.closed_environments IS 'Environments in which users and guests begin nothing: see payments.close_environment().';

COMMENT ON COLUMN payments_private.installation.price_rule IS 'Prices that may be asked for: see payments.allow_prices().';

COMMENT ON COLUMN payments_private.installation.portal_configurations IS 'Portal configurations that may be asked for, null for any: see payments.allow_portal_configurations().';

CREATE TABLE payments_private.lock_of_live (
    nothing boolean NOT NULL
);

ALTER TABLE payments_private.lock_of_live OWNER TO payments_owner;

COMMENT ON TABLE payments_private.lock_of_live IS 'Always empty. Locked by who writes to the live environment: ROW SHARE, or EXCLUSIVE by who needs all of it.';

CREATE TABLE payments_private.lock_of_purge (
    nothing boolean NOT NULL
);

ALTER TABLE payments_private.lock_of_purge OWNER TO payments_owner;

COMMENT ON TABLE payments_private.lock_of_purge IS 'Always empty. Locked by who reads what was purged: ROW SHARE, or EXCLUSIVE by who purges.';

CREATE TABLE payments_private.lock_of_test (
    nothing boolean NOT NULL
);

ALTER TABLE payments_private.lock_of_test OWNER TO payments_owner;

COMMENT ON TABLE payments_private.lock_of_test IS 'Always empty. Locked by who writes to the test environment: ROW SHARE, or EXCLUSIVE by who needs all of it.';

CREATE TABLE payments_private.metadata_matches (
    link_id integer NOT NULL,
    value text NOT NULL,
    object_id text NOT NULL,
    settled boolean NOT NULL,
    made_at timestamp with time zone NOT NULL
);

ALTER TABLE payments_private.metadata_matches OWNER TO payments_owner;

COMMENT ON TABLE payments_private.metadata_matches IS 'For links by metadata: which objects name which row. Of several, one that succeeded counts, then the latest made.';

CREATE TABLE payments_private.open_readings (
    what text NOT NULL,
    opened_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT what_is_known CHECK ((what = ANY ('{subscriptions,transactions,account_transactions,catalogue,payment_methods}'::text[])))
);

ALTER TABLE payments_private.open_readings OWNER TO payments_owner;

COMMENT ON TABLE payments_private.open_readings IS 'What payments.open_to_users() has opened; the policies grant it again whenever they are loaded.';

CREATE TABLE payments_private.outbox_state (
    environment text NOT NULL,
    paused_at timestamp with time zone,
    system_identifier text,
    account_id text,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.outbox_state OWNER TO payments_owner;

COMMENT ON TABLE payments_private.outbox_state IS 'Whether pushes are paused, and which database cluster and Stripe account they belong to: a restored copy does not push.';

CREATE TABLE payments_private.provider_secrets (
    environment text NOT NULL,
    name text NOT NULL,
    secret text NOT NULL,
    expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT keys_do_not_expire CHECK (((name <> 'secret_key'::text) OR (expires_at IS NULL))),
    CONSTRAINT name_is_known CHECK (((name = 'secret_key'::text) OR starts_with(name, 'webhook_secret:'::text)))
);

ALTER TABLE payments_private.provider_secrets OWNER TO payments_owner;

COMMENT ON TABLE payments_private.provider_secrets IS 'Secrets of the connection to Stripe, as Fernet tokens under PAYMENTS_MASTER_KEY, which the database never sees.';

COMMENT ON COLUMN payments_private.provider_secrets.name IS 'secret_key, or webhook_secret: and the endpoint''s id at Stripe.';

COMMENT ON COLUMN payments_private.provider_secrets.expires_at IS 'Until when the secret of a former endpoint still counts; null for what is current.';

CREATE TABLE payments_private.rate_buckets (
    environment text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    name text NOT NULL,
    tokens double precision NOT NULL,
    filled_at timestamp with time zone NOT NULL
);

ALTER TABLE payments_private.rate_buckets OWNER TO payments_owner;

COMMENT ON TABLE payments_private.rate_buckets IS 'Requests that may be made of Stripe now, shared by all processes: a token bucket for each account.';

CREATE TABLE payments_private.refresh_queue (
    environment text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    object_type text NOT NULL,
    object_id text NOT NULL,
    reason text NOT NULL,
    queued_at timestamp with time zone DEFAULT now() NOT NULL,
    next_try_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_until timestamp with time zone,
    claimed_by integer,
    asked_again boolean DEFAULT false NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    last_error text,
    event_ids uuid[] DEFAULT '{}'::uuid[] NOT NULL
);

ALTER TABLE payments_private.refresh_queue OWNER TO payments_owner;

COMMENT ON TABLE payments_private.refresh_queue IS 'Objects whose latest state the events could not settle; the API is to be asked.';

COMMENT ON COLUMN payments_private.refresh_queue.next_try_at IS 'When the object may be fetched; infinity where asking again would not help, see last_error.';

COMMENT ON COLUMN payments_private.refresh_queue.claimed_until IS 'Until then a worker is fetching the object.';

COMMENT ON COLUMN payments_private.refresh_queue.claimed_by IS 'The backend of that worker. Where there is none of that number any more, another may fetch the object at once.';

COMMENT ON COLUMN payments_private.refresh_queue.asked_again IS 'It came into doubt again while a worker was fetching it: that answer may be too old.';

COMMENT ON COLUMN payments_private.refresh_queue.event_ids IS 'Thin events that are processed when the object is in place.';

CREATE TABLE payments_private.schedule (
    job text NOT NULL,
    environment text NOT NULL,
    every interval NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_until timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    last_run_at timestamp with time zone,
    last_error text,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.schedule OWNER TO payments_owner;

COMMENT ON TABLE payments_private.schedule IS 'Jobs that workers share out: when each is due, and how its last run ended.';

COMMENT ON COLUMN payments_private.schedule.claimed_until IS 'Until then a worker is at it; when that passes, the worker is believed dead.';

CREATE TABLE payments_private.settings (
    name text NOT NULL,
    value text NOT NULL,
    CONSTRAINT insforge_metadata_is_on_or_off CHECK (((name <> 'insforge_metadata'::text) OR (value = ANY ('{on,off}'::text[])))),
    CONSTRAINT lock_timeout_is_short CHECK (((name <> 'lock_timeout'::text) OR (value ~ '^[1-9][0-9]{0,4}ms$|^[1-9][0-9]?s$'::text))),
    CONSTRAINT setting_is_known CHECK ((name = ANY (ARRAY['metadata_prefix'::text, 'max_attempts'::text, 'allowed_origins'::text, 'lock_timeout'::text, 'synchronous_commit'::text, 'trusted_accounts'::text, 'insforge_metadata'::text, 'bulk_push_rows'::text, 'push_rate_test'::text, 'push_rate_live'::text, 'search_delay'::text, 'read_rate_test'::text, 'read_rate_live'::text, 'worker_checkouts'::text, 'webhook_tolerance'::text]))),
    CONSTRAINT synchronous_commit_is_on_or_inherited CHECK (((name <> 'synchronous_commit'::text) OR (value = ANY ('{on,inherit}'::text[])))),
    CONSTRAINT worker_checkouts_is_on_or_off CHECK (((name <> 'worker_checkouts'::text) OR (value = ANY ('{on,off}'::text[]))))
);

ALTER TABLE payments_private.settings OWNER TO payments_owner;

COMMENT ON TABLE payments_private.settings IS 'metadata_prefix: another prefix of the metadata keys that name a billing subject (payments_ and insforge_ are always read); max_attempts: after how many a failing event is parked; allowed_origins: where checkouts and portals may return to, see payments.allow_origins(); lock_timeout: how long a delivery waits for a lock, as 500ms or 2s, a second if not set; synchronous_commit: inherit lets deliveries commit as the role and the database say, on or unset has them wait for the disk; trusted_accounts: connected accounts (acct_…, separated by commas, or * for all) whose objects may name our billing subjects; insforge_metadata: off leaves out insforge_subject_type and insforge_subject_id, which checkouts stamp beside payments_… for triggers written for InsForge; bulk_push_rows: how many rows a transaction may push unasked; push_rate_test, push_rate_live: writes a second that Stripe is told; search_delay: how soon Stripe''s search shows what was made; read_rate_test, read_rate_live: objects a second that workers fetch; worker_checkouts: whether workers ask Stripe for attempts that plain SQL has begun, as PAYMENTS_WORKER_CHECKOUTS of the last one started says; webhook_tolerance: seconds a signature stays good that SQL verifies, 300 if not set.';

CREATE TABLE payments_private.signing_secrets (
    environment text NOT NULL,
    name text DEFAULT 'endpoint'::text NOT NULL,
    secret text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[]))),
    CONSTRAINT secret_is_a_signing_secret CHECK ((secret ~ '^whsec_[!-~]{16,}$'::text))
);

ALTER TABLE payments_private.signing_secrets OWNER TO payments_owner;

COMMENT ON TABLE payments_private.signing_secrets IS 'Webhook secrets of payments.receive_stripe_webhook(), as they are: SQL has no key to decrypt them with. Nobody but payments_owner reads them.';

CREATE TABLE payments_private.sweeps (
    environment text NOT NULL,
    account text DEFAULT ''::text NOT NULL,
    began_at timestamp with time zone NOT NULL,
    certain_until timestamp with time zone,
    swept_at timestamp with time zone,
    missed_events bigint DEFAULT 0 NOT NULL,
    last_missed_at timestamp with time zone,
    latest_arrival interval,
    latest_arrival_of text,
    gaps integer DEFAULT 0 NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.sweeps OWNER TO payments_owner;

COMMENT ON TABLE payments_private.sweeps IS 'What is known of Stripe''s lists of events: one row an account.';

COMMENT ON COLUMN payments_private.sweeps.began_at IS 'What happened before is not looked for: it was before this installation.';

COMMENT ON COLUMN payments_private.sweeps.certain_until IS 'Everything that happened until then is in the ledger.';

COMMENT ON COLUMN payments_private.sweeps.missed_events IS 'Events that were not delivered and had to be fetched, since the first sweep.';

COMMENT ON COLUMN payments_private.sweeps.latest_arrival IS 'The longest that a delivered event took from happening to arriving, since the first sweep.';

COMMENT ON COLUMN payments_private.sweeps.gaps IS 'How often no sweep was made for longer than Stripe lists events.';

CREATE TABLE payments_private.verifications (
    environment text NOT NULL,
    verified_at timestamp with time zone NOT NULL,
    objects bigint NOT NULL,
    sampled boolean NOT NULL,
    differences jsonb NOT NULL,
    repaired integer NOT NULL,
    CONSTRAINT environment_is_known CHECK ((environment = ANY ('{test,live}'::text[])))
);

ALTER TABLE payments_private.verifications OWNER TO payments_owner;

COMMENT ON TABLE payments_private.verifications IS 'The last comparison of the mirror with Stripe: one row an environment.';

COMMENT ON COLUMN payments_private.verifications.objects IS 'How many objects of Stripe''s were compared.';

COMMENT ON COLUMN payments_private.verifications.differences IS 'How many there were that are not repaired, by kind: missing, stale, extra, different.';

CREATE UNLOGGED TABLE payments_private.wrong_keys (
    who text NOT NULL,
    number integer NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT name_is_short CHECK ((length(who) <= 100))
);

ALTER TABLE payments_private.wrong_keys OWNER TO payments_owner;

COMMENT ON TABLE payments_private.wrong_keys IS 'How often somebody has tried to sign in to the dashboard with a wrong key, for all processes; at most 10,000.';

COMMENT ON COLUMN payments_private.wrong_keys.who IS 'An address, or a browser that has signed in before.';

COMMENT ON COLUMN payments_private.wrong_keys.at IS 'When the last one came.';

ALTER TABLE ONLY payments.accounts
    ADD CONSTRAINT accounts_identity UNIQUE (environment, account_id);

ALTER TABLE ONLY payments.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.customer_mappings
    ADD CONSTRAINT customer_mappings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.customer_mappings
    ADD CONSTRAINT customer_mappings_subject_has_one_customer UNIQUE NULLS NOT DISTINCT (provider, environment, subject_type, subject_id, account_id);

ALTER TABLE ONLY payments.customers
    ADD CONSTRAINT customers_customer_is_mirrored_once UNIQUE NULLS NOT DISTINCT (provider, environment, provider_customer_id, account_id);

ALTER TABLE ONLY payments.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.provider_connections
    ADD CONSTRAINT provider_connections_one_per_environment UNIQUE (provider, environment);

ALTER TABLE ONLY payments.provider_connections
    ADD CONSTRAINT provider_connections_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.stripe_checkout_sessions
    ADD CONSTRAINT stripe_checkout_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.stripe_customer_portal_sessions
    ADD CONSTRAINT stripe_customer_portal_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.stripe_payment_methods
    ADD CONSTRAINT stripe_payment_methods_method_is_mirrored_once UNIQUE NULLS NOT DISTINCT (environment, payment_method_id, account_id);

ALTER TABLE ONLY payments.stripe_payment_methods
    ADD CONSTRAINT stripe_payment_methods_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.stripe_prices
    ADD CONSTRAINT stripe_prices_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.stripe_prices
    ADD CONSTRAINT stripe_prices_price_is_mirrored_once UNIQUE NULLS NOT DISTINCT (environment, price_id, account_id);

ALTER TABLE ONLY payments.stripe_products
    ADD CONSTRAINT stripe_products_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.stripe_products
    ADD CONSTRAINT stripe_products_product_is_mirrored_once UNIQUE NULLS NOT DISTINCT (environment, product_id, account_id);

ALTER TABLE ONLY payments.stripe_subscription_items
    ADD CONSTRAINT stripe_subscription_items_item_is_mirrored_once UNIQUE NULLS NOT DISTINCT (environment, subscription_item_id, account_id);

ALTER TABLE ONLY payments.stripe_subscription_items
    ADD CONSTRAINT stripe_subscription_items_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.stripe_subscriptions
    ADD CONSTRAINT stripe_subscriptions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.stripe_subscriptions
    ADD CONSTRAINT stripe_subscriptions_subscription_is_mirrored_once UNIQUE NULLS NOT DISTINCT (environment, subscription_id, account_id);

ALTER TABLE ONLY payments.transactions
    ADD CONSTRAINT transactions_object_is_told_once UNIQUE NULLS NOT DISTINCT (provider, environment, provider_object_type, provider_object_id, account_id);

ALTER TABLE ONLY payments.transactions
    ADD CONSTRAINT transactions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments.webhook_events
    ADD CONSTRAINT webhook_events_event_is_stored_once UNIQUE NULLS NOT DISTINCT (provider, environment, provider_event_id, account_id);

ALTER TABLE ONLY payments.webhook_events
    ADD CONSTRAINT webhook_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments_private.account_keys
    ADD CONSTRAINT account_keys_pkey PRIMARY KEY (environment, account_id);

ALTER TABLE ONLY payments_private.changed_hours
    ADD CONSTRAINT changed_hours_pkey PRIMARY KEY (environment, account, hour, changed_by);

ALTER TABLE ONLY payments_private.checkout_terms
    ADD CONSTRAINT checkout_terms_pkey PRIMARY KEY (checkout_id);

ALTER TABLE ONLY payments_private.clock
    ADD CONSTRAINT clock_pkey PRIMARY KEY (one_row);

ALTER TABLE ONLY payments_private.connect_endpoints
    ADD CONSTRAINT connect_endpoints_pkey PRIMARY KEY (environment);

ALTER TABLE ONLY payments_private.connected_accounts
    ADD CONSTRAINT connected_accounts_pkey PRIMARY KEY (environment, account);

ALTER TABLE ONLY payments_private.counted_hours
    ADD CONSTRAINT counted_hours_pkey PRIMARY KEY (environment, account, hour);

ALTER TABLE ONLY payments_private.customer_claims
    ADD CONSTRAINT customer_claims_pkey PRIMARY KEY (provider_customer_id, source, claimed_at, environment, account);

ALTER TABLE ONLY payments_private.dashboard_jobs
    ADD CONSTRAINT dashboard_jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments_private.ended_sessions
    ADD CONSTRAINT ended_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY payments_private.followed_volumes
    ADD CONSTRAINT followed_volumes_pkey PRIMARY KEY (environment, account);

ALTER TABLE ONLY payments_private.hourly_volume
    ADD CONSTRAINT hourly_volume_pkey PRIMARY KEY (environment, account, hour, currency, type, status);

ALTER TABLE ONLY payments_private.installation
    ADD CONSTRAINT installation_pkey PRIMARY KEY (one_row);

ALTER TABLE ONLY payments_private.linked_tables
    ADD CONSTRAINT linked_tables_pkey PRIMARY KEY (link_id);

ALTER TABLE ONLY payments_private.lock_of_live
    ADD CONSTRAINT lock_of_live_pkey PRIMARY KEY (nothing);

ALTER TABLE ONLY payments_private.lock_of_purge
    ADD CONSTRAINT lock_of_purge_pkey PRIMARY KEY (nothing);

ALTER TABLE ONLY payments_private.lock_of_test
    ADD CONSTRAINT lock_of_test_pkey PRIMARY KEY (nothing);

ALTER TABLE ONLY payments_private.metadata_matches
    ADD CONSTRAINT metadata_matches_pkey PRIMARY KEY (link_id, object_id);

ALTER TABLE ONLY payments_private.object_anchors
    ADD CONSTRAINT object_anchors_pkey PRIMARY KEY (anchor_id);

ALTER TABLE ONLY payments_private.object_anchors
    ADD CONSTRAINT objects_of_a_type_are_anchored_once UNIQUE NULLS NOT DISTINCT (environment, account_id, object_type);

ALTER TABLE ONLY payments_private.open_readings
    ADD CONSTRAINT open_readings_pkey PRIMARY KEY (what);

ALTER TABLE ONLY payments_private.outbox_state
    ADD CONSTRAINT outbox_state_pkey PRIMARY KEY (environment);

ALTER TABLE ONLY payments_private.projections
    ADD CONSTRAINT projections_pkey PRIMARY KEY (table_name);

ALTER TABLE ONLY payments_private.provider_secrets
    ADD CONSTRAINT provider_secrets_pkey PRIMARY KEY (environment, name);

ALTER TABLE ONLY payments_private.purged_events
    ADD CONSTRAINT purged_events_pkey PRIMARY KEY (environment, provider_event_id, account);

ALTER TABLE ONLY payments_private.rate_buckets
    ADD CONSTRAINT rate_buckets_pkey PRIMARY KEY (environment, account, name);

ALTER TABLE ONLY payments_private.refresh_queue
    ADD CONSTRAINT refresh_queue_pkey PRIMARY KEY (environment, object_type, object_id, account);

ALTER TABLE ONLY payments_private.same_second_snapshots
    ADD CONSTRAINT same_second_snapshots_pkey PRIMARY KEY (environment, object_type, object_id, source, account);

ALTER TABLE ONLY payments_private.schedule
    ADD CONSTRAINT schedule_pkey PRIMARY KEY (job, environment);

ALTER TABLE ONLY payments_private.settings
    ADD CONSTRAINT settings_pkey PRIMARY KEY (name);

ALTER TABLE ONLY payments_private.signing_secrets
    ADD CONSTRAINT signing_secrets_pkey PRIMARY KEY (environment, name);

ALTER TABLE ONLY payments_private.stashed_events
    ADD CONSTRAINT stashed_events_pkey PRIMARY KEY (environment, provider_event_id);

ALTER TABLE ONLY payments_private.stored_objects
    ADD CONSTRAINT stored_objects_pkey PRIMARY KEY (object_id, object_type, environment, account);

ALTER TABLE ONLY payments_private.subject_types
    ADD CONSTRAINT subject_types_pkey PRIMARY KEY (subject_type);

ALTER TABLE ONLY payments_private.sweeps
    ADD CONSTRAINT sweeps_pkey PRIMARY KEY (environment, account);

ALTER TABLE ONLY payments_private.sync_lists
    ADD CONSTRAINT sync_lists_pkey PRIMARY KEY (environment, account, list);

ALTER TABLE ONLY payments_private.sync_ranges
    ADD CONSTRAINT sync_ranges_pkey PRIMARY KEY (range_id);

ALTER TABLE ONLY payments_private.linked_tables
    ADD CONSTRAINT table_is_linked_to_a_type_once UNIQUE NULLS NOT DISTINCT (target, kind, object_type, environment, account_id);

ALTER TABLE ONLY payments_private.verifications
    ADD CONSTRAINT verifications_pkey PRIMARY KEY (environment);

ALTER TABLE ONLY payments_private.wrong_keys
    ADD CONSTRAINT wrong_keys_pkey PRIMARY KEY (who);

CREATE INDEX accounts_subject_idx ON payments.accounts USING btree (subject_key) WHERE (subject_key IS NOT NULL);

CREATE INDEX audit_log_at_idx ON payments.audit_log USING btree (at);

CREATE INDEX audit_log_target_idx ON payments.audit_log USING btree (target, at);

CREATE INDEX customer_mappings_customer_idx ON payments.customer_mappings USING btree (provider_customer_id);

CREATE INDEX customer_mappings_subject_key_idx ON payments.customer_mappings USING btree (subject_key);

CREATE INDEX customers_account_idx ON payments.customers USING btree (account_id, provider_created_at DESC NULLS LAST, id) WHERE (account_id IS NOT NULL);

CREATE INDEX customers_email_idx ON payments.customers USING btree (lower(email)) WHERE (email IS NOT NULL);

CREATE INDEX customers_latest_live_idx ON payments.customers USING btree (provider_created_at DESC NULLS LAST, id) WHERE ((environment = 'live'::text) AND (account_id IS NULL));

CREATE INDEX customers_latest_test_idx ON payments.customers USING btree (provider_created_at DESC NULLS LAST, id) WHERE ((environment = 'test'::text) AND (account_id IS NULL));

CREATE INDEX outbox_account_idx ON payments.outbox USING btree (environment, COALESCE(account_id, ''::text), next_try_at) WHERE (status = 'pending'::text);

CREATE INDEX outbox_claimed_idx ON payments.outbox USING btree (claimed_until) WHERE (status = 'claimed'::text);

CREATE INDEX outbox_creations_idx ON payments.outbox USING btree (link_id) WHERE ((operation = 'create'::text) AND (request IS NOT NULL) AND (object_id IS NULL) AND (status = ANY ('{pending,claimed,paused}'::text[])));

CREATE INDEX outbox_due_idx ON payments.outbox USING btree (next_try_at) WHERE (status = 'pending'::text);

CREATE INDEX outbox_row_idx ON payments.outbox USING btree (target, row_key, created_at);

CREATE UNIQUE INDEX outbox_row_waits_once ON payments.outbox USING btree (link_id, row_key) WHERE (status = ANY ('{pending,paused}'::text[]));

CREATE INDEX outbox_trouble_idx ON payments.outbox USING btree (created_at) WHERE (status = ANY ('{refused,conflict}'::text[]));

CREATE INDEX stripe_checkout_sessions_ask_after_idx ON payments.stripe_checkout_sessions USING btree (ask_after) WHERE (status = 'initialized'::text);

CREATE INDEX stripe_checkout_sessions_guests_idx ON payments.stripe_checkout_sessions USING btree (created_at) WHERE (owner_key ~~ 'guest:%'::text);

CREATE UNIQUE INDEX stripe_checkout_sessions_key_is_used_once_by_its_owner ON payments.stripe_checkout_sessions USING btree (environment, owner_key, idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE INDEX stripe_checkout_sessions_metadata_idx ON payments.stripe_checkout_sessions USING gin (jsonb_path_query_array(metadata, '$.*'::jsonpath) jsonb_path_ops);

CREATE INDEX stripe_checkout_sessions_owner_key_idx ON payments.stripe_checkout_sessions USING btree (owner_key);

CREATE INDEX stripe_checkout_sessions_payment_intent_id_idx ON payments.stripe_checkout_sessions USING btree (payment_intent_id) WHERE (payment_intent_id IS NOT NULL);

CREATE UNIQUE INDEX stripe_checkout_sessions_session_is_ours_once ON payments.stripe_checkout_sessions USING btree (environment, checkout_session_id, account_id) NULLS NOT DISTINCT WHERE (checkout_session_id IS NOT NULL);

CREATE INDEX stripe_checkout_sessions_subject_key_idx ON payments.stripe_checkout_sessions USING btree (subject_key);

CREATE INDEX stripe_checkout_sessions_subscription_id_idx ON payments.stripe_checkout_sessions USING btree (subscription_id) WHERE (subscription_id IS NOT NULL);

CREATE INDEX stripe_customer_portal_sessions_subject_key_idx ON payments.stripe_customer_portal_sessions USING btree (subject_key);

CREATE INDEX stripe_payment_methods_customer_id_idx ON payments.stripe_payment_methods USING btree (customer_id);

CREATE INDEX stripe_prices_product_idx ON payments.stripe_prices USING btree (product_id);

CREATE INDEX stripe_subscription_items_subscription_idx ON payments.stripe_subscription_items USING btree (subscription_id);

CREATE INDEX stripe_subscriptions_account_idx ON payments.stripe_subscriptions USING btree (account_id, created_at DESC, id) WHERE (account_id IS NOT NULL);

CREATE INDEX stripe_subscriptions_customer_idx ON payments.stripe_subscriptions USING btree (customer_id);

CREATE INDEX stripe_subscriptions_latest_live_idx ON payments.stripe_subscriptions USING btree (created_at DESC, id) WHERE ((environment = 'live'::text) AND (account_id IS NULL));

CREATE INDEX stripe_subscriptions_latest_test_idx ON payments.stripe_subscriptions USING btree (created_at DESC, id) WHERE ((environment = 'test'::text) AND (account_id IS NULL));

CREATE INDEX stripe_subscriptions_subject_key_idx ON payments.stripe_subscriptions USING btree (subject_key, ((environment = 'live'::text)), created_at DESC, id);

CREATE INDEX transactions_account_idx ON payments.transactions USING btree (account_id, provider_created_at DESC NULLS LAST, id) WHERE (account_id IS NOT NULL);

CREATE INDEX transactions_customer_idx ON payments.transactions USING btree (provider_customer_id);

CREATE INDEX transactions_email_idx ON payments.transactions USING btree (lower(customer_email_snapshot)) WHERE (customer_email_snapshot IS NOT NULL);

CREATE INDEX transactions_latest_live_idx ON payments.transactions USING btree (provider_created_at DESC NULLS LAST, id) WHERE ((environment = 'live'::text) AND (account_id IS NULL));

CREATE INDEX transactions_latest_test_idx ON payments.transactions USING btree (provider_created_at DESC NULLS LAST, id) WHERE ((environment = 'test'::text) AND (account_id IS NULL));

CREATE INDEX transactions_subject_key_idx ON payments.transactions USING btree (subject_key, ((environment = 'live'::text)), provider_created_at DESC NULLS LAST, id);

CREATE INDEX webhook_events_next_attempt_at_idx ON payments.webhook_events USING btree (environment, next_attempt_at) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX webhook_events_object_id_idx ON payments.webhook_events USING btree (object_id);

CREATE INDEX webhook_events_parked_at_idx ON payments.webhook_events USING btree (parked_at) WHERE (parked_at IS NOT NULL);

CREATE INDEX customer_claims_subject_idx ON payments_private.customer_claims USING btree (subject_type, subject_id, environment, account);

CREATE INDEX linked_tables_anchor_id_idx ON payments_private.linked_tables USING btree (anchor_id);

CREATE INDEX metadata_matches_value_idx ON payments_private.metadata_matches USING btree (link_id, value);

CREATE INDEX refresh_queue_next_try_at_idx ON payments_private.refresh_queue USING btree (next_try_at);

CREATE INDEX stashed_events_next_attempt_at_idx ON payments_private.stashed_events USING btree (environment, next_attempt_at) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX stored_objects_payment_group_idx ON payments_private.stored_objects USING btree (payment_group, environment, account) WHERE (payment_group IS NOT NULL);

CREATE INDEX stored_objects_subscription_idx ON payments_private.stored_objects USING btree (subscription_id, environment, account) WHERE (subscription_id IS NOT NULL);

CREATE INDEX sync_ranges_list_idx ON payments_private.sync_ranges USING btree (environment, account, list);

CREATE INDEX wrong_keys_at_idx ON payments_private.wrong_keys USING btree (at);

CREATE TRIGGER audit_log_only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON payments.audit_log FOR EACH STATEMENT EXECUTE FUNCTION payments_private.refuse_change_of_audit_log();

CREATE TRIGGER await_session BEFORE INSERT ON payments.stripe_checkout_sessions FOR EACH ROW EXECUTE FUNCTION payments_private.await_session();

CREATE TRIGGER claim_by_hand AFTER INSERT OR UPDATE OF provider_customer_id ON payments.customer_mappings FOR EACH ROW EXECUTE FUNCTION payments_private.claim_by_hand();

CREATE TRIGGER enter_thin_event BEFORE INSERT ON payments.webhook_events FOR EACH ROW WHEN (((new.payload ->> 'object'::text) = 'v2.core.event'::text)) EXECUTE FUNCTION payments_private.enter_thin_event();

CREATE TRIGGER note_account AFTER INSERT ON payments.webhook_events FOR EACH ROW WHEN ((new.account_id IS NOT NULL)) EXECUTE FUNCTION payments_private.note_account();

CREATE TRIGGER prepare_checkout BEFORE INSERT ON payments.stripe_checkout_sessions FOR EACH ROW EXECUTE FUNCTION payments_private.prepare_checkout();

CREATE TRIGGER prepare_portal_session BEFORE INSERT ON payments.stripe_customer_portal_sessions FOR EACH ROW EXECUTE FUNCTION payments_private.prepare_portal_session();

CREATE TRIGGER processed_events_are_frozen BEFORE UPDATE ON payments.webhook_events FOR EACH ROW WHEN ((old.processing_status = 'processed'::text)) EXECUTE FUNCTION payments_private.freeze_processed_event();

CREATE TRIGGER settle_terms AFTER INSERT ON payments.stripe_checkout_sessions FOR EACH ROW WHEN ((new.seller_account_id IS NOT NULL)) EXECUTE FUNCTION payments_private.settle_terms();

CREATE TRIGGER tell_of_answer AFTER UPDATE OF status ON payments.stripe_checkout_sessions FOR EACH ROW WHEN (((old.status = 'initialized'::text) AND (new.status <> 'initialized'::text))) EXECUTE FUNCTION payments_private.tell_of_answer();

CREATE TRIGGER unclaim_by_hand AFTER DELETE ON payments.customer_mappings FOR EACH ROW EXECUTE FUNCTION payments_private.unclaim_by_hand();

CREATE TRIGGER volume_follows_changed_rows AFTER UPDATE ON payments.transactions FOR EACH ROW WHEN ((((old.provider_created_at < (now() - '01:00:00'::interval)) OR (new.provider_created_at < (now() - '01:00:00'::interval))) AND ((old.status IS DISTINCT FROM new.status) OR (old.type IS DISTINCT FROM new.type) OR (old.currency IS DISTINCT FROM new.currency) OR (old.amount IS DISTINCT FROM new.amount) OR (old.amount_refunded IS DISTINCT FROM new.amount_refunded) OR ((old.paid_at IS NULL) IS DISTINCT FROM (new.paid_at IS NULL)) OR (old.provider_created_at IS DISTINCT FROM new.provider_created_at) OR (old.environment IS DISTINCT FROM new.environment) OR (old.account_id IS DISTINCT FROM new.account_id)))) EXECUTE FUNCTION payments_private.follow_volume();

ALTER TABLE payments.transactions ENABLE ALWAYS TRIGGER volume_follows_changed_rows;

CREATE TRIGGER volume_follows_deleted_rows AFTER DELETE ON payments.transactions FOR EACH ROW WHEN ((old.provider_created_at < (now() - '01:00:00'::interval))) EXECUTE FUNCTION payments_private.follow_volume();

ALTER TABLE payments.transactions ENABLE ALWAYS TRIGGER volume_follows_deleted_rows;

CREATE TRIGGER volume_follows_new_rows AFTER INSERT ON payments.transactions FOR EACH ROW WHEN ((new.provider_created_at < (now() - '01:00:00'::interval))) EXECUTE FUNCTION payments_private.follow_volume();

ALTER TABLE payments.transactions ENABLE ALWAYS TRIGGER volume_follows_new_rows;

CREATE TRIGGER volume_follows_truncate AFTER TRUNCATE ON payments.transactions FOR EACH STATEMENT EXECUTE FUNCTION payments_private.follow_volume();

ALTER TABLE payments.transactions ENABLE ALWAYS TRIGGER volume_follows_truncate;

CREATE TRIGGER note_refresh BEFORE INSERT ON payments_private.refresh_queue FOR EACH ROW EXECUTE FUNCTION payments_private.note_refresh();

ALTER TABLE ONLY payments_private.account_keys
    ADD CONSTRAINT account_keys_account_fkey FOREIGN KEY (environment, account_id) REFERENCES payments.accounts(environment, account_id) ON DELETE CASCADE;

ALTER TABLE ONLY payments_private.checkout_terms
    ADD CONSTRAINT checkout_terms_checkout_id_fkey FOREIGN KEY (checkout_id) REFERENCES payments.stripe_checkout_sessions(id) ON DELETE CASCADE;

ALTER TABLE ONLY payments_private.linked_tables
    ADD CONSTRAINT linked_tables_anchor_id_fkey FOREIGN KEY (anchor_id) REFERENCES payments_private.object_anchors(anchor_id);

ALTER TABLE ONLY payments_private.metadata_matches
    ADD CONSTRAINT metadata_matches_link_id_fkey FOREIGN KEY (link_id) REFERENCES payments_private.linked_tables(link_id) ON DELETE CASCADE;

ALTER TABLE ONLY payments_private.sync_ranges
    ADD CONSTRAINT sync_ranges_environment_account_list_fkey FOREIGN KEY (environment, account, list) REFERENCES payments_private.sync_lists(environment, account, list) ON DELETE CASCADE;

ALTER TABLE payments.accounts ENABLE ROW LEVEL SECURITY;

CREATE POLICY administrators_read_all ON payments.accounts FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.accounts IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.audit_log FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.audit_log IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.customer_mappings FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.customer_mappings IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.customers FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.customers IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.outbox FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.outbox IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.provider_connections FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.provider_connections IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.stripe_checkout_sessions FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.stripe_checkout_sessions IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.stripe_customer_portal_sessions FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.stripe_customer_portal_sessions IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.stripe_payment_methods FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.stripe_payment_methods IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.stripe_prices FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.stripe_prices IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.stripe_products FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.stripe_products IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.stripe_subscription_items FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.stripe_subscription_items IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.stripe_subscriptions FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.stripe_subscriptions IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.transactions FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.transactions IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments.webhook_events FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments.webhook_events IS 'payments_admin reads every row.';

ALTER TABLE payments.audit_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.customer_mappings ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.customers ENABLE ROW LEVEL SECURITY;

CREATE POLICY everybody_reads_what_is_for_sale ON payments.stripe_prices FOR SELECT TO payments_user, payments_anon USING ((active AND (account_id IS NULL)));

COMMENT ON POLICY everybody_reads_what_is_for_sale ON payments.stripe_prices IS 'Where opened: users and guests read what is active, of the own account.';

CREATE POLICY everybody_reads_what_is_for_sale ON payments.stripe_products FOR SELECT TO payments_user, payments_anon USING ((active AND (account_id IS NULL)));

COMMENT ON POLICY everybody_reads_what_is_for_sale ON payments.stripe_products IS 'Where opened: users and guests read what is active, of the own account.';

CREATE POLICY guests_begin_one_time_checkouts ON payments.stripe_checkout_sessions FOR INSERT TO payments_anon WITH CHECK (((subject_type IS NULL) AND (mode = 'payment'::text) AND (owner_key ~~ 'guest:%'::text) AND ((seller_account_id IS NULL) OR payments_private.may_sell_through(environment, seller_account_id))));

COMMENT ON POLICY guests_begin_one_time_checkouts ON payments.stripe_checkout_sessions IS 'A guest begins one-time checkouts for nobody, through accounts that are open to everybody.';

CREATE POLICY guests_read_their_attempts ON payments.stripe_checkout_sessions FOR SELECT TO payments_anon USING (((owner_key = payments.caller_key()) AND (owner_key ~~ 'guest:%'::text)));

COMMENT ON POLICY guests_read_their_attempts ON payments.stripe_checkout_sessions IS 'A guest reads what it began with the same secret.';

ALTER TABLE payments.outbox ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.provider_connections ENABLE ROW LEVEL SECURITY;

CREATE POLICY service_reads_all_but_bodies ON payments.webhook_events FOR SELECT TO payments_service USING (true);

COMMENT ON POLICY service_reads_all_but_bodies ON payments.webhook_events IS 'payments_service reads every row, and by its grants no event''s body.';

ALTER TABLE payments.stripe_checkout_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.stripe_customer_portal_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.stripe_payment_methods ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.stripe_prices ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.stripe_products ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.stripe_subscription_items ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.stripe_subscriptions ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments.transactions ENABLE ROW LEVEL SECURITY;

CREATE POLICY users_begin_checkouts_for_whom_they_may_bill ON payments.stripe_checkout_sessions FOR INSERT TO payments_user WITH CHECK ((((subject_type IS NULL) OR (subject_key = ANY (payments_private.current_subject_keys()))) AND ((seller_account_id IS NULL) OR payments_private.may_sell_through(environment, seller_account_id))));

COMMENT ON POLICY users_begin_checkouts_for_whom_they_may_bill ON payments.stripe_checkout_sessions IS 'A user begins checkouts for itself and the subjects that payments.billable_subjects() answers, through accounts that are open to it.';

CREATE POLICY users_open_portals_for_whom_they_may_bill ON payments.stripe_customer_portal_sessions FOR INSERT TO payments_user WITH CHECK (((subject_key = ANY (payments_private.current_subject_keys())) AND ((account_id IS NULL) OR payments_private.sells_directly(environment, account_id))));

COMMENT ON POLICY users_open_portals_for_whom_they_may_bill ON payments.stripe_customer_portal_sessions IS 'A user opens the billing portal of subjects that it may bill.';

CREATE POLICY users_read_the_items_of_subscriptions_they_read ON payments.stripe_subscription_items FOR SELECT TO payments_user USING ((((environment = 'test'::text) AND (account_id IS NULL) AND (subscription_id = ANY (payments_private.current_subscription_ids('test'::text, NULL::text)))) OR ((environment = 'live'::text) AND (account_id IS NULL) AND (subscription_id = ANY (payments_private.current_subscription_ids('live'::text, NULL::text)))) OR ((account_id IS NOT NULL) AND (subscription_id = ANY (payments_private.current_foreign_subscription_ids())) AND (subscription_id = ANY (payments_private.current_subscription_ids(environment, account_id))))));

COMMENT ON POLICY users_read_the_items_of_subscriptions_they_read ON payments.stripe_subscription_items IS 'Where opened: a user reads the items of the subscriptions that it may read.';

CREATE POLICY users_read_the_methods_of_their_customers ON payments.stripe_payment_methods FOR SELECT TO payments_user USING ((((environment = 'test'::text) AND (account_id IS NULL) AND (customer_id = ANY (payments_private.current_customer_ids('test'::text)))) OR ((environment = 'live'::text) AND (account_id IS NULL) AND (customer_id = ANY (payments_private.current_customer_ids('live'::text))))));

COMMENT ON POLICY users_read_the_methods_of_their_customers ON payments.stripe_payment_methods IS 'Where opened: a user reads the payment methods of the customers of subjects that it may bill.';

CREATE POLICY users_read_the_portals_they_opened ON payments.stripe_customer_portal_sessions FOR SELECT TO payments_user USING (((owner_key = payments.caller_key()) AND (subject_key = ANY (payments_private.current_subject_keys()))));

COMMENT ON POLICY users_read_the_portals_they_opened ON payments.stripe_customer_portal_sessions IS 'A user reads the portal visits that it asked for itself.';

CREATE POLICY users_read_their_attempts ON payments.stripe_checkout_sessions FOR SELECT TO payments_user USING (((owner_key = payments.caller_key()) OR (subject_key = ANY (payments_private.current_subject_keys()))));

COMMENT ON POLICY users_read_their_attempts ON payments.stripe_checkout_sessions IS 'A user reads the attempts that it made itself.';

CREATE POLICY users_read_their_subjects_subscriptions ON payments.stripe_subscriptions FOR SELECT TO payments_user USING ((subject_key = ANY (payments_private.current_subject_keys())));

COMMENT ON POLICY users_read_their_subjects_subscriptions ON payments.stripe_subscriptions IS 'Where opened: a user reads the subscriptions of subjects that it may bill.';

CREATE POLICY users_read_their_subjects_transactions ON payments.transactions FOR SELECT TO payments_user USING ((subject_key = ANY (payments_private.current_subject_keys())));

COMMENT ON POLICY users_read_their_subjects_transactions ON payments.transactions IS 'Where opened: a user reads the transactions of subjects that it may bill.';

ALTER TABLE payments.webhook_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.account_keys ENABLE ROW LEVEL SECURITY;

CREATE POLICY administrators_read_all ON payments_private.linked_tables FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments_private.linked_tables IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_all ON payments_private.stored_objects FOR SELECT TO payments_admin USING (true);

COMMENT ON POLICY administrators_read_all ON payments_private.stored_objects IS 'payments_admin reads every row.';

CREATE POLICY administrators_read_dead_events ON payments_private.stashed_events FOR SELECT TO payments_admin USING ((parked_at IS NOT NULL));

COMMENT ON POLICY administrators_read_dead_events ON payments_private.stashed_events IS 'payments_admin sees in payments.dead_events what the ledger does not take.';

ALTER TABLE payments_private.changed_hours ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.checkout_terms ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.clock ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.connect_endpoints ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.connected_accounts ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.counted_hours ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.customer_claims ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.dashboard_jobs ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.ended_sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.followed_volumes ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.hourly_volume ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.installation ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.linked_tables ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.lock_of_live ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.lock_of_purge ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.lock_of_test ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.metadata_matches ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.object_anchors ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.open_readings ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.outbox_state ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.projections ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.provider_secrets ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.purged_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.rate_buckets ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.refresh_queue ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.same_second_snapshots ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.schedule ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.settings ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.signing_secrets ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.stashed_events ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.stored_objects ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.subject_types ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.sweeps ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.sync_lists ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.sync_ranges ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.verifications ENABLE ROW LEVEL SECURITY;

ALTER TABLE payments_private.wrong_keys ENABLE ROW LEVEL SECURITY;

GRANT USAGE ON SCHEMA payments TO payments_service;
GRANT USAGE ON SCHEMA payments TO payments_user;
GRANT USAGE ON SCHEMA payments TO payments_anon;
GRANT USAGE ON SCHEMA payments TO payments_admin;
GRANT USAGE ON SCHEMA payments TO payments_keys;

REVOKE ALL ON FUNCTION payments.account_key(environment text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.account_key(environment text, account_id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.account_keys(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.account_keys(environment text) TO payments_service;

REVOKE ALL ON FUNCTION payments.accounts_due(environment text, job text, max_accounts integer) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.accounts_due(environment text, job text, max_accounts integer) TO payments_service;

REVOKE ALL ON FUNCTION payments.adopt_outbox(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.adopt_outbox(environment text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.allow_origins(origins text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.allow_portal_configurations(ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.allow_prices(rule text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.allow_stamps(rule text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.audit_action(action text, target text, detail jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.audit_action(action text, target text, detail jsonb) TO payments_admin;
GRANT ALL ON FUNCTION payments.audit_action(action text, target text, detail jsonb) TO payments_keys;

REVOKE ALL ON FUNCTION payments.become_caller(role text, claims text, guest_secret text, asks_stripe text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.become_caller(role text, claims text, guest_secret text, asks_stripe text) TO payments_service;

GRANT SELECT ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT SELECT ON TABLE payments.stripe_checkout_sessions TO payments_anon;
GRANT SELECT ON TABLE payments.stripe_checkout_sessions TO payments_admin;

GRANT INSERT(environment) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(environment) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(seller_account_id) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(seller_account_id) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(mode) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(mode) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(subject_type) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(subject_type) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(subject_id) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(subject_id) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(customer_email) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(customer_email) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(line_items) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(line_items) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(success_url) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(success_url) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(cancel_url) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(cancel_url) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(idempotency_key) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(idempotency_key) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

GRANT INSERT(metadata) ON TABLE payments.stripe_checkout_sessions TO payments_user;
GRANT INSERT(metadata) ON TABLE payments.stripe_checkout_sessions TO payments_anon;

REVOKE ALL ON FUNCTION payments.begin_checkout(environment text, mode text, line_items jsonb, success_url text, cancel_url text, subject_type text, subject_id text, customer_email text, metadata jsonb, idempotency_key text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.begin_checkout(environment text, mode text, line_items jsonb, success_url text, cancel_url text, subject_type text, subject_id text, customer_email text, metadata jsonb, idempotency_key text, account_id text) TO payments_user;
GRANT ALL ON FUNCTION payments.begin_checkout(environment text, mode text, line_items jsonb, success_url text, cancel_url text, subject_type text, subject_id text, customer_email text, metadata jsonb, idempotency_key text, account_id text) TO payments_anon;

REVOKE ALL ON FUNCTION payments.begin_dashboard_job(environment text, title text, back text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.begin_dashboard_job(environment text, title text, back text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.begin_list(environment text, account_id text, list text, began_at timestamp with time zone, splits boolean, confirms text, since timestamp with time zone, opened bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.begin_list(environment text, account_id text, list text, began_at timestamp with time zone, splits boolean, confirms text, since timestamp with time zone, opened bigint) TO payments_service;

GRANT SELECT ON TABLE payments.stripe_customer_portal_sessions TO payments_user;
GRANT SELECT ON TABLE payments.stripe_customer_portal_sessions TO payments_admin;

GRANT INSERT(environment) ON TABLE payments.stripe_customer_portal_sessions TO payments_user;

GRANT INSERT(subject_type) ON TABLE payments.stripe_customer_portal_sessions TO payments_user;

GRANT INSERT(subject_id) ON TABLE payments.stripe_customer_portal_sessions TO payments_user;

GRANT INSERT(account_id) ON TABLE payments.stripe_customer_portal_sessions TO payments_user;

GRANT INSERT(return_url) ON TABLE payments.stripe_customer_portal_sessions TO payments_user;

GRANT INSERT(configuration_id) ON TABLE payments.stripe_customer_portal_sessions TO payments_user;

REVOKE ALL ON FUNCTION payments.begin_portal_session(environment text, subject_type text, subject_id text, return_url text, configuration_id text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.begin_portal_session(environment text, subject_type text, subject_id text, return_url text, configuration_id text, account_id text) TO payments_user;

REVOKE ALL ON FUNCTION payments.begin_sign_in(who text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.begin_sign_in(who text) TO payments_service;

REVOKE ALL ON FUNCTION payments.begin_sweep(environment text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.begin_sweep(environment text, account_id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.billable_subjects() FROM PUBLIC;
GRANT ALL ON FUNCTION payments.billable_subjects() TO payments_user;

REVOKE ALL ON FUNCTION payments.caller_key() FROM PUBLIC;
GRANT ALL ON FUNCTION payments.caller_key() TO payments_user;
GRANT ALL ON FUNCTION payments.caller_key() TO payments_anon;

REVOKE ALL ON FUNCTION payments.checkout_request(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.checkout_request(id uuid) TO payments_service;

REVOKE ALL ON FUNCTION payments.claim_checkouts(max_attempts integer, lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.claim_checkouts(max_attempts integer, lease interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.claim_job(lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.claim_job(lease interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.claim_pushes(max_pushes integer, lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.claim_pushes(max_pushes integer, lease interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.claim_range(environment text, account_id text, lists text[], lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.claim_range(environment text, account_id text, lists text[], lease interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.claim_refreshes(max_objects integer, lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.claim_refreshes(max_objects integer, lease interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.close_environment(environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.close_to_users(what text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.compare_with_stripe(environment text, objects jsonb, observed_at timestamp with time zone, account_id text, with_rows boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.compare_with_stripe(environment text, objects jsonb, observed_at timestamp with time zone, account_id text, with_rows boolean) TO payments_service;
GRANT ALL ON FUNCTION payments.compare_with_stripe(environment text, objects jsonb, observed_at timestamp with time zone, account_id text, with_rows boolean) TO payments_admin;

GRANT SELECT ON TABLE payments.provider_connections TO payments_admin;

REVOKE ALL ON FUNCTION payments.connect_account(environment text, account jsonb, livemode boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.connect_account(environment text, account jsonb, livemode boolean) TO payments_service;

REVOKE ALL ON FUNCTION payments.connect_event_types() FROM PUBLIC;
GRANT ALL ON FUNCTION payments.connect_event_types() TO payments_service;

REVOKE ALL ON FUNCTION payments.count_volume(environment text, account_id text, since timestamp with time zone, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.count_volume(environment text, account_id text, since timestamp with time zone, max_rows integer) TO payments_admin;

REVOKE ALL ON FUNCTION payments.counted_volume(environment text, account_id text, since timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.counted_volume(environment text, account_id text, since timestamp with time zone) TO payments_admin;

REVOKE ALL ON FUNCTION payments.create_existing(target regclass, kind text, max_rows integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.dashboard_job(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.dashboard_job(id uuid) TO payments_admin;

REVOKE ALL ON FUNCTION payments.dashboard_session_ended(id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.dashboard_session_ended(id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.discard_push(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.discard_push(id uuid) TO payments_admin;

REVOKE ALL ON FUNCTION payments.doctor() FROM PUBLIC;
GRANT ALL ON FUNCTION payments.doctor() TO payments_service;
GRANT ALL ON FUNCTION payments.doctor() TO payments_admin;

REVOKE ALL ON FUNCTION payments.end_dashboard_session(id text, until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.end_dashboard_session(id text, until timestamp with time zone) TO payments_service;

REVOKE ALL ON FUNCTION payments.event_receipts(event_ids uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.event_receipts(event_ids uuid[]) TO payments_service;

REVOKE ALL ON FUNCTION payments.fail_checkout(id uuid, error text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.fail_checkout(id uuid, error text) TO payments_service;

REVOKE ALL ON FUNCTION payments.fail_portal_session(id uuid, error text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.fail_portal_session(id uuid, error text) TO payments_service;

REVOKE ALL ON FUNCTION payments.fill_linked_table(link_id integer, after jsonb, max_rows integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.find_payments(environment text, word text, account_id text, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.find_payments(environment text, word text, account_id text, max_rows integer) TO payments_admin;

REVOKE ALL ON FUNCTION payments.finish_checkout(id uuid, session jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.finish_checkout(id uuid, session jsonb) TO payments_service;

REVOKE ALL ON FUNCTION payments.finish_portal_session(id uuid, session jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.finish_portal_session(id uuid, session jsonb) TO payments_service;

REVOKE ALL ON FUNCTION payments.finish_sweep(environment text, certain_until timestamp with time zone, gap boolean, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.finish_sweep(environment text, certain_until timestamp with time zone, gap boolean, account_id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.finish_sync(environment text, counts jsonb, error text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.finish_sync(environment text, counts jsonb, error text) TO payments_service;

REVOKE ALL ON FUNCTION payments.forget_account_key(environment text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.forget_account_key(environment text, account_id text) TO payments_keys;

REVOKE ALL ON FUNCTION payments.forget_key(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.forget_key(environment text) TO payments_keys;

REVOKE ALL ON FUNCTION payments.forget_signing_secret(environment text, name text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.forget_signing_secret(environment text, name text) TO payments_keys;

REVOKE ALL ON FUNCTION payments.hold_job(job text, environment text, lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.hold_job(job text, environment text, lease interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.ingest_stripe_event(environment text, payload text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.ingest_stripe_event(environment text, payload text) TO payments_service;

REVOKE ALL ON FUNCTION payments.ingest_stripe_events(environment text, payloads text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.ingest_stripe_events(environment text, payloads text[]) TO payments_service;

REVOKE ALL ON FUNCTION payments.installation_id() FROM PUBLIC;
GRANT ALL ON FUNCTION payments.installation_id() TO payments_service;
GRANT ALL ON FUNCTION payments.installation_id() TO payments_admin;
GRANT ALL ON FUNCTION payments.installation_id() TO payments_keys;

REVOKE ALL ON FUNCTION payments.keep_failed_events(environment text, payloads text[], reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.keep_failed_events(environment text, payloads text[], reason text) TO payments_service;

REVOKE ALL ON FUNCTION payments.let_worker_ask(answer boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.let_worker_ask(answer boolean) TO payments_service;

REVOKE ALL ON FUNCTION payments.link_statements(link_id integer, what text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.link_table(target regclass, kind text, environment text, by text, match jsonb, columns jsonb, push jsonb, owner text, create_at_stripe boolean, object_type text, account_id text, archive_on_delete boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.lists_at_end(environment text, account_id text, lists text[], since timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.lists_at_end(environment text, account_id text, lists text[], since timestamp with time zone) TO payments_service;

REVOKE ALL ON FUNCTION payments.lock_webhook_endpoint(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.lock_webhook_endpoint(environment text) TO payments_service;
GRANT ALL ON FUNCTION payments.lock_webhook_endpoint(environment text) TO payments_keys;

REVOKE ALL ON FUNCTION payments.metrics(account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.metrics(account_id text) TO payments_service;
GRANT ALL ON FUNCTION payments.metrics(account_id text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.name_installation(id text, keep_former boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.note_sign_in(who text, succeeded boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.note_sign_in(who text, succeeded boolean) TO payments_service;

REVOKE ALL ON FUNCTION payments.note_swept(environment text, event_ids uuid[], duplicates boolean[], account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.note_swept(environment text, event_ids uuid[], duplicates boolean[], account_id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.objects_of_payment(environment text, object_type text, object_id text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.objects_of_payment(environment text, object_type text, object_id text, account_id text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.older_objects(environment text, object_type text, before timestamp with time zone, after_id text, max_rows integer, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.older_objects(environment text, object_type text, before timestamp with time zone, after_id text, max_rows integer, account_id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.open_environment(environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.open_to_users(what text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.outbox_paused_at(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.outbox_paused_at(environment text) TO payments_admin;

GRANT SELECT ON TABLE payments.webhook_events TO payments_admin;

GRANT SELECT(id) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(provider) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(environment) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(provider_event_id) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(event_type) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(livemode) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(provider_account_id) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(api_version) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(object_type) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(object_id) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(provider_created_at) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(processing_status) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(attempt_count) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(last_error) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(next_attempt_at) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(parked_at) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(received_at) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(processed_at) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(created_at) ON TABLE payments.webhook_events TO payments_service;

GRANT SELECT(updated_at) ON TABLE payments.webhook_events TO payments_service;

REVOKE ALL ON FUNCTION payments.paid_checkout(event payments.webhook_events) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.pause_outbox(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.pause_outbox(environment text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.portal_request(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.portal_request(id uuid) TO payments_service;

REVOKE ALL ON FUNCTION payments.projected_event_types() FROM PUBLIC;
GRANT ALL ON FUNCTION payments.projected_event_types() TO payments_service;

REVOKE ALL ON FUNCTION payments.purge_events(older_than interval, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.purge_events(older_than interval, max_rows integer) TO payments_service;
GRANT ALL ON FUNCTION payments.purge_events(older_than interval, max_rows integer) TO payments_admin;

REVOKE ALL ON FUNCTION payments.purge_guest_attempts(older_than interval, max_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.purge_guest_attempts(older_than interval, max_rows integer) TO payments_service;
GRANT ALL ON FUNCTION payments.purge_guest_attempts(older_than interval, max_rows integer) TO payments_admin;

REVOKE ALL ON FUNCTION payments.put_off_checkout(id uuid, retry_after interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.put_off_checkout(id uuid, retry_after interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.ranges_left(environment text, account_id text, lists text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.ranges_left(environment text, account_id text, lists text[]) TO payments_service;

REVOKE ALL ON FUNCTION payments.rebuild_projections(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.rebuild_projections(environment text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.rebuild_projections_ranges(environment text, after text, max_objects integer, max_ranges integer) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.rebuild_projections_ranges(environment text, after text, max_objects integer, max_ranges integer) TO payments_admin;

REVOKE ALL ON FUNCTION payments.rebuild_projections_step(environment text, after text, max_objects integer, until text, OUT next text, OUT objects integer) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.rebuild_projections_step(environment text, after text, max_objects integer, until text, OUT next text, OUT objects integer) TO payments_admin;

REVOKE ALL ON FUNCTION payments.receive_stripe_webhook(json) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.receive_stripe_webhook(json) TO payments_anon;

REVOKE ALL ON FUNCTION payments.record_confirmed(range_id uuid, claim integer, after_id text, gone integer, skipped text[], lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.record_confirmed(range_id uuid, claim integer, after_id text, gone integer, skipped text[], lease interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.record_page(range_id uuid, claim integer, page jsonb, observed_at timestamp with time zone, starting_after text, top_created bigint, last_created bigint, skipped text[], lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.record_page(range_id uuid, claim integer, page jsonb, observed_at timestamp with time zone, starting_after text, top_created bigint, last_created bigint, skipped text[], lease interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.record_verification(environment text, objects bigint, sampled boolean, differences jsonb, repaired integer) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.record_verification(environment text, objects bigint, sampled boolean, differences jsonb, repaired integer) TO payments_service;

REVOKE ALL ON FUNCTION payments.record_webhook_endpoint(environment text, endpoint_id text, url text, secret text, connect boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.record_webhook_endpoint(environment text, endpoint_id text, url text, secret text, connect boolean) TO payments_keys;

REVOKE ALL ON FUNCTION payments.reencrypt_account_key(environment text, account_id text, formerly text, secret text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.reencrypt_account_key(environment text, account_id text, formerly text, secret text) TO payments_keys;

REVOKE ALL ON FUNCTION payments.reencrypt_secret(environment text, name text, formerly text, secret text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.reencrypt_secret(environment text, name text, formerly text, secret text) TO payments_keys;

REVOKE ALL ON FUNCTION payments.refresh_state(environment text, object_type text, object_id text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.refresh_state(environment text, object_type text, object_id text, account_id text) TO payments_service;
GRANT ALL ON FUNCTION payments.refresh_state(environment text, object_type text, object_id text, account_id text) TO payments_admin;

GRANT SELECT ON TABLE payments.accounts TO payments_admin;

REVOKE ALL ON FUNCTION payments.register_account(environment text, account_id text, subject_type text, subject_id text, charge_type text, open_to text, fee_percent numeric, fee_amount bigint, fee_currency text, on_behalf_of boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.register_subject_type(subject_type text, lookup regprocedure) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.register_subject_type(subject_type text, members regclass, subject_column name, user_column name, filter text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.release_range(range_id uuid, claim integer, error text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.release_range(range_id uuid, claim integer, error text) TO payments_service;

REVOKE ALL ON FUNCTION payments.replace_account(environment text, account jsonb, livemode boolean, secret text, masked text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.replace_account(environment text, account jsonb, livemode boolean, secret text, masked text) TO payments_keys;

REVOKE ALL ON FUNCTION payments.replay_event(event_id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.replay_event(event_id uuid) TO payments_admin;

REVOKE ALL ON FUNCTION payments.request_refresh(environment text, object_type text, object_id text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.request_refresh(environment text, object_type text, object_id text, account_id text) TO payments_service;
GRANT ALL ON FUNCTION payments.request_refresh(environment text, object_type text, object_id text, account_id text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.resume_outbox(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.resume_outbox(environment text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.retry_failed_events(max_events integer) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.retry_failed_events(max_events integer) TO payments_service;
GRANT ALL ON FUNCTION payments.retry_failed_events(max_events integer) TO payments_admin;

REVOKE ALL ON FUNCTION payments.retry_push(id uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.retry_push(id uuid) TO payments_admin;

REVOKE ALL ON FUNCTION payments.rows_to_create(target regclass, kind text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.sample_objects(environment text, object_type text, sample integer, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.sample_objects(environment text, object_type text, sample integer, account_id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.schedule_job(job text, environment text, every interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.schedule_job(job text, environment text, every interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.set_signing_secret(environment text, secret text, name text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.set_signing_secret(environment text, secret text, name text) TO payments_keys;

REVOKE ALL ON FUNCTION payments.settle_account(environment text, account_id text, job text, error text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.settle_account(environment text, account_id text, job text, error text) TO payments_service;

REVOKE ALL ON FUNCTION payments.settle_job(job text, environment text, error text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.settle_job(job text, environment text, error text) TO payments_service;

REVOKE ALL ON FUNCTION payments.settle_push(id uuid, outcome text, object jsonb, error text, request_id text, retry_after interval, observed_at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.settle_push(id uuid, outcome text, object jsonb, error text, request_id text, retry_after interval, observed_at timestamp with time zone) TO payments_service;

REVOKE ALL ON FUNCTION payments.settle_refresh(environment text, account_id text, object_type text, object_id text, error text, retry_after interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.settle_refresh(environment text, account_id text, object_type text, object_id text, error text, retry_after interval) TO payments_service;

REVOKE ALL ON FUNCTION payments.sign_in_wait(who text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.sign_in_wait(who text) TO payments_service;

REVOKE ALL ON FUNCTION payments.store_absence(environment text, object_type text, object_id text, asked_at timestamp with time zone, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.store_absence(environment text, object_type text, object_id text, asked_at timestamp with time zone, account_id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.store_account_key(environment text, account_id text, account jsonb, livemode boolean, secret text, masked text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.store_account_key(environment text, account_id text, account jsonb, livemode boolean, secret text, masked text) TO payments_keys;

REVOKE ALL ON FUNCTION payments.store_stripe_objects(environment text, objects jsonb, observed_at timestamp with time zone, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.store_stripe_objects(environment text, objects jsonb, observed_at timestamp with time zone, account_id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.stored_secret(environment text, name text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.stored_secret(environment text, name text) TO payments_service;

REVOKE ALL ON FUNCTION payments.stripe_statuses(kind text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.stripe_statuses(kind text) TO payments_user;
GRANT ALL ON FUNCTION payments.stripe_statuses(kind text) TO payments_anon;
GRANT ALL ON FUNCTION payments.stripe_statuses(kind text) TO payments_service;
GRANT ALL ON FUNCTION payments.stripe_statuses(kind text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.sync_status(environment text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.sync_status(environment text, account_id text) TO payments_service;
GRANT ALL ON FUNCTION payments.sync_status(environment text, account_id text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.table_is_linked(link_id integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.take_read(environment text, account_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.take_read(environment text, account_id text) TO payments_service;

REVOKE ALL ON FUNCTION payments.tell_account_keys(environment text, account_ids text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.tell_account_keys(environment text, account_ids text[]) TO payments_service;

REVOKE ALL ON FUNCTION payments.tell_dashboard_job(id uuid, status text, lines text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.tell_dashboard_job(id uuid, status text, lines text[]) TO payments_service;
GRANT ALL ON FUNCTION payments.tell_dashboard_job(id uuid, status text, lines text[]) TO payments_admin;

REVOKE ALL ON FUNCTION payments.trust_accounts(accounts text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.unlink_table(target regclass, kind text, drop_columns boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.unregister_subject_type(subject_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.verifications() FROM PUBLIC;
GRANT ALL ON FUNCTION payments.verifications() TO payments_service;
GRANT ALL ON FUNCTION payments.verifications() TO payments_admin;

REVOKE ALL ON FUNCTION payments.verify_projections(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.verify_projections(environment text) TO payments_admin;

REVOKE ALL ON FUNCTION payments.wait_for_checkout(id uuid, timeout interval) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.wait_for_checkout(id uuid, timeout interval) TO payments_user;
GRANT ALL ON FUNCTION payments.wait_for_checkout(id uuid, timeout interval) TO payments_anon;

REVOKE ALL ON FUNCTION payments.wait_for_push(target regclass, row_key jsonb, timeout interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments.webhook_endpoint(environment text, connect boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.webhook_endpoint(environment text, connect boolean) TO payments_service;

REVOKE ALL ON FUNCTION payments.webhook_secrets(environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments.webhook_secrets(environment text) TO payments_service;

REVOKE ALL ON FUNCTION payments.work_due() FROM PUBLIC;
GRANT ALL ON FUNCTION payments.work_due() TO payments_service;

REVOKE ALL ON FUNCTION payments.worker_status() FROM PUBLIC;
GRANT ALL ON FUNCTION payments.worker_status() TO payments_service;
GRANT ALL ON FUNCTION payments.worker_status() TO payments_admin;

REVOKE ALL ON FUNCTION payments_private.account_in_context(p_context text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.account_is_trusted(p_account text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.account_name(p_account jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.account_named_in(p_payload jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.add_same_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_body jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.adopt_account(p_environment text, p_account_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.adopt_event(p_event payments.webhook_events) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.allow_link(p_link integer, p_object_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.amount_given_back(p_parts payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.anchor_condition(p_anchor payments_private.object_anchors) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.anchor_for(p_environment text, p_account_id text, p_object_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.anchored(p_anchor integer, p_object_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.anchored_types(p_object_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.apply_alone(p_environment text, p_event payments_private.incoming, p_body text, p_locked boolean, p_deadline timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.apply_by_account(p_snapshots payments_private.snapshot[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.apply_events(p_ids uuid[], p_snapshots payments_private.snapshot[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.apply_one_by_one(p_environment text, p_events payments_private.incoming[], p_bodies text[], p_locked boolean, p_wait integer, p_cancelled text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.apply_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.apply_snapshots(p_environment text, p_account text, p_snapshots payments_private.snapshot[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.apply_together(p_environment text, p_events payments_private.incoming[], p_bodies text[]) FROM PUBLIC;

GRANT SELECT ON TABLE payments.outbox TO payments_admin;

REVOKE ALL ON FUNCTION payments_private.archive_price(o payments.outbox, p_price text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.as_customer(p_data jsonb) FROM PUBLIC;

GRANT SELECT ON TABLE payments_private.linked_tables TO payments_admin;

REVOKE ALL ON FUNCTION payments_private.attach_link(p_link payments_private.linked_tables, p_owner name) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.attempt_has_another_object() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.attempt_named_in(p_metadata jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.attempt_of(p_environment text, p_account text, p_session jsonb, p_is_answer boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.audit(p_action text, p_target text, p_detail jsonb, p_source text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.await_session() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.base_of_push(l payments_private.linked_tables, p_old jsonb, p_id text, p_said jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.become_owner_of(p_thing text, p_owner name) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.belongs_to(p_member payments_private.payment_facts, p_payment payments_private.payment_facts, p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.bill_beside(p_member payments_private.payment_facts, p_kinds text[], p_bills text[], p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.bill_of_intent(p_intent payments_private.payment_facts, p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.bills_of(p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.body_is_in_ledger(p_snapshot payments_private.snapshot, p_carry boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.broken_rules(p_environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.by_oid(p_link payments_private.linked_tables, p_statement text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.caller_claims() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.calls_functions(p_members regclass, p_condition text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.can_be_empty(p_object_type text, p_parameter text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.changed_there(p_base jsonb, p_wanted jsonb, p_found jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.charge_facts(p_data jsonb, o payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.charge_of_refund(p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_body(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_environment(p_environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_line_items(p_line_items jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_members(p_members regclass, p_subject_column name, p_user_column name, OUT owner name, OUT user_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_metadata(p_metadata jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_other_account(p_environment text, p_account_id text, p_hint text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_portal_configuration(p_configuration_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_prices(p_environment text, p_account text, p_line_items jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_target(p_target regclass) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_terms(p_charge_type text, p_open_to text, p_fee_percent numeric, p_fee_amount bigint, p_fee_currency text, p_on_behalf_of boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_that_triggers_fire() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.check_url(p_field text, p_url text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.checked_push(p_link payments_private.linked_tables, p_push jsonb, p_create boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.checkout_session_facts(p_data jsonb, o payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.claim_by_hand() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.claim_of_invoice(p_environment text, p_account text, p_invoice_id text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.claim_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT claimed text[], OUT subjects text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.claim_push(o payments.outbox, p_lease interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.claim_told(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_changed boolean, p_newest payments_private.snapshot, OUT customer text, OUT subjects text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.clear_mirror(p_environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.column_lines(p_link payments_private.linked_tables, p_line text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.column_statements(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.columns_of_kind(p_kind text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.columns_of_link(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.commit_durably() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.computed_mapping(p_environment text, p_account text, p_subject_key text, p_customer_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.confirm_customer_statement(p_before payments_private.customer_claims, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.conflicts(p_base jsonb, p_wanted jsonb, p_found jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.count_hours(p_environment text, p_account_id text, p_hours timestamp with time zone[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.count_push(p_link integer, p_key jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.counted(p_number bigint, p_one text, p_more text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.credit_note_facts(p_data jsonb, o payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.current_accounts() FROM PUBLIC;
GRANT ALL ON FUNCTION payments_private.current_accounts() TO payments_user;
GRANT ALL ON FUNCTION payments_private.current_accounts() TO payments_admin;

REVOKE ALL ON FUNCTION payments_private.current_customer(p_environment text, p_account_id text, p_subject_type text, p_subject_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.current_customer_ids(p_environment text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_private.current_customer_ids(p_environment text) TO payments_user;

REVOKE ALL ON FUNCTION payments_private.current_foreign_subscription_ids() FROM PUBLIC;
GRANT ALL ON FUNCTION payments_private.current_foreign_subscription_ids() TO payments_user;

REVOKE ALL ON FUNCTION payments_private.current_subject_keys() FROM PUBLIC;
GRANT ALL ON FUNCTION payments_private.current_subject_keys() TO payments_user;

REVOKE ALL ON FUNCTION payments_private.current_subscription(p_environment text, p_account_id text, p_subject_key text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.current_subscription_ids(p_environment text, p_account text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_private.current_subscription_ids(p_environment text, p_account text) TO payments_user;

REVOKE ALL ON FUNCTION payments_private.customer_at(p_environment text, p_account text, p_subject_type text, p_subject_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.customer_of_subject(p_environment text, p_account text, p_subject_key text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.customer_type(p_customer_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.customers_of_subjects(p_environment text, p_account text, p_subject_keys text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.customers_with_claims(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT own text[], OUT others text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.cut_range(p_range payments_private.sync_ranges) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.default_method_of(p_environment text, p_account text, p_customer_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.detach_link(p_link payments_private.linked_tables, p_owner name) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.detach_statements(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.differences(p_environment text, p_max integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.differences_of(p_environment text, p_account text, p_stage text, p_keys text[], p_alone boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.differing_fields(p_stored jsonb, p_at_stripe jsonb, p_common_only boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.dispatch_to_links(p_anchor integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.dispute_facts(p_data jsonb, o payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doctor_connections() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doctor_events() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doctor_freshness() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doctor_host() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doctor_linked_tables() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doctor_restore() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doctor_subject_types() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doctor_triggers() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doctor_worker() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.doubt(p_environment text, p_account text, p_object_type text, p_object_id text, p_reason text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.drop_former_customers(p_environment text, p_account text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.drop_former_items(p_environment text, p_account text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.due_events(p_environment text, p_due timestamp with time zone, p_max integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.end_push(p_id uuid, p_status text, p_error text, p_found jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.end_range(p_range payments_private.sync_ranges) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.enqueue_push(p_link integer, p_operation text, p_row jsonb, p_old jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.enter_events(p_events payments_private.incoming[], p_bodies text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.enter_processed(p_events payments_private.incoming[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.enter_thin_event() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.environment_of_signature(p_body text, p_signature text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.environment_or_fail(p_environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.event_snapshot(p_environment text, p_account text, p_payload jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.expected_of(p_list payments_private.sync_lists) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.extract_again(p_environment text, p_account text, p_object_type text, p_ids text[], p_may_join boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.extract_payment_facts(p_account text, p_object_type text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.extract_with_locks(p_environment text, p_account text, p_object_type text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.facts_after(p_account text, p_old payments_private.payment_facts, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.fee_of(p_environment text, p_account text, p_line_items jsonb, p_percent numeric, OUT amount bigint, OUT currency text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.fetch_payer_accounts(p_environment text, p_account text, p_refs text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.fill_anchor(p_anchor integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.fill_body(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.finding_expression(p_link payments_private.linked_tables, p_record text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.finish_link(p_link payments_private.linked_tables, p_owner name) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.finish_push(o payments.outbox, p_object jsonb, p_observed_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.first_sweep(p_environment text, p_account text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.follow(p_table regclass, p_definition text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.follow_moved_row(l payments_private.linked_tables, p_key jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.follow_push(o payments.outbox, p_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.follow_references() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.follow_replacement(o payments.outbox, p_new text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.follow_volume() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.foreign_account(p_environment text, p_account text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.foreign_key_name(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.foreign_key_statements(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.forget_anchors(p_environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.forget_counted_hours(p_environment text, p_account text, p_hours timestamp with time zone[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.forget_dropped_tables() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.forget_link(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.form_name(p_parameter text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.form_of(p_values jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.former_key_statements(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.found_lines(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.freeze_processed_event() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.function_lookup(p_name text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.further_references(p_environment text, p_account text, p_references text[], p_customers text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.generate_linked_dispatch() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.generate_subject_lookup() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.generated_mark(p_definition text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.give_back(o payments.outbox, p_wait interval) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.grant_open_reading(p_what text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.grant_reading(p_what text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.group_members(p_environment text, p_account text, p_references text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.group_rank(p_reference text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.group_representatives(p_environment text, p_account text, p_references text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.groups_of(p_environment text, p_account text, p_references text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.guard_body(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.guest_secret() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.had_values(p_data jsonb, p_previous jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.has_facts(p_object_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.has_part_off_stripe(p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.has_several_bills(p_group payments_private.payment_facts[]) FROM PUBLIC;

GRANT SELECT ON TABLE payments.transactions TO payments_admin;

REVOKE ALL ON FUNCTION payments_private.heir_of(p_keys payments_private.payment_facts[], p_rows payments.transactions[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.hmac_sha256(p_message bytea, p_key bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.id_lines(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.index_statements(p_link payments_private.linked_tables, p_how text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.ingest(p_environment text, p_bodies text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.insert_claims(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[], OUT customers text[], OUT others text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.insert_pending(p_events payments_private.incoming[], OUT ids uuid[], OUT names text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.insert_processed(p_events payments_private.incoming[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.insert_unreadable(p_event payments_private.incoming, p_body text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.invoice_facts(p_account text, p_data jsonb, o payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.invoice_lines(p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.invoice_payment_facts(p_data jsonb, o payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.invoice_purchase(p_data jsonb, o payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_customer(p_object_type text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_deauthorized(p_environment text, p_account text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_deletion(p_object_type text, p_event_type text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_fetchable(p_object_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_off_stripe(p_member payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_page(p_snapshots payments_private.snapshot[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_passing(p_sqlstate text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_release(p_refund payments_private.payment_facts, p_parts payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_reserved(p_key text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_same_event(p_event payments_private.incoming, p_other payments_private.incoming) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_superseded(p_candidate payments_private.same_second_snapshots, p_candidates payments_private.same_second_snapshots[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_tied(p_intent payments_private.payment_facts, p_invoice text, p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.is_volume_followed(p_environment text, p_account text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.items_of(p_subscription jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.join_group(p_environment text, p_account text, p_reference text, p_refs text[], p_group text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private."json_array"(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_bigint(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_bigints(VARIADIC p_values jsonb[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_boolean(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_id(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_ids(VARIADIC p_values jsonb[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private."json_object"(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_of_columns(p_columns text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_rfc3339(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_text(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_texts(VARIADIC p_values jsonb[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_time(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.json_times(VARIADIC p_values jsonb[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.jsonb_or_null(p_body text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.keep_failed(p_environment text, p_event payments_private.incoming, p_body text, p_sqlstate text, p_message text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.keep_later_silence(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.key_condition(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.keys_by_account(p_environment text, p_stage text, p_keys text[], p_accounts text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.know_again(p_events payments_private.incoming[], OUT events payments_private.incoming[], OUT simple boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lacking_indexes(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.latest_of_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_tied boolean, p_carry boolean, p_more boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.latest_same_second(p_environment text, p_account text, p_snapshot payments_private.snapshot, OUT latest_source text, OUT settled boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lifecycle_stage(p_object_type text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.likely_latest(p_candidates payments_private.same_second_snapshots[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lines_go_on(p_object_type text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.link_function_pattern(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.link_functions(p_link payments_private.linked_tables, OUT what text, OUT arguments text, OUT returned text, OUT body text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.link_is_outdated(p_link payments_private.linked_tables, p_owner name) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.link_is_whole(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.link_or_fail(p_link_id integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.link_trigger_pattern(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.link_triggers(p_link payments_private.linked_tables, OUT name text, OUT definition text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.linked_at_once() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.linked_column_type(p_path text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.linked_expression(p_object_type text, p_path text, p_type text, p_data text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.linked_expressions(p_link payments_private.linked_tables, p_types jsonb, p_data text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.linked_json(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.linked_rows_of(p_environment text, p_account text, p_object_type text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.linked_text(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.linked_types(p_target regclass, p_columns jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_area(p_area text, p_whole boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_batch(p_environment text, p_account text, p_stage text, p_keys text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_by_account(p_snapshots payments_private.snapshot[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_events(p_events payments_private.incoming[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_key(p_name text, p_secret bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_references(p_environment text, p_account text, p_references text[], p_customers text[], p_shared text[], p_secret bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_secret() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_snapshots(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_secret bytea) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lock_until(p_key bigint, p_until timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.locked_push(p_id uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.longest_wait(p_callers_limit text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lost_columns(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lost_condition(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.lost_parts(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.make_guard(p_link payments_private.linked_tables, p_owner name) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.mark_failed(p_environment text, p_id uuid, p_event_id text, p_body text, p_sqlstate text, p_message text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.match_column(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.match_metadata(p_link payments_private.linked_tables, p_object_id text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.may_claim(p_metadata jsonb, p_subject_key text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.may_link(p_link payments_private.linked_tables, p_object_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.may_sell_through(p_environment text, p_account text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_private.may_sell_through(p_environment text, p_account text) TO payments_user;
GRANT ALL ON FUNCTION payments_private.may_sell_through(p_environment text, p_account text) TO payments_anon;

REVOKE ALL ON FUNCTION payments_private.may_still_bill(p_owner_key text, p_subject_key text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.members_lookup(p_members regclass, p_subject_column name, p_user_column name, p_user_type text, p_condition text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.members_of(p_parts payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.members_of_bill(p_bill text, p_bills text[], p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.move_pushes(p_link integer, p_old jsonb, p_new jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.named_columns(p_kind text, p_columns jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.new_or_newer(p_environment text, p_account text, p_objects jsonb, p_observed_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.next_attempt(p_attempts integer, p_sqlstate text, p_since timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.next_batch(p_environment text, p_stage text, p_after text, p_max integer, p_until text, OUT keys text[], OUT accounts text[], OUT last text, OUT objects integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.next_push(p_tries integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.not_of_a_superuser(p_thing text, p_owner name) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.note_account() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.note_change_at_stripe(p_link integer, p_object_id text, p_before jsonb, p_data jsonb, p_echo jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.note_changed_hour(p_environment text, p_account_id text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.note_echo(p_environment text, p_account_id text, p_object_id text, p_data jsonb, p_key text, p_previous jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.note_linked_row(p_link integer, p_row jsonb, p_object_id text, p_before text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.note_refresh() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.now() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.object_of_checkout(p_environment text, p_account_id text, p_object_type text, p_checkout_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.object_of_metadata(p_link integer, p_value text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.origin_of(p_url text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.outbox_home() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.outbox_is_open(p_environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.outcome_of(p_key payments_private.payment_facts, p_heir boolean, p_parts payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.outdated_parts(OUT kind text, OUT id text, OUT thing text, OUT owner name) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.outdated_triggers(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.owners_function(p_link payments_private.linked_tables, p_what text, p_arguments text, p_returns text, p_body text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.owners_functions(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.owners_of_groups(p_environment text, p_account text, p_groups text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.padded_key(p_key bytea, p_pad integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.parameters_of(o payments.outbox) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.parent_of(p_member payments_private.payment_facts, p_payments payments.transactions[], p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.parts_of(p_key payments_private.payment_facts, p_alone boolean, p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.passes_by_itself(p_sqlstate text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payer_in(p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payer_of(p_environment text, p_account text, p_named text, p_subscription text, p_shared text, p_customer_id text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payment_groups_of(p_environment text, p_account text, p_word text, p_max integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payment_intent_facts(p_data jsonb, o payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payment_keys(p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payment_references(p_references text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payment_row(p_environment text, p_account text, p_key payments_private.payment_facts, p_heir boolean, p_share bigint, p_parts payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payments_of(p_environment text, p_account text, p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payments_of_bill(p_environment text, p_account text, p_keys payments_private.payment_facts[], p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.payments_of_subscriptions(p_environment text, p_account text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.period_of(p_subscription jsonb, p_field text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.place_or_fail(p_place text, p_field text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.prepare_change(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.prepare_checkout() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.prepare_creation(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.prepare_portal_session() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.prepare_push(p_id uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.prepare_update(o payments.outbox, l payments_private.linked_tables, p_wanted jsonb, p_found jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.present_lookup(p_type payments_private.subject_types) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_account(p_environment text, p_account_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_accounts(p_environment text, p_account text, p_object_type text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_bill(p_environment text, p_account text, p_group payments_private.payment_facts[], p_stored payments.transactions[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_changes(p_environment text, p_account text, p_others text[], p_customers text[], p_subjects text[], p_claimed text[], p_subscriptions text[], p_sessions text[], p_groups text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_checkout_sessions(p_environment text, p_account text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_customer_mappings(p_environment text, p_account text, p_subject_keys text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_customers(p_environment text, p_account text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_group(p_environment text, p_account text, p_group text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_groups(p_environment text, p_account text, p_groups text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_many_mappings(p_environment text, p_account text, p_subject_keys text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_methods_of_customers(p_environment text, p_account text, p_customers text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_objects(p_environment text, p_account text, p_object_type text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_payment_methods(p_environment text, p_account text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_prices(p_environment text, p_account text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_products(p_environment text, p_account text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_references(p_environment text, p_account text, p_references text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_subscription_items(p_environment text, p_account text, p_ids text[], p_have_items boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_subscriptions(p_environment text, p_account text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.project_transactions(p_environment text, p_account text, p_references text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.projected_rows(p_environment text, p_account text, p_stage text, p_keys text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.projection_statement(p_projection payments_private.projections, p_template text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.prune_rows(p_environment text, p_account text, p_table text, p_keys text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.purged_before() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.purged_event(p_environment text, p_account text, p_event_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.push_body(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.push_rate(p_environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.push_triggers(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.pushable(p_object_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.pushed_text(p_value jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.quarantine_event(p_environment text, p_event_id text, p_body text, p_sqlstate text, p_message text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.queue_thin_events(p_ids uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.raise_if_snapshot_is_too_old(p_sqlstate text, p_schema text, p_message text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.read_envelope(e payments_private.incoming, p_body text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.read_event(p_environment text, p_place bigint, p_body text, p_payload jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.read_events(p_environment text, p_bodies text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.read_group(p_environment text, p_account text, p_group text, OUT members payments_private.payment_facts[], OUT stored payments.transactions[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.read_link(p_target regclass, p_kind text, p_environment text, p_by text, p_match jsonb, p_columns jsonb, p_push jsonb, p_owner text, p_create boolean, p_object_type text, p_account_id text, p_archive boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.read_rate(p_environment text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.reading_or_fail(p_what text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.reapply_event(p_id uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.rebuild_batch(p_environment text, p_after text, p_max integer, p_alone boolean, p_until text, OUT next text, OUT objects integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.rebuild_part(p_environment text, p_account text, p_stage text, p_keys text[], p_after text, p_max integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.rebuild_stages() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.references_of(p_object_type text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.references_of_invoice(p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refill_anchor(p_anchor payments_private.object_anchors, p_object_type text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refill_linked_rows(p_environment text, p_account text, p_object_type text, p_ids text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refund_facts(p_data jsonb, o payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refund_or_dispute_row(p_environment text, p_account text, p_object payments_private.payment_facts, p_payment payments.transactions, p_released boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refuse(p_field text, p_problem text, p_hint text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refuse_change_of_audit_log() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refuse_deauthorized(p_environment text, p_account text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refuse_link(p_link integer, p_target text, p_object_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refuse_linked_value(p_target text, p_column text, p_value text, p_object_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refuse_signature(p_reason text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.refuse_to_wait(p_what text, p_pids integer[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.register_projection(p_table text, p_object_types text[], p_key text, p_object_key text, p_keeps_deleted boolean, p_made_by_callers boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.related_ids(p_environment text, p_account text, p_row payments.transactions, p_charge payments_private.payment_facts, p_invoice payments_private.payment_facts, p_session payments_private.payment_facts, p_subscription text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.renew_part(p_kind text, p_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.repeated_objects(p_snapshots payments_private.snapshot[], OUT carry boolean[], OUT more boolean[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.reproject(p_environment text, p_account text, p_stage text, p_keys text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.reproject_customer(p_environment text, p_account text, p_customer_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.request_of(p_id uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.rest_of_bill(p_environment text, p_account text, p_bill payments_private.payment_facts, p_paid bigint, p_heir integer, p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.retry_event(p_id uuid, p_due timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.retry_stashed_event(p_environment text, p_event_id text, p_body text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.row_key(p_columns name[], p_row jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.row_kind(p_stored jsonb, p_expected jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.rows_about(p_target regclass) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.rows_to_prune(p_environment text, p_table text, p_after text, p_max integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.run_as_owner(p_thing text, p_owner name, p_statements text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.runs_as_owner(p_members regclass, p_owner name, p_condition text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.same_answer(p_event payments_private.incoming, p_before payments_private.incoming) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.same_second_data(p_candidate payments_private.same_second_snapshots) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.save_link(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.search_delay() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.sells_directly(p_environment text, p_account text) FROM PUBLIC;
GRANT ALL ON FUNCTION payments_private.sells_directly(p_environment text, p_account text) TO payments_user;

REVOKE ALL ON FUNCTION payments_private.set_for_logins(p_setting text, p_values text[], p_below_ms integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.settle_same_seconds(p_events uuid[], p_until timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.settle_terms() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.settle_thin_events(p_ids uuid[], p_error text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.settled_status(p_amount bigint, p_refunded bigint, p_disputed boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.shared_bill(p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.shorter_wait(p_setting text, p_callers_limit text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.shows_failure(p_object_type text, p_event_type text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.size_or_fail(p_size integer, p_field text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.snapshots_by_account(p_snapshots payments_private.snapshot[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.stage_rows(p_environment text, p_account text, p_stage text, p_keys text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.stamp_is_believed(p_metadata jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.state_before(p_data jsonb, p_previous jsonb, p_in_metadata boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.statements_of_trigger(p_link payments_private.linked_tables, p_name text, p_definition text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.status_without_object(p_environment text, p_payload jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.store_answers(p_environment text, p_account text, p_objects jsonb, p_observed_at timestamp with time zone, p_key text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.store_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[], p_subjects text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.store_snapshot(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_carry boolean, p_more boolean, OUT changed boolean, OUT told boolean, OUT newest payments_private.snapshot, OUT payment_group text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.stored_snapshot(p_environment text, p_account text, p_object_type text, p_object_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.stripe_path(p_object_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.stripe_values(p_push jsonb, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subject_has_another_object() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subject_id_in(p_subject_key text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subject_in(p_account text, p_metadata jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subject_keys_of(p_user text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subject_of_customer(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subject_type_in(p_subject_key text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subject_type_or_fail(p_subject_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subject_under(p_metadata jsonb, p_prefix text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subjects_claiming(p_environment text, p_account text, p_customer_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subscription_facts(p_object_id text, p_refs text[], p_subject text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.subscription_in(p_refs text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.take_bodies_over(p_events uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.take_claims_back() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.take_event(p_environment text, p_payload jsonb, p_secret bytea, OUT event_id uuid, OUT status text, OUT duplicate boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.take_page(p_environment text, p_account text, p_snapshots payments_private.snapshot[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.take_token(p_environment text, p_account_id text, p_name text, p_rate double precision, p_burst double precision) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.target_oid(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.tell_of_answer() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.tell_of_object(p_link payments_private.linked_tables, p_key jsonb, p_object_id text, p_direction text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.tells_of_payments(p_object_type text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.terms_asked_of_stripe(p_checkout_id uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.told_of_customers(p_environment text, p_account text, p_ids text[], OUT subscriptions text[], OUT payments text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.touch(p_link integer, p_values text[], p_by_id boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.touch_body(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.touch_by_metadata(p_link integer, p_object_id text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.touch_by_reference(p_link integer, p_object_id text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.transactions_to_prune(p_environment text, p_after text, p_max integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.trigger_statements(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.triggers_on_updates() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.try_event(p_environment text, p_id uuid, p_body text, p_event_id text, p_snapshots payments_private.snapshot[], OUT processing_status text, OUT error text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.type_of_kind(p_kind text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.unclaim_by_hand() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.update_linked_rows(p_environment text, p_account_id text, p_object_type text, p_object_id text, p_data jsonb, p_key text, p_previous jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.updates_are_watched() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.upsert_claim(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot, p_claims payments_private.customer_claims[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.upsert_customer_statement(p_environment text, p_account text, p_customer_id text, p_at timestamp with time zone, p_subject_key text, p_is_newest boolean, p_is_change boolean, p_claims payments_private.customer_claims[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.upsert_invoice_claim(p_environment text, p_account text, p_invoice_id text, p_data jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.upsert_own_claim(p_environment text, p_account text, p_snapshot payments_private.snapshot, p_newest payments_private.snapshot, p_claims payments_private.customer_claims[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.validation_statements(p_link payments_private.linked_tables) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.wait_for_locks(p_keys bigint[], p_shared bigint[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.wait_for_locks_until(p_deadline timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.wanted_values(l payments_private.linked_tables, p_row jsonb) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.was_taken_later(p_facts payments_private.payment_facts, p_snapshot payments_private.snapshot) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.with_contents(p_snapshots payments_private.snapshot[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.with_credits(p_rows payments.transactions[], p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.with_lines_of(p_new payments_private.payment_facts, p_old payments_private.payment_facts) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.with_money(t payments.transactions, p_heir boolean, p_share bigint, p_parts payments_private.payment_facts[], m payments_private.payment_members, o payments_private.payment_outcome) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.with_row_ids(p_events payments_private.incoming[], p_ids uuid[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.with_shared_bills(p_bills text[], p_group payments_private.payment_facts[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.worker_asks() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.write_links_anew() FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.write_lookup(p_subject_type text, p_thing text, p_owner name, p_body text) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.write_transaction(p_row payments.transactions, p_stored payments.transactions[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION payments_private.wrong_link(p_field text, p_what text, p_hint text) FROM PUBLIC;

GRANT SELECT ON TABLE payments_private.transactions_of_own_accounts TO payments_admin;

GRANT SELECT ON TABLE payments.account_transactions TO payments_admin;

GRANT SELECT ON TABLE payments.audit_log TO payments_admin;

GRANT SELECT ON TABLE payments.customer_mappings TO payments_admin;

GRANT SELECT ON TABLE payments.customers TO payments_admin;

GRANT SELECT ON TABLE payments_private.stashed_events TO payments_admin;

GRANT SELECT ON TABLE payments.dead_events TO payments_admin;

GRANT SELECT ON TABLE payments.linked_tables TO payments_admin;

GRANT SELECT ON TABLE payments_private.stored_objects TO payments_admin;

GRANT SELECT ON TABLE payments.stripe_objects TO payments_admin;

GRANT SELECT ON TABLE payments.stripe_payment_methods TO payments_admin;

GRANT SELECT ON TABLE payments.stripe_prices TO payments_admin;

GRANT SELECT ON TABLE payments.stripe_products TO payments_admin;

GRANT SELECT ON TABLE payments.stripe_subscription_items TO payments_admin;

GRANT SELECT ON TABLE payments.stripe_subscriptions TO payments_admin;
