"""Settings, read from environment variables only (no ``.env`` file)."""

import base64
import re
from typing import Literal, Self, get_args

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticUseDefault
from pydantic_settings import BaseSettings, SettingsConfigDict

from pg_payments.errors import MASTER_KEY_HINT, ConfigurationError, StripeKeyMissing

Environment = Literal["test", "live"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)

MASTER_KEY_BYTES = 32
LENGTHS = {"jwt_secret": 32, "admin_api_key": 20}
"""The least characters of a secret; a shorter one can be found by trying."""
NOT_FOR_TOKENS = frozenset({"payments_owner", "payments_service", "payments_keys"})
"""Groups that no token may act as: what they may do is for servers and owners."""

ACCOUNT_KEY = re.compile(r"(?P<account>acct_[A-Za-z0-9_]+) *= *(?P<key>[rs]k_(?P<mode>test|live)_[A-Za-z0-9_]+)")
"""An account and the key of its own."""

ACCOUNT_SECRET = re.compile(r"(?P<account>acct_[A-Za-z0-9_]+) *= *(?P<secret>whsec_[!-~]{16,})")
"""An account and the signing secret of an endpoint of its own."""

ORIGIN = re.compile(
    r"(?!http://[^/]*:80$|https://[^/]*:443$)"
    r"[a-z][a-z0-9+.-]*://([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])(:[1-9][0-9]{0,4})?"
)
"""An origin as browsers send it (the HTML standard: Origin, serialization): without the scheme's own port."""


