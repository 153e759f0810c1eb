"""The request bodies of the HTTP interface: names and types. Whether the values make sense is for SQL to say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from pg_payments.errors import InvalidRequest


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("may not contain a NUL character")
    return text


class _NeverNull:
    """Takes null out of what `T | None` accepts."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        nullable: Any = handler(source)
        return cast(CoreSchema, nullable["schema"])


T = TypeVar("T")
Text = Annotated[str, AfterValidator(_storable)]
Some = Annotated[T | None, _NeverNull()]
"""A member that may be left out, but says something where it is there."""
BIGGEST_INTEGER = 2**31 - 1
BIGGEST_EXACT = 2**53 - 1
"""Of the integers that every reader of JSON takes as they are."""

MEMBERS = {
    "line_items": "lineItems", "success_url": "successUrl", "cancel_url": "cancelUrl", "subject_type": "subject.type",
    "subject_id": "subject.id", "customer_email": "customerEmail", "idempotency_key": "idempotencyKey",
    "return_url": "returnUrl", "configuration_id": "configuration", "guest_secret": "X-Payments-Guest-Secret",
    "account_id": "account",
}  # fmt: skip
"""SQL's names of what a body calls otherwise."""


class Body(BaseModel):
    """Members in camelCase, none unknown, none converted from another type."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True)


class Subject(Body):
    type: Text
    id: Text


class LineItem(Body):
    price_id: Text
    quantity: int = Field(default=1, le=BIGGEST_INTEGER)


class CheckoutBody(Body):
    mode: Text
    line_items: list[LineItem]
    success_url: Text
    cancel_url: Text
    subject: Subject | None = None
    customer_email: Text | None = None
    metadata: dict[Text, Text] | None = None
    idempotency_key: Text | None = None
    account: Text | None = None


class PortalBody(Body):
    subject: Subject
    return_url: Text | None = None
    configuration: Text | None = None
    account: Text | None = None


class KeyBody(Body):
    secret_key: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[rs]k_(test|live)_[A-Za-z0-9_]+$")]


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_storable)]
Key = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_storable)]
Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=5000), AfterValidator(_storable)]
Currency = Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern="^[A-Za-z]{3}$")]
MetadataKey = Annotated[str, StringConstraints(pattern=r"^[^\[\]]{1,40}$"), AfterValidator(_storable)]
MetadataValue = Annotated[str, StringConstraints(max_length=500), AfterValidator(_storable)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=50)]
"""What Stripe takes (API reference: Metadata). In a change, keys not named stay, and an empty value takes one away."""


class NewProduct(Body):
    name: Name
    description: Description | None = None
    active: Some[bool] = None
    metadata: Some[Metadata] = None
    idempotency_key: Some[Key] = None


class Recurring(Body):
    interval: Literal["day", "week", "month", "year"]
    interval_count: Some[Annotated[int, Field(ge=1, le=BIGGEST_INTEGER)]] = None


TaxBehavior = Literal["exclusive", "inclusive", "unspecified"]


class NewPrice(Body):
    product_id: Name
    currency: Currency
    unit_amount: Annotated[int, Field(ge=0, le=BIGGEST_EXACT)]
    lookup_key: Key | None = None
    active: Some[bool] = None
    recurring: Some[Recurring] = None
    tax_behavior: Some[TaxBehavior] = None
    metadata: Some[Metadata] = None
    idempotency_key: Some[Key] = None


class Change(Body):
    """Of what is named only; null takes away."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names nothing to change")
        return self


class ProductChange(Change):
    name: Some[Name] = None
    description: Description | None = None
    active: Some[bool] = None
    metadata: Some[Metadata] = None


class PriceChange(Change):
    active: Some[bool] = None
    lookup_key: Key | None = None
    tax_behavior: Some[TaxBehavior] = None
    metadata: Some[Metadata] = None


class IdempotencyHeader(BaseModel):
    """The header that any change may carry."""

    idempotency_key: Some[Key] = Field(default=None, alias="Idempotency-Key")


class AccountQuery(BaseModel):
    """The query of what is of the environment's own account, or of a connected one."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    account: Some[Name] = None


class PriceQuery(AccountQuery):
    """The query of the list of prices: all, or one product's."""

    product_id: Some[Name] = None


class ListQuery(BaseModel):
    """The query of a list: a subject is named by both of its parts. `account` is a connected one, or `all`."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    limit: int = Field(default=50, ge=1, le=100)
    subject_type: Text | None = None
    subject_id: Text | None = None
    account: Name | None = None


M = TypeVar("M", bound=BaseModel)


def parsed(raw: bytes, kind: type[M]) -> M:
    """The body of a request. Raises `InvalidRequest`, which names the member at fault as `lineItems[0].priceId`."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        raise _named(error, "body") from None


def queried(parameters: Mapping[str, str], kind: type[M]) -> M:
    """The query of a request. Raises `InvalidRequest`, which names the parameter at fault."""
    try:
        found = kind.model_validate(dict(parameters))
    except ValidationError as error:
        raise _named(error, "query") from None
    if isinstance(found, ListQuery) and (found.subject_type is None) != (found.subject_id is None):
        field = "subjectId" if found.subject_id is None else "subjectType"
        raise InvalidRequest(f"{field}: subjectType and subjectId go together", detail=field)
    return found


def _named(error: ValidationError, whole: str) -> InvalidRequest:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"]).lstrip(".")
    field = path or whole
    return InvalidRequest(f"{field}: {fault['msg']}", detail=field)


def member(field: str) -> str:
    """The member of a body that SQL's name of a field means: `line_items[0].price` is `lineItems[0].priceId`."""
    name = re.split(r"\W", field, maxsplit=1)[0]
    rest = field.removeprefix(name)
    return MEMBERS.get(name, name) + (rest.replace(".price", ".priceId") if name == "line_items" else rest)
