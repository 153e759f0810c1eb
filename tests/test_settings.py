"""Settings come from the environment under the documented names, and say no without showing a secret."""

import base64

import pytest

from pg_payments.errors import ConfigurationError
from pg_payments.settings import Settings

MASTER = base64.urlsafe_b64encode(bytes(32)).decode()


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields:
        for name in (f"PAYMENTS_{field}", field):
            monkeypatch.delenv(name.upper(), raising=False)


def test_the_database_has_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="set PAYMENTS_DATABASE_URL"):
        Settings.load().required_database_url()
    monkeypatch.setenv("DATABASE_URL", "postgresql:///second")
    assert Settings.load().required_database_url() == "postgresql:///second"
    monkeypatch.setenv("PAYMENTS_DATABASE_URL", "postgresql:///first")
    assert Settings.load().required_database_url() == "postgresql:///first"


def test_only_the_database_has_a_name_without_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JWT_SECRET", "ADMIN_API_KEY", "PUBLIC_URL"):
        monkeypatch.setenv(name, "somebody else's")
    settings = Settings.load()
    assert (settings.jwt_secret, settings.admin_api_key, settings.public_url) == (None, None, None)
    monkeypatch.setenv("PAYMENTS_JWT_SECRET", "ours" * 8)
    secret = Settings.load().jwt_secret
    assert secret is not None
    assert secret.get_secret_value() == "ours" * 8


def test_an_empty_variable_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_PUBLIC_URL", "")
    assert Settings.load().public_url is None


@pytest.mark.parametrize("around", ["{}\n", "\t{} ", "\r\n{}\r\n"], ids=repr)
@pytest.mark.parametrize("field", ["admin_api_key", "jwt_secret", "master_key", "jwks_url", "jwt_issuer", "public_url"])
def test_white_space_around_is_no_part(monkeypatch: pytest.MonkeyPatch, around: str, field: str) -> None:
    own = {"master_key": MASTER, "jwks_url": "https://auth.example/keys"}
    value = own.get(field, "a value with-a-space, long enough")
    monkeypatch.setenv(f"PAYMENTS_{field}".upper(), around.format(value))
    found = getattr(Settings.load(), field)
    assert (found if isinstance(found, str) else found.get_secret_value()) == value


@pytest.mark.parametrize("value", [" ", "\n", " \t\r\n"], ids=repr)
def test_white_space_alone_is_none_at_all(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    for name in ("PAYMENTS_ADMIN_API_KEY", "PAYMENTS_JWT_ROLES", "PAYMENTS_POOL_SIZE", "STRIPE_TEST_SECRET_KEY"):
        monkeypatch.setenv(name, value)
    assert Settings.load() == Settings()
    assert (Settings.load().admin_api_key, Settings.load().pool_size) == (None, 10)
    assert not Settings.load().has_stripe_key("test")


@pytest.mark.parametrize("key", ["a\nb", "a\tb", "ключ", "\x7f"], ids=repr)
def test_an_admin_key_that_no_header_carries_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("PAYMENTS_ADMIN_API_KEY", key)
    with pytest.raises(ConfigurationError, match="PAYMENTS_ADMIN_API_KEY"):
        Settings.load()


def test_webhook_secrets_while_one_is_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.load().webhook_secrets("test") == []
    monkeypatch.setenv("STRIPE_TEST_WEBHOOK_SECRET", "whsec_old, whsec_new,")
    assert Settings.load().webhook_secrets("test") == ["whsec_old", "whsec_new"]
    assert Settings.load().webhook_secrets("live") == []
    monkeypatch.setenv("STRIPE_TEST_WEBHOOK_SECRET", "whsec_old\r\nwhsec_new\n")
    assert Settings.load().webhook_secrets("test") == ["whsec_old", "whsec_new"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_TEST_SECRET_KEY", '"sk_test_quoted"'),
        ("STRIPE_TEST_SECRET_KEY", "\ufeffsk_test_after_a_mark"),
        ("STRIPE_LIVE_SECRET_KEY", "sk_live_with\u200ba_space_of_no_width"),
        ("STRIPE_TEST_SECRET_KEY", "sk_test_broken\nin_two"),
        ("STRIPE_TEST_WEBHOOK_SECRET", "'whsec_quoted'"),
        ("STRIPE_LIVE_WEBHOOK_SECRET", "whsec_good, \ufeffwhsec_after_a_mark"),
        ("STRIPE_LIVE_WEBHOOK_SECRET", "whsec_good whsec_other"),
        ("STRIPE_API_BASE", "127.0.0.1:12111"),
        ("PAYMENTS_JWKS_URL", "file:///etc/passwd"),
        ("PAYMENTS_JWKS_URL", "https:///keys"),
    ],
)
def test_what_can_never_work_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as refused:
        Settings.load()
    assert refused.value.detail == name
    assert value.strip("'\"") not in str(refused.value)