class Settings(BaseSettings):
    """Every setting of the package; ``Settings()`` reads the environment.

    Raises ``ConfigurationError`` for a Stripe key in the wrong slot, pydantic's ``ValidationError`` (which never
    quotes a value) for anything unparsable; ``load`` turns the latter into the former.
    """

    model_config = SettingsConfigDict(
        env_prefix="PAYMENTS_",
        env_ignore_empty=True,
        extra="ignore",
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    database_url: str | None = Field(
        default=None, validation_alias=AliasChoices("PAYMENTS_DATABASE_URL", "DATABASE_URL")
    )

    router_url: str | None = None
    """The database of a router before several machines: for `serve` and `worker`, instead of the database's address."""

    stripe_test_secret_key: SecretStr | None = Field(default=None, validation_alias="STRIPE_TEST_SECRET_KEY")
    stripe_live_secret_key: SecretStr | None = Field(default=None, validation_alias="STRIPE_LIVE_SECRET_KEY")
    stripe_account_keys: SecretStr | None = Field(default=None, validation_alias="STRIPE_ACCOUNT_KEYS")
    """Keys of other accounts' own, sandboxes among them: acct_…=sk_test_…, comma-separated."""
    stripe_account_webhook_secrets: SecretStr | None = Field(
        default=None, validation_alias="STRIPE_ACCOUNT_WEBHOOK_SECRETS"
    )
    """Signing secrets of other accounts' own endpoints: acct_…=whsec_…, comma-separated."""
    stripe_test_webhook_secret: SecretStr | None = Field(default=None, validation_alias="STRIPE_TEST_WEBHOOK_SECRET")
    stripe_live_webhook_secret: SecretStr | None = Field(default=None, validation_alias="STRIPE_LIVE_WEBHOOK_SECRET")
    stripe_api_base: str | None = Field(default=None, validation_alias="STRIPE_API_BASE")

    jwt_secret: SecretStr | None = None
    jwks_url: str | None = None
    jwt_audience: str | None = None
    jwt_issuer: str | None = None
    jwt_roles: str = "authenticated,anon"
    """The database roles that a token may name, comma-separated; any other is refused."""
    jwt_anon_role: str = "anon"
    """The one of them whose callers are guests."""
    keys_roles: str | None = None
    """Those of them whose tokens replace Stripe keys, comma-separated; the administrators' key does in any case."""

    master_key: SecretStr | None = None
    """What stored Stripe keys are encrypted with; several, comma-separated and newest first, while it is changed."""
    admin_api_key: SecretStr | None = None
    public_url: str | None = None
    cors_origins: str | None = None
    """The origins whose pages may call the routes for users and guests, comma-separated, or ``*`` for all."""

    max_body_bytes: int = Field(default=16 * 1024 * 1024, gt=0)
    webhook_tolerance: int = Field(default=300, gt=0)
    """Seconds a webhook's signature stays good."""
    pool_size: int = Field(default=10, gt=0)
    """Database connections that one server process holds at most."""

    dashboard: Literal["off", "on"] = "off"
    """Whether `serve` shows the dashboard."""
    dashboard_prefix: str = "/dashboard"
    """Where."""

    manage_webhooks: Literal["off", "on"] = "on"
    """Whether servers and workers keep the webhook endpoint for `public_url` right by themselves."""
    worker_checkouts: Literal["off", "on"] = "off"
    """Whether the worker asks Stripe for attempts that plain SQL begins."""
    worker_sweep_seconds: int = Field(default=300, ge=0)
    """Seconds between two looks for deliveries that never came; 0: never."""
    worker_sync_hours: int = Field(default=24, ge=0)
    """Hours between two syncs; 0: never."""
    worker_accounts: Literal["off", "on"] = "on"
    """Whether connected accounts that events told of are swept and synced too."""
    worker_purge_days: int | None = Field(default=None, ge=7)
    """Days after which settled events leave the ledger; unset: they stay."""
    worker_purge_guests_days: int | None = Field(default=None, ge=2)
    """Days after which guests' attempts go that were never paid; unset: they stay."""

    @classmethod
    def load(cls) -> Self:
        """The settings of this process, with every complaint as a one-line ``ConfigurationError``."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = str(first["loc"][0]).upper()
            variable = name if name.startswith(("STRIPE_", "PAYMENTS_")) else f"PAYMENTS_{name}"
            raise ConfigurationError(f"{variable}: {first['msg']}", detail=variable) from None

    @field_validator("*", mode="before")
    @classmethod
    def _white_space_around_is_no_part(cls, value: object) -> object:
        # what was written with echo ends in a newline, which no header carries
        if not isinstance(value, str | SecretStr):
            return value
        text = (value if isinstance(value, str) else value.get_secret_value()).strip()
        if not text:
            raise PydanticUseDefault
        return text if isinstance(value, str) else SecretStr(text)

    @model_validator(mode="after")
    def _a_header_carries_the_admin_key(self) -> Self:
        key = _reveal(self.admin_api_key) or ""
        if not key.isascii() or not key.isprintable():
            name = "PAYMENTS_ADMIN_API_KEY"
            raise ConfigurationError(f"{name} holds a character that no HTTP header carries", detail=name)
        return self

    @model_validator(mode="after")
    def _what_is_stripes_is_as_stripe_gave_it(self) -> Self:
        # quotes of an env file, a mark before the first letter or a line break within make every request fail later on
        for environment in ENVIRONMENTS:
            name, key = f"STRIPE_{environment.upper()}_SECRET_KEY", self._stripe_key(environment) or ""
            secrets = f"STRIPE_{environment.upper()}_WEBHOOK_SECRET"
            for where, text in [(name, key), *((secrets, each) for each in self.webhook_secrets(environment))]:
                if not re.fullmatch(r"[!-~]*", text) or text.startswith(('"', "'")):
                    raise ConfigurationError(
                        f"{where} holds a quote, white space or a character that Stripe never uses",
                        detail=where,
                        hint="copy it from Stripe's dashboard once more, without quotes",
                    )
        return self

    @model_validator(mode="after")
    def _addresses_are_addresses(self) -> Self:
        for name, url in (("STRIPE_API_BASE", self.stripe_api_base), ("PAYMENTS_JWKS_URL", self.jwks_url)):
            if url is not None and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
                raise ConfigurationError(f"{name} is not an address like https://auth.example", detail=name)
        return self

    @model_validator(mode="after")
    def _secrets_are_long_enough(self) -> Self:
        for field, least in LENGTHS.items():
            secret, name = _reveal(getattr(self, field)), f"PAYMENTS_{field.upper()}"
            if secret is not None and len(secret) < least:
                raise ConfigurationError(
                    f"{name} has {len(secret)} characters and needs at least {least}",
                    detail=name,
                    hint="make one: openssl rand -hex 32",
                )
        for place, key in enumerate(self.master_keys(), start=1):
            try:
                is_key = len(base64.b64decode(key, altchars="-_", validate=True)) == MASTER_KEY_BYTES
            except ValueError:
                is_key = False
            if not is_key:
                raise ConfigurationError(
                    f"PAYMENTS_MASTER_KEY: number {place} is not {MASTER_KEY_BYTES} bytes in base64",
                    detail="PAYMENTS_MASTER_KEY",
                    hint=MASTER_KEY_HINT,
                )
        return self

    @model_validator(mode="after")
    def _the_dashboard_can_be_signed_in_to(self) -> Self:
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", self.dashboard_prefix) or self.dashboard_prefix.startswith("/api"):
            raise ConfigurationError(
                "PAYMENTS_DASHBOARD_PREFIX is not a path like /dashboard",
                detail="PAYMENTS_DASHBOARD_PREFIX",
                hint="begin with a slash, end without one, and leave /api to the HTTP interface",
            )
        if self.dashboard == "on" and not self.master_keys():
            raise ConfigurationError(
                "PAYMENTS_DASHBOARD needs PAYMENTS_MASTER_KEY, which its cookies are signed with",
                detail="PAYMENTS_MASTER_KEY",
                hint=MASTER_KEY_HINT,
            )
        if self.dashboard == "on" and not (self.admin_api_key or self.jwt_secret or self.jwks_url):
            raise ConfigurationError(
                "PAYMENTS_DASHBOARD needs a way to sign in: PAYMENTS_ADMIN_API_KEY, PAYMENTS_JWT_SECRET or "
                "PAYMENTS_JWKS_URL",
                detail="PAYMENTS_ADMIN_API_KEY",
            )
        return self

    @model_validator(mode="after")
    def _tokens_act_as_users(self) -> Self:
        refused = sorted(NOT_FOR_TOKENS & self.accepted_roles())
        if refused:
            raise ConfigurationError(
                f"PAYMENTS_JWT_ROLES: no token may act as {', '.join(refused)}",
                detail="PAYMENTS_JWT_ROLES",
                hint="name the application's own roles, as authenticated,anon",
            )
        return self

    @model_validator(mode="after")
    def _keys_are_in_their_own_slot(self) -> Self:
        for environment, other in (("test", "live"), ("live", "test")):
            key = _reveal(getattr(self, f"stripe_{environment}_secret_key"))
            if key is not None and f"_{other}_" in key[:10]:
                raise ConfigurationError(
                    f"STRIPE_{environment.upper()}_SECRET_KEY holds a {other} key",
                    detail=f"STRIPE_{environment.upper()}_SECRET_KEY",
                    hint=f"put it into STRIPE_{other.upper()}_SECRET_KEY",
                )
        return self

    @model_validator(mode="after")
    def _accounts_have_one_key_each(self) -> Self:
        name, seen = "STRIPE_ACCOUNT_KEYS", set()
        for place, part in enumerate(_several(self.stripe_account_keys), start=1):
            found = ACCOUNT_KEY.fullmatch(part)
            if found is None:
                raise ConfigurationError(f"{name}: number {place} is not like acct_…=sk_test_…", detail=name)
            if found["account"] + found["mode"] in seen:
                raise ConfigurationError(f"{name}: {found['account']} has two {found['mode']} keys", detail=name)
            seen.add(found["account"] + found["mode"])
        return self

    @model_validator(mode="after")
    def _account_secrets_name_their_account(self) -> Self:
        name = "STRIPE_ACCOUNT_WEBHOOK_SECRETS"
        for place, part in enumerate(_several(self.stripe_account_webhook_secrets), start=1):
            if not ACCOUNT_SECRET.fullmatch(part):
                raise ConfigurationError(f"{name}: number {place} is not like acct_…=whsec_…", detail=name)
        return self

    @model_validator(mode="after")
    def _origins_are_as_browsers_send_them(self) -> Self:
        origins = self.browser_origins()
        for place, origin in enumerate(origins, start=1):
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ConfigurationError(
                    f"PAYMENTS_CORS_ORIGINS: number {place} is no origin as browsers send it, as https://shop.example: "
                    "scheme and host in lower case, a port unless it is the scheme's own, no path, no slash at the end",
                    detail="PAYMENTS_CORS_ORIGINS",
                )
        if "*" in origins and len(origins) > 1:
            raise ConfigurationError(
                "PAYMENTS_CORS_ORIGINS: '*' means every origin and stands alone", detail="PAYMENTS_CORS_ORIGINS"
            )
        return self

    def required_database_url(self) -> str:
        """The libpq connection string, or ``ConfigurationError`` naming the variable to set."""
        if self.database_url is None:
            raise ConfigurationError(
                "no database given: set PAYMENTS_DATABASE_URL or use --database-url", detail="PAYMENTS_DATABASE_URL"
            )
        return self.database_url

    def stripe_secret_key(self, environment: Environment) -> str:
        """Stripe's secret or restricted key of one environment, or ``StripeKeyMissing`` when there is none."""
        key = self._stripe_key(environment)
        if key is None:
            name = f"STRIPE_{environment.upper()}_SECRET_KEY"
            hint = f"set {name}, or store a key with PUT /api/payments/stripe/{environment}/config"
            raise StripeKeyMissing(f"{name} is not set", detail=name, hint=hint)
        return key

    def has_stripe_key(self, environment: Environment) -> bool:
        """Whether Stripe can be asked about this environment."""
        return self._stripe_key(environment) is not None

    def _stripe_key(self, environment: Environment) -> str | None:
        return _reveal(self.stripe_live_secret_key if environment == "live" else self.stripe_test_secret_key)

    def account_keys(self, environment: Environment) -> dict[str, str]:
        """The keys that other accounts have of their own, by account; all others are asked with the environment's."""
        found = [ACCOUNT_KEY.fullmatch(part) for part in _several(self.stripe_account_keys)]
        return {each["account"]: each["key"] for each in found if each and each["mode"] == environment}

    def accepted_roles(self) -> frozenset[str]:
        """The database roles that a token may name."""
        return frozenset(_parts(self.jwt_roles))

    def roles_that_replace_keys(self) -> frozenset[str]:
        """The roles whose tokens may replace Stripe keys and the webhook endpoint."""
        return frozenset(_parts(self.keys_roles or ""))

    def browser_origins(self) -> list[str]:
        """The origins whose pages may call us; may be empty, or ``*`` alone."""
        return _parts(self.cors_origins or "")

    def webhook_secrets(self, environment: Environment) -> list[str]:
        """The signing secrets that may have signed a delivery, several while one is rotated; may be empty."""
        return _several(self.stripe_live_webhook_secret if environment == "live" else self.stripe_test_webhook_secret)

    def account_webhook_secrets(self, account: str) -> list[str]:
        """The signing secrets of an account's own endpoint, several while one is rotated; may be empty."""
        found = [ACCOUNT_SECRET.fullmatch(part) for part in _several(self.stripe_account_webhook_secrets)]
        return [each["secret"] for each in found if each and each["account"] == account]

    def master_keys(self) -> list[str]:
        """The keys that stored secrets may be encrypted with, the newest first; may be empty."""
        return _several(self.master_key)


def _several(secrets: SecretStr | None) -> list[str]:
    return [part.strip() for part in re.split("[,\n]", _reveal(secrets) or "") if part.strip()]


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _reveal(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value().strip() if secret is not None else None
