"""OAuth v2 of Clover: consent page, token, refresh. Permissions are the app's, there are no scopes."""

import html
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from suppli_sandbox.clover.calls import Call
from suppli_sandbox.clover.errors import CloverError, bad_request
from suppli_sandbox.clover.models import CloverTokens
from suppli_sandbox.clover.world import Merchant
from suppli_sandbox.oauth_rules import challenge_of, same_secret
from suppli_sandbox.serving import Reply, reply
from suppli_sandbox.times import SECOND

Json = dict[str, Any]


class ConsentRefusedError(Exception):
    """An authorize request that is answered with a page: never redirect to an unchecked address."""


def authorize(call: Call) -> Reply:
    """GET /oauth/v2/authorize: the consent page; `auto=allow|deny` with `merchant=ID` presses its button."""
    request = dict(call.query)
    return _consent(call, request, request.get("auto"))


def decide(call: Call) -> Reply:
    """POST /oauth/v2/authorize: what the buttons of the consent page send."""
    fields = dict(parse_qsl(call.raw.decode("utf-8", "replace"), keep_blank_values=True))
    return _consent(call, fields, fields.get("decision", "deny"))


def _consent(call: Call, request: dict[str, str], decision: str | None) -> Reply:
    try:
        redirect_uri = _checked_redirect(call, request)
        if decision is None:
            return _page(call, request)
        if decision == "deny":
            return _redirect(redirect_uri, {"error": "access_denied", **_state(request, None)})
        merchant = _chosen_merchant(call, request, decision)
    except ConsentRefusedError as refusal:
        reason = html.escape(str(refusal))
        message = f"<!doctype html><title>Sandbox Clover</title><h1>Cannot authorize</h1><p>{reason}</p>"
        return Reply(message.encode(), 400, "text/html; charset=utf-8")
    code = call.world.tokens.issue_code(merchant.id, request.get("code_challenge"), call.now_us)
    answer = {"merchant_id": merchant.id, "client_id": call.world.application.client_id, "code": code}
    return _redirect(redirect_uri, {**answer, "employee_id": "EMPAAAAAAAAA1", **_state(request, merchant)})


def _state(request: dict[str, str], merchant: Merchant | None) -> dict[str, str]:
    passed = merchant is None or merchant.state_passthrough
    return {"state": request["state"]} if passed and "state" in request else {}


def _checked_redirect(call: Call, request: dict[str, str]) -> str:
    application = call.world.application
    if request.get("client_id") != application.client_id:
        raise ConsentRefusedError("client_id is not the id of the registered application.")
    if not application.redirect_urls:
        raise ConsentRefusedError("The application has no redirect URL: register one (--redirect-url).")
    wanted = request.get("redirect_uri", application.redirect_urls[0])
    if wanted not in application.redirect_urls:
        raise ConsentRefusedError("redirect_uri is not a registered redirect URL of the application.")
    return wanted


def _chosen_merchant(call: Call, request: dict[str, str], decision: str) -> Merchant:
    if decision != "allow":
        raise ConsentRefusedError(f"auto={decision}: use allow or deny.")
    merchants, wanted = call.world.merchants, request.get("merchant")
    if wanted is None and len(merchants) == 1:
        return next(iter(merchants.values()))
    if wanted is None or wanted not in merchants:
        raise ConsentRefusedError(f"Choose one of the merchants: {', '.join(merchants)}.")
    return merchants[wanted]


def _redirect(uri: str, answer: dict[str, str]) -> Reply:
    joint = "&" if urlsplit(uri).query else "?"
    return Reply(b"", 302, "text/plain", {"location": f"{uri}{joint}{urlencode(answer)}"})


def _page(call: Call, request: dict[str, str]) -> Reply:
    def field(name: str, value: str) -> str:
        return f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'

    hidden = "".join(field(name, value) for name, value in request.items() if name != "merchant")
    options = "".join(
        f'<option value="{html.escape(m.id)}"{" selected" if m.id == request.get("merchant") else ""}>'
        f"{html.escape(m.name)} ({html.escape(m.id)})</option>"
        for m in call.world.merchants.values()
    )
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox Clover: install the app?</title>'
        "<style>body{font:16px/1.5 system-ui;max-width:34em;margin:3em auto;padding:0 1em}"
        "button,select{font:inherit;padding:.4em 1em;margin:.3em .3em .3em 0}</style>"
        "<h1>Install the app on your Clover account?</h1>"
        "<p>This is a local stand-in for Clover. "
        "The app may read merchant, orders, inventory and payments.</p>"
        f'<form method="post" action="/oauth/v2/authorize">{hidden}'
        f'<label>Merchant <select name="merchant">{options}</select></label><br>'
        '<button name="decision" value="allow">Allow</button>'
        '<button name="decision" value="deny">Deny</button></form></html>'
    )
    return Reply(page.encode(), content_type="text/html; charset=utf-8")


def obtain_token(call: Call) -> Reply:
    """POST /oauth/v2/token: a code for a pair, with the client secret or a PKCE verifier."""
    body, application = call.body(), call.world.application
    if call.text(body, "client_id") != application.client_id:
        raise CloverError(401, "Unauthorized")
    code = call.world.tokens.redeem_code(call.text(body, "code"), call.now_us)
    if code.challenge is not None:
        if challenge_of(call.text(body, "code_verifier")) != code.challenge:
            raise CloverError(401, "Failed to validate authentication code.")
    elif not same_secret(call.text(body, "client_secret"), application.client_secret):
        raise CloverError(401, "Unauthorized")
    code.used = True
    merchant = call.world.merchant_of_token(code.merchant_id)
    alone = call.first("no_refresh_token") == "true"
    return reply(issue(call, merchant, with_refresh=not alone), headers={"cache-control": "no-store"})


def refresh(call: Call) -> Reply:
    """POST /oauth/v2/refresh: a single-use refresh token, without the secret, for a new pair."""
    body = call.body()
    if call.text(body, "client_id") != call.world.application.client_id:
        raise CloverError(401, "Unauthorized")
    if "code" in body:
        raise bad_request("refresh takes client_id and refresh_token")
    spent = call.world.tokens.redeem_refresh(call.text(body, "refresh_token"), call.now_us)
    merchant = call.world.merchant_of_token(spent.merchant_id)
    return reply(issue(call, merchant), headers={"cache-control": "no-store"})


def issue(call: Call, merchant: Merchant, *, with_refresh: bool = True) -> CloverTokens:
    """Return a new pair for a merchant; expirations are Unix seconds."""
    tokens, now = call.world.tokens, call.now_us
    access_us = now + merchant.access_token_seconds * SECOND
    access = tokens.issue_access(merchant.id, access_us)
    answer = CloverTokens(access_token=access.value, access_token_expiration=access_us // SECOND)
    if with_refresh:
        refresh_us = now + merchant.refresh_token_seconds * SECOND
        answer.refresh_token = tokens.issue_refresh(merchant.id, refresh_us).value
        answer.refresh_token_expiration = refresh_us // SECOND
    return answer


def merchant_of_token_call(call: Call, body: Json) -> str | None:
    """Return whose code or refresh token a call carries, so that faults find their merchant."""
    tokens = call.world.tokens
    holder = tokens.codes.get(str(body.get("code", ""))) or tokens.refresh.get(
        str(body.get("refresh_token", ""))
    )
    return None if holder is None else holder.merchant_id
