"""One call as the handlers see it. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from suppli_sandbox.clover.errors import bad_request, unauthorized
from suppli_sandbox.clover.world import Merchant, World
from suppli_sandbox.serving import Reply

Json = dict[str, Any]


@dataclass(slots=True)
class Call:
    """A request on its way to a handler. `query` keeps repeated parameters."""

    world: World
    now_us: int
    path: Mapping[str, str]
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    raw: bytes
    base_url: str
    url: str

    def all(self, name: str) -> list[str]:
        """Return every value of a query parameter."""
        return [value for key, value in self.query if key == name]

    def first(self, name: str) -> str | None:
        """Return the first value of a query parameter, or None."""
        return next(iter(self.all(name)), None)

    @property
    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer`, or of the legacy query parameter."""
        kind, _, value = self.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and value:
            return value.strip()
        return self.first("access_token")

    @property
    def merchant_url(self) -> str:
        """The base of every `href` of this merchant."""
        return f"{self.base_url}/v3/merchants/{self.path['merchant_id']}"

    def authorize(self, permission: str) -> Merchant:
        """Return the token's merchant. Raises 401, also for another merchant and a missing permission."""
        token = self.world.tokens.bearer(self.bearer, self.now_us)
        merchant = self.world.merchant_of_token(token.merchant_id)
        held = merchant.permissions if token.permissions is None else token.permissions
        if merchant.id != self.path["merchant_id"] or permission not in held:
            raise unauthorized()
        return merchant

    def body(self) -> Json:
        """Return the JSON object that was sent. Raises 400."""
        try:
            content = msgspec.json.decode(self.raw or b"null")
        except msgspec.DecodeError as error:
            raise bad_request("The request body is not valid JSON.") from error
        if not isinstance(content, dict):
            raise bad_request("The request body must be a JSON object.")
        return content

    def text(self, content: Json, name: str) -> str:
        """Return a string of a body. Raises 400 where it is missing or no string."""
        value = content.get(name)
        if not isinstance(value, str) or not value:
            raise bad_request(f"{name} is required.")
        return value


Handler = Callable[[Call], Reply]