@pytest.mark.parametrize(
    ("slot", "key"),
    [
        ("STRIPE_LIVE_SECRET_KEY", "sk_test_hush"),
        ("STRIPE_LIVE_SECRET_KEY", "rk_test_hush"),
        ("STRIPE_TEST_SECRET_KEY", "sk_live_hush"),
        ("STRIPE_TEST_SECRET_KEY", "rk_live_hush"),
    ],
)
def test_a_key_in_the_wrong_slot_is_refused(monkeypatch: pytest.MonkeyPatch, slot: str, key: str) -> None:
    monkeypatch.setenv(slot, key)
    with pytest.raises(ConfigurationError, match=slot) as refused:
        Settings.load()
    assert "hush" not in str(refused.value)


def test_keys_in_their_own_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_TEST_SECRET_KEY", "sk_test_1")
    assert Settings.load().stripe_secret_key("test") == "sk_test_1"
    with pytest.raises(ConfigurationError, match="STRIPE_LIVE_SECRET_KEY is not set"):
        Settings.load().stripe_secret_key("live")
    assert "sk_test_1" not in repr(Settings.load())


@pytest.mark.parametrize("value", ["many", "0", "-1"])
def test_a_wrong_number_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PAYMENTS_MAX_BODY_BYTES", value)
    with pytest.raises(ConfigurationError, match=r"^PAYMENTS_MAX_BODY_BYTES: ") as refused:
        Settings.load()
    assert refused.value.detail == "PAYMENTS_MAX_BODY_BYTES"


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("", []),
        (" , ", []),
        ("*", ["*"]),
        (
            "https://shop.example, http://localhost:3000,https://xn--lden-6qa.example:8443",
            ["https://shop.example", "http://localhost:3000", "https://xn--lden-6qa.example:8443"],
        ),
        ("http://127.0.0.1:5173,http://[::1]:5173", ["http://127.0.0.1:5173", "http://[::1]:5173"]),
        ("capacitor://localhost", ["capacitor://localhost"]),
    ],
)
def test_origins_of_pages(monkeypatch: pytest.MonkeyPatch, value: str, origins: list[str]) -> None:
    assert Settings.load().browser_origins() == []
    monkeypatch.setenv("PAYMENTS_CORS_ORIGINS", value)
    assert Settings.load().browser_origins() == origins


@pytest.mark.parametrize(
    "wrong",
    [
        "shop.example",
        "//shop.example",
        "https:shop.example",
        "https://",
        "https://shop.example/",
        "https://shop.example/sesame",
        "https://shop.example?sesame",
        "https://shop.example#sesame",
        "https://sesame:sesame@shop.example",
        "https://Shop.example",
        "HTTPS://shop.example",
        "https://läden.example",
        "https://*.shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://shop.example:",
        "https://shop.example:x",
        "https://shop.example https://other.example",
        "https://shop.example\nhttps://other.example",
        "null",
        "**",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("PAYMENTS_CORS_ORIGINS", f"https://first.example,{wrong}")
    with pytest.raises(ConfigurationError, match=r"^PAYMENTS_CORS_ORIGINS: number 2 is no origin") as refused:
        Settings.load()
    assert refused.value.detail == "PAYMENTS_CORS_ORIGINS"
    assert "\n" not in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_every_origin_is_not_one_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_CORS_ORIGINS", "https://shop.example,*")
    with pytest.raises(ConfigurationError, match=r"^PAYMENTS_CORS_ORIGINS: '\*' means every origin"):
        Settings.load()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PAYMENTS_JWT_SECRET", "a", "at least 32"),
        ("PAYMENTS_JWT_SECRET", "x" * 31, "has 31 characters"),
        ("PAYMENTS_JWT_SECRET", "  " + "x" * 31 + "\n", "has 31 characters"),
        ("PAYMENTS_ADMIN_API_KEY", "b", "at least 20"),
        ("PAYMENTS_ADMIN_API_KEY", "x" * 19, "has 19 characters"),
        ("PAYMENTS_MASTER_KEY", "too short", "32 bytes"),
        ("PAYMENTS_MASTER_KEY", base64.urlsafe_b64encode(bytes(31)).decode(), "32 bytes"),
        ("PAYMENTS_MASTER_KEY", MASTER + ",short", "number 2"),
    ],
)
def test_a_secret_that_can_be_guessed_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=said) as refused:
        Settings.load()
    assert refused.value.detail == variable
    assert len(value) == 1 or value.strip() not in refused.value.message


@pytest.mark.parametrize("role", ["payments_owner", "payments_service", "payments_keys"])
def test_no_token_may_act_as_a_server_or_owner(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    monkeypatch.setenv("PAYMENTS_JWT_ROLES", f"authenticated,anon, {role}")
    with pytest.raises(ConfigurationError, match=role):
        Settings.load()


def test_secrets_just_long_enough_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYMENTS_JWT_SECRET", "x" * 32)
    monkeypatch.setenv("PAYMENTS_ADMIN_API_KEY", "x" * 20)
    monkeypatch.setenv("PAYMENTS_MASTER_KEY", MASTER)
    monkeypatch.setenv("PAYMENTS_KEYS_ROLES", "support, owner")
    settings = Settings.load()
    assert settings.roles_that_replace_keys() == {"support", "owner"}
