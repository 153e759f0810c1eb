"""What a form sent, once it is certain that one of our own pages sent it."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from pg_payments.errors import BodyTooLarge, Forbidden, InvalidRequest

LARGEST = 64 * 1024
FIELDS = 400


class Form(dict[str, str]):
    """The fields of a form; the last of a name counts. `several` has all of them."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self._pairs = pairs

    def several(self, name: str) -> list[str]:
        return [value for given, value in self._pairs if given == name]

    def text(self, name: str, longest: int = 500) -> str | None:
        """A field without the blanks around it; None where it is empty. Raises `InvalidRequest`."""
        value = self.get(name, "").strip()
        if "\0" in value or len(value) > longest:
            raise InvalidRequest(f"{name}: too long, or with a character that can't be stored", detail=name)
        return value or None

    def needed(self, name: str, longest: int = 500) -> str:
        value = self.text(name, longest)
        if value is None:
            raise InvalidRequest(f"{name}: please say something here", detail=name)
        return value


async def form_of(request: Request) -> Form:
    """The form in the body. Raises `Forbidden` for one of another site's page, `BodyTooLarge`, `InvalidRequest`."""
    # browsers say so themselves, and pages can't change it (Fetch Metadata Request Headers)
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("this form was sent by a page of another site", hint="send it from the dashboard")
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise InvalidRequest("this is not a form of the dashboard")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise BodyTooLarge("the form is too large")
    try:
        return Form(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError:
        raise InvalidRequest("this is not a form of the dashboard") from None
