"""One API call as the handlers see it, and its answer. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from suppli_sandbox.serving import Reply
from suppli_sandbox.square.errors import SquareError, bad_request
from suppli_sandbox.square.tokens import AccessToken
from suppli_sandbox.square.world import Merchant, World
from suppli_sandbox.times import parse_us

Json = dict[str, Any]


@dataclass(slots=True)
class Call:
    """A request on its way to a handler."""

    world: World
    now_us: int
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    base_url: str = ""

    @property
    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer`, or None."""
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if kind.lower() == "bearer" and value else None

    def body(self) -> Json:
        """Return the JSON object that was sent. Raises 400 EXPECTED_JSON_BODY or EXPECTED_OBJECT."""
        try:
            content = msgspec.json.decode(self.raw or b"null")
        except msgspec.DecodeError as error:
            raise bad_request("EXPECTED_JSON_BODY", "The request body is not valid JSON.") from error
        if content is None:
            raise bad_request("EXPECTED_JSON_BODY", "This endpoint expects a JSON body.")
        if not isinstance(content, dict):
            raise bad_request("EXPECTED_OBJECT", "The request body must be a JSON object.")
        return content

    def authorize(self, scope: str | None = None) -> Merchant:
        """Return the token's merchant. Raises 401 for the token, 403 when it lacks the scope."""
        token = self.token()
        if scope is not None and scope not in token.scopes:
            detail = f"The merchant has not given your application the required scope: {scope}."
            raise SquareError(403, "INSUFFICIENT_SCOPES", detail)
        return self.world.merchant_of_token(token.merchant_id)

    def token(self) -> AccessToken:
        """Return the live token that was presented. Raises 401."""
        return self.world.tokens.bearer(self.bearer, self.now_us)


Handler = Callable[[Call], Reply]


def text(content: Json, name: str, field_path: str | None = None, *, required: bool = False) -> str | None:
    """Return a string of a body. Raises 400 MISSING_REQUIRED_PARAMETER or EXPECTED_STRING."""
    value = content.get(name)
    path = field_path or name
    if value is None:
        if required:
            raise bad_request("MISSING_REQUIRED_PARAMETER", f"Missing required parameter `{path}`.", path)
        return None
    if not isinstance(value, str):
        raise bad_request("EXPECTED_STRING", f"Expected a string for `{path}`.", path)
    return value


def flag(content: Json, name: str, *, default: bool = False) -> bool:
    """Return a boolean of a body. Raises 400 EXPECTED_BOOLEAN."""
    value = content.get(name, default)
    if not isinstance(value, bool):
        raise bad_request("EXPECTED_BOOLEAN", f"Expected a boolean for `{name}`.", name)
    return value


def section(content: Json, name: str, field_path: str) -> Json:
    """Return an object of a body, empty when absent. Raises 400 EXPECTED_OBJECT."""
    value = content.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_request("EXPECTED_OBJECT", f"Expected an object for `{field_path}`.", field_path)
    return value


def texts(content: Json, name: str, field_path: str, *, limit: int | None = None) -> list[str]:
    """Return a list of strings, empty when absent. Raises 400 for another type or too many of them."""
    value = content.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad_request("EXPECTED_ARRAY", f"Expected an array for `{field_path}`.", field_path)
    if limit is not None and len(value) > limit:
        detail = f"Array must have at most {limit} elements (actual: {len(value)})."
        raise bad_request("ARRAY_LENGTH_TOO_LONG", detail, field_path)
    for index, entry in enumerate(value):
        if not isinstance(entry, str):
            raise bad_request("EXPECTED_STRING", "Expected a string.", f"{field_path}[{index}]")
    return value


def instant(content: Mapping[str, Any], name: str, field_path: str) -> int | None:
    """Return an instant in microseconds. Raises 400 INVALID_TIME with the dotted field."""
    value = content.get(name)
    if value is None:
        return None
    try:
        return parse_us(value)
    except (ValueError, TypeError) as error:
        detail = f"`{value}` is not a valid RFC 3339 timestamp."
        raise bad_request("INVALID_TIME", detail, field_path) from error


def only_known(content: Json, known: frozenset[str], prefix: str = "") -> None:
    """Refuse fields the API does not know. Raises 400 UNKNOWN_BODY_PARAMETER."""
    for name in content:
        if name not in known:
            path = prefix + name
            raise bad_request("UNKNOWN_BODY_PARAMETER", f"Unrecognized field `{path}`.", path)
