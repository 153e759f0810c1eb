"""What can go wrong, as classes: SQLSTATE → exception → HTTP status, never by matching text.

Our SQL raises in its own SQLSTATE class ``PY`` with MESSAGE = what happened, DETAIL = the ids (or the offending
field) and HINT = what to do next; the three travel on the exception as ``message``, ``detail`` and ``hint``.
"""

from datetime import datetime
from typing import ClassVar, Self

import psycopg


class PaymentsError(Exception):
    """Base of every error this package raises on purpose.

    ``code`` is the stable name clients see, ``http_status`` what the HTTP layer answers,
    ``sqlstate`` the SQLSTATE the class stands for (None when it arises in Python only).
    """

    sqlstate: ClassVar[str | None] = None
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str, *, detail: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint

    @classmethod
    def from_diagnostic(cls, error: psycopg.Error) -> Self:
        """The same error with what the server said about it."""
        diag = error.diag
        return cls(diag.message_primary or str(error), detail=diag.message_detail, hint=diag.message_hint)


class InvalidRequest(PaymentsError):
    """The request itself is wrong; ``detail`` names the offending field."""

    sqlstate, http_status, code = "PY001", 400, "INVALID_REQUEST"


class Forbidden(PaymentsError):
    """The caller is known and may not do this."""

    sqlstate, http_status, code = "PY002", 403, "FORBIDDEN"


class IdempotencyConflict(PaymentsError):
    """The idempotency key was already used for another request."""

    sqlstate, http_status, code = "PY003", 409, "IDEMPOTENCY_CONFLICT"


class CustomerMappingNotFound(PaymentsError):
    """The billing subject has no Stripe customer yet."""

    sqlstate, http_status, code = "PY004", 404, "CUSTOMER_MAPPING_NOT_FOUND"


class NotFound(PaymentsError):
    """No such row, or none that the caller may know of."""

    sqlstate, http_status, code = "PY005", 404, "NOT_FOUND"


class ProductNotFound(NotFound):
    """The mirror has no such product. Clients take a bare ``NOT_FOUND`` for an address that nobody serves."""

    code = "PAYMENT_PRODUCT_NOT_FOUND"


class PriceNotFound(NotFound):
    """The mirror has no such price."""

    code = "PAYMENT_PRICE_NOT_FOUND"


class ConfigNotFound(NotFound):
    """The environment has no stored key."""

    code = "PAYMENT_CONFIG_NOT_FOUND"


class Conflict(PaymentsError):
    """The row is in a state that does not allow it, such as a processed event, which is frozen."""

    sqlstate, http_status, code = "PY006", 409, "CONFLICT"


class InvalidPayload(PaymentsError):
    """A body with a good signature that is not a Stripe event."""

    sqlstate, http_status, code = "PY007", 400, "INVALID_PAYLOAD"


class LivemodeMismatch(PaymentsError):
    """A test event at the live endpoint, or the reverse."""

    sqlstate, http_status, code = "PY008", 400, "LIVEMODE_MISMATCH"


class StaleRegistration(PaymentsError):
    """A registered table or column is gone or has changed since it was registered."""

    sqlstate, http_status, code = "PY009", 500, "STALE_REGISTRATION"


class LinkedValueRefused(PaymentsError):
    """A linked column was to hold something that Stripe's object does not say."""

    sqlstate, http_status, code = "PY010", 409, "LINKED_VALUE_REFUSED"


class LinkedObjectNotFound(PaymentsError):
    """No stored object that the caller may link to has this id."""

    sqlstate, http_status, code = "PY011", 404, "LINKED_OBJECT_NOT_FOUND"


class TableTooLarge(PaymentsError):
    """The table is to be linked in steps, by ``pg-payments link``."""

    sqlstate, http_status, code = "PY012", 409, "TABLE_TOO_LARGE"


class TooManyPushes(PaymentsError):
    """A transaction would push more rows to Stripe than it said."""

    sqlstate, http_status, code = "PY013", 409, "TOO_MANY_PUSHES"


class NotInTime(PaymentsError):
    """What was waited for has not come about in time."""

    sqlstate, http_status, code = "PY014", 504, "NOT_IN_TIME"


class LockNotAvailable(PaymentsError):
    """Another session holds a lock for too long; ``message`` names it. Nothing was done, trying again is safe."""

    sqlstate, http_status, code = "55P03", 503, "LOCK_NOT_AVAILABLE"


class DatabaseUnavailable(PaymentsError):
    """The database cannot be reached or written now; nothing was acknowledged, trying again is safe."""

    http_status, code = 503, "DATABASE_UNAVAILABLE"


class PoolBusy(DatabaseUnavailable):
    """All connections of this process are busy; the database is not to blame."""

    code = "OVERLOADED"


