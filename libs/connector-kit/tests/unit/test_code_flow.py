"""What connectors declare of their provider's tokens and errors, and what the kit makes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import msgspec
import pytest
from suppli_connector_kit.errors import CodeRefused, CredentialsRefused, TokenExpired
from suppli_connector_kit.faults import Fault
from suppli_connector_kit.oauth import CodeFlow, TokenFields, Withdrawal, from_seconds
from suppli_connector_kit.paging import offset_pages, with_others
from suppli_connector_kit.protocol import Application, OrderPage, OrderRef, Tokens
from suppli_connector_kit.testing.reference.connector import MANIFEST
from suppli_contracts.internal import CredentialField

US = Application("us", "s3cret")


class Told(msgspec.Struct):
    code: str

    def fault(self) -> Fault:
        return Fault(self.code)


class Flow(CodeFlow):
    manifest = msgspec.structs.replace(
        MANIFEST,
        credentials=(
            CredentialField(name="shop", label="Shop"),
            CredentialField(name="key", label="Key", secret=True),
        ),
    )
    problem = Told
    codes = {"old": TokenExpired}  # noqa: RUF012
    revoke_path = "/revoke"

    def revocation(self, application: Application, tokens: Tokens) -> Withdrawal:
        return Withdrawal({"id": application.client_id}, {"X-Secret": application.client_secret})


def flow(answer: httpx.Response) -> Flow:
    return Flow(Flow.client("https://a.example", transport=httpx.MockTransport(lambda _: answer)))


def test_the_fields_of_a_token_answer_are_the_providers() -> None:
    """A shop could not be connected, or its tokens be taken for eternal."""
    fields = TokenFields(expires="ends", account="shop", stamp=from_seconds)
    found = fields.read(b'{"access_token":"a","refresh_token":"r","ends":1000,"shop":"S","more":1}')
    assert found == Tokens("a", "r", datetime.fromtimestamp(1000, UTC), account_id="S")


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"access_token":7}', b'{"access_token":"a","ends":"soon"}'])
def test_what_is_no_token_answer_is_refused(body: bytes) -> None:
    """Something else would be stored in place of the tokens that work."""
    with pytest.raises(ValueError):
        TokenFields(expires="ends", stamp=from_seconds).read(body)


def test_typed_tokens_are_those_of_the_manifest() -> None:
    """A blank that came with the paste would cost a support call."""
    made = flow(httpx.Response(200))
    assert made.sign_in({"shop": " S1 ", "key": " k-1 "}) == Tokens("k-1", account_id="S1")
    with pytest.raises(CodeRefused):
        made.sign_in({"shop": "../S1", "key": "k"})


@pytest.mark.parametrize(("status", "code"), [(404, "gone"), (200, "")])
async def test_access_that_is_withdrawn_already_is_withdrawn(status: int, code: str) -> None:
    """A disconnect would be tried for a day."""
    await flow(httpx.Response(status, json={"code": code})).revoke(US, Tokens("a"))


async def test_a_secret_that_is_refused_is_our_operators_matter() -> None:
    """Nobody would learn that access is not withdrawn."""
    with pytest.raises(CredentialsRefused):
        await flow(httpx.Response(401, json={"code": "wrong"})).revoke(US, Tokens("a"))


async def test_pages_by_offset_end_with_a_short_one() -> None:
    """The elements behind a page would be lost, or the last page asked for without end."""
    elements, asked = list(range(7)), []

    async def ask(offset: int) -> list[int]:
        asked.append(offset)
        return elements[offset : offset + 3]

    assert [page async for page in offset_pages(ask, 3, list)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert asked == [0, 3, 6]


async def test_orders_of_another_list_come_in_their_place() -> None:
    """A page would go back behind the one before, and coverage end there."""

    def ref(at: int) -> OrderRef[int]:
        return OrderRef(f"O{at}", "L", at, at)

    async def pages() -> AsyncIterator[OrderPage[int]]:
        yield OrderPage([ref(1), ref(4)], last=False)
        yield OrderPage([ref(6)], last=True)

    found = [page async for page in with_others(pages(), [ref(2), ref(5), ref(9)], 10)]
    assert [[order.modified_us for order in page.orders] for page in found] == [[1, 2, 4], [5, 6, 9]]