class NotSignedIn(PaymentsError):
    """No token, or one that does not verify. By this code the public SDK knows that it is to refresh its session."""

    http_status, code = 401, "AUTH_UNAUTHORIZED"


class SignatureMissing(PaymentsError):
    """A webhook delivery without a ``Stripe-Signature`` header."""

    http_status, code = 401, "SIGNATURE_MISSING"


class SignatureInvalid(PaymentsError):
    """A webhook delivery whose signature is wrong or too old."""

    sqlstate, http_status, code = "PY015", 400, "SIGNATURE_INVALID"


class BodyTooLarge(PaymentsError):
    """A delivery over ``PAYMENTS_MAX_BODY_BYTES``, or another body over 64 KiB."""

    http_status, code = 413, "BODY_TOO_LARGE"


class BodyTooSlow(PaymentsError):
    """A request body that did not arrive in time."""

    http_status, code = 408, "BODY_TOO_SLOW"


class ConfigurationError(PaymentsError):
    """A setting is missing or contradicts itself; ``detail`` names it."""

    code = "CONFIGURATION_ERROR"


class StripeKeyMissing(ConfigurationError):
    """The environment has no key, so that nothing can be asked of Stripe in it."""

    http_status, code = 400, "PAYMENT_CONFIG_INVALID"


class RoleRefused(ConfigurationError):
    """The login of this process may not act as a caller's role, or there is no such role."""


class StripeRefused(PaymentsError):
    """Stripe answered with an error; ``status`` and the message are Stripe's own, ``detail`` its code.

    ``at`` is the time of the answer by Stripe's clock, None when there was no answer. ``retry_after`` is the wait in
    seconds that Stripe asks for, ``replayed`` says that the answer is the one to an earlier request with the same key,
    ``request_id`` is Stripe's name of the request.
    """

    http_status, code = 502, "STRIPE_ERROR"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        detail: str | None = None,
        hint: str | None = None,
        at: datetime | None = None,
        retry_after: float | None = None,
        replayed: bool = False,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, detail=detail, hint=hint)
        self.request_id = request_id
        self.status = status or self.http_status
        self.at = at
        self.retry_after = retry_after
        self.replayed = replayed


class StripeKeyReused(StripeRefused):
    """Stripe knows the idempotency key from another request; the message is Stripe's own."""

    http_status, code = 409, "IDEMPOTENCY_CONFLICT"


class AnswerUnstorable(PaymentsError):
    """Stripe's answer holds what ``jsonb`` cannot, such as \\u0000. What Stripe was asked to do is done."""

    http_status, code = 502, "STRIPE_ANSWER_UNSTORABLE"


class MigrationError(PaymentsError):
    """The schema cannot be brought to this version: edited or failing migrations, missing rights."""

    code = "MIGRATION_ERROR"


UNSTORABLE = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex)
"""What Postgres raises for a JSON text that ``jsonb`` cannot hold."""

MASTER_KEY_HINT = "make one: openssl rand -base64 32 | tr '+/' '-_'"

INSUFFICIENT_PRIVILEGE = "42501"
CONNECTION_EXCEPTION_CLASS = "08"
OPERATOR_INTERVENTION_SHUTDOWN = "57P"
INSUFFICIENT_RESOURCES_CLASS = "53"  # disk, memory, connections
IO_ERROR = "58030"
READ_ONLY = "25006"  # a standby, before or after a failover
PLPROXY = "plproxy_error_with_state"
"""Where PL/Proxy raises that a machine can't be reached; it has no SQLSTATE of its own for that."""

BY_SQLSTATE: dict[str, type[PaymentsError]] = {
    error.sqlstate: error for error in PaymentsError.__subclasses__() if error.sqlstate is not None
} | {INSUFFICIENT_PRIVILEGE: Forbidden}


def from_database_error(error: psycopg.Error) -> PaymentsError | None:
    """The package's own error for what the database raised, or None when it is not one a caller can act on."""
    sqlstate = error.sqlstate
    if sqlstate is None:
        # libpq failed before the server could answer: refused, timed out or cut off
        return DatabaseUnavailable(_first_line(error)) if isinstance(error, psycopg.OperationalError) else None
    if sqlstate in BY_SQLSTATE:
        return BY_SQLSTATE[sqlstate].from_diagnostic(error)
    if sqlstate.startswith((CONNECTION_EXCEPTION_CLASS, OPERATOR_INTERVENTION_SHUTDOWN, INSUFFICIENT_RESOURCES_CLASS)):
        return DatabaseUnavailable.from_diagnostic(error)
    if sqlstate in (READ_ONLY, IO_ERROR) or error.diag.source_function == PLPROXY:
        return DatabaseUnavailable.from_diagnostic(error)
    return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
