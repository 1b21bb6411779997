"""OAuth 2.0 of Square: consent page, token, revoke, token status."""

import html
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from suppli_sandbox.oauth_rules import challenge_of, same_secret
from suppli_sandbox.serving import Reply, reply
from suppli_sandbox.square import calls
from suppli_sandbox.square.calls import Call
from suppli_sandbox.square.errors import SquareError, bad_request
from suppli_sandbox.square.tokens import (
    CODE_LIFE_US,
    SHORT_LIFE_SECONDS,
    AccessToken,
    Code,
    RefreshToken,
)
from suppli_sandbox.square.world import Merchant
from suppli_sandbox.times import SECOND, format_us

Json = dict[str, Any]

DEFAULT_SCOPES = ("MERCHANT_PROFILE_READ", "PAYMENTS_READ", "SETTLEMENTS_READ", "BANK_ACCOUNTS_READ")


class ConsentRefusedError(Exception):
    """An authorize request that is answered with a page: never redirect to an unchecked address."""


def authorize(call: Call) -> Reply:
    """GET /oauth2/authorize: the consent page; `auto=allow|deny` with `merchant=ID` presses its button."""
    return _consent(call, dict(call.query), dict(call.query).get("auto"))


def decide(call: Call) -> Reply:
    """POST /oauth2/authorize: what the buttons of the consent page send."""
    fields = dict(parse_qsl(call.raw.decode("utf-8", "replace"), keep_blank_values=True))
    return _consent(call, fields, fields.get("decision", "deny"))


def _consent(call: Call, request: dict[str, str], decision: str | None) -> Reply:
    try:
        redirect_uri = _checked_redirect(call, request)
        if decision is None:
            return _page(call, request)
        if decision == "deny":
            return _redirect(
                redirect_uri, request, {"error": "access_denied", "error_description": "user_denied"}
            )
        merchant = _chosen_merchant(call, request, decision)
    except ConsentRefusedError as refusal:
        reason = html.escape(str(refusal))
        message = f"<!doctype html><title>Sandbox Square</title><h1>Cannot authorize</h1><p>{reason}</p>"
        return Reply(message.encode(), 400, "text/html; charset=utf-8")
    code = call.world.tokens.issue_code(
        Code(
            merchant.id,
            _scopes(request),
            request.get("redirect_uri"),
            request.get("code_challenge"),
            call.now_us + CODE_LIFE_US,
        )
    )
    return _redirect(redirect_uri, request, {"code": code, "response_type": "code"})


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


def _scopes(request: dict[str, str]) -> tuple[str, ...]:
    return tuple(request["scope"].split()) if request.get("scope", "").strip() else DEFAULT_SCOPES


def _redirect(uri: str, request: dict[str, str], answer: dict[str, str]) -> Reply:
    if "state" in request:
        answer["state"] = request["state"]
    joint = "&" if urlsplit(uri).query else "?"
    return Reply(b"", 302, "text/plain", {"location": f"{uri}{joint}{urlencode(answer)}"})


def _page(call: Call, request: dict[str, str]) -> Reply:
    def field(name: str, value: str) -> str:
        return f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'

    hidden = "".join(field(name, value) for name, value in request.items() if name != "merchant")
    options = "".join(
        f'<option value="{html.escape(m.id)}"{" selected" if m.id == request.get("merchant") else ""}>'
        f"{html.escape(m.profile['business_name'])} ({html.escape(m.id)})</option>"
        for m in call.world.merchants.values()
    )
    scopes = "".join(f"<li><code>{html.escape(scope)}</code></li>" for scope in _scopes(request))
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox Square: allow access?</title>'
        "<style>body{font:16px/1.5 system-ui;max-width:34em;margin:3em auto;padding:0 1em}"
        "button,select{font:inherit;padding:.4em 1em;margin:.3em .3em .3em 0}</style>"
        "<h1>Allow access to your Square account?</h1>"
        "<p>This is a local stand-in for Square. The application asks to:</p>"
        f'<ul>{scopes}</ul><form method="post" action="/oauth2/authorize">{hidden}'
        f'<label>Merchant <select name="merchant">{options}</select></label><br>'
        '<button name="decision" value="allow">Allow</button>'
        '<button name="decision" value="deny">Deny</button></form></html>'
    )
    return Reply(page.encode(), content_type="text/html; charset=utf-8")


def obtain_token(call: Call) -> Reply:
    """POST /oauth2/token: authorization_code and refresh_token grants."""
    body = call.body()
    client_id = calls.text(body, "client_id", required=True)
    grant = calls.text(body, "grant_type", required=True)
    if client_id != call.world.application.client_id:
        raise SquareError(401, "UNAUTHORIZED", "Unknown client_id.")
    if grant == "authorization_code":
        return _from_code(call, body)
    if grant == "refresh_token":
        return _from_refresh(call, body)
    raise bad_request("INVALID_VALUE", f"grant_type `{grant}` is not supported.", "grant_type")


def merchant_of_token_call(call: Call, body: Json) -> str | None:
    """Return whose code, refresh token or access token a call carries, so that faults find their merchant."""
    tokens = call.world.tokens
    code, refresh, access, merchant_id = (
        str(body.get(name, "")) for name in ("code", "refresh_token", "access_token", "merchant_id")
    )
    holder = tokens.codes.get(code) or tokens.refresh.get(refresh) or tokens.access.get(access)
    return holder.merchant_id if holder is not None else merchant_id or None


def _from_code(call: Call, body: Json) -> Reply:
    value = calls.text(body, "code", required=True) or ""
    code = call.world.tokens.redeem_code(value, call.now_us)
    if code.challenge is None:
        _check_secret(call, body)
    elif challenge_of(calls.text(body, "code_verifier", required=True) or "") != code.challenge:
        raise SquareError(401, "UNAUTHORIZED", "code_verifier does not match the code_challenge.")
    if calls.text(body, "redirect_uri") != code.redirect_uri:
        raise SquareError(401, "UNAUTHORIZED", "redirect_uri differs from the one used to authorize.")
    code.used = True
    merchant = call.world.merchant_of_token(code.merchant_id)
    pkce = code.challenge is not None
    single_use = pkce if merchant.refresh_kind == "by_flow" else merchant.refresh_kind == "single_use"
    refresh = call.world.tokens.issue_refresh(
        merchant.id, code.scopes, single_use=single_use, pkce=pkce, now_us=call.now_us
    )
    access = _new_access(call, merchant, code.scopes, short_lived=calls.flag(body, "short_lived"))
    return _token_reply(access, refresh)


def _from_refresh(call: Call, body: Json) -> Reply:
    value = calls.text(body, "refresh_token", required=True) or ""
    spent = call.world.tokens.redeem_refresh(value, call.now_us)
    if not spent.pkce:
        _check_secret(call, body)
    merchant = call.world.merchant_of_token(spent.merchant_id)
    wanted = calls.texts(body, "scopes", "scopes")
    scopes = tuple(scope for scope in spent.scopes if scope in wanted) if wanted else spent.scopes
    refresh = spent
    if spent.single_use:
        spent.used = True
        refresh = call.world.tokens.issue_refresh(
            merchant.id, scopes, single_use=True, pkce=spent.pkce, now_us=call.now_us
        )
    access = _new_access(call, merchant, scopes, short_lived=calls.flag(body, "short_lived"))
    return _token_reply(access, refresh)


def _check_secret(call: Call, body: Json) -> None:
    secret = calls.text(body, "client_secret", required=True) or ""
    if not same_secret(secret, call.world.application.client_secret):
        raise SquareError(401, "UNAUTHORIZED", "The client_secret is wrong.")


def _new_access(call: Call, merchant: Merchant, scopes: tuple[str, ...], *, short_lived: bool) -> AccessToken:
    seconds = SHORT_LIFE_SECONDS if short_lived else merchant.access_token_seconds
    return call.world.tokens.issue_access(
        merchant.id, scopes, call.now_us + seconds * SECOND, short_lived=short_lived
    )


def token_answer(access: AccessToken, refresh: RefreshToken) -> Json:
    """Return the body of a token answer."""
    answer: Json = {
        "access_token": access.value,
        "token_type": "bearer",
        "expires_at": format_us(access.expires_us // SECOND * SECOND),
        "merchant_id": access.merchant_id,
        "refresh_token": refresh.value,
        "short_lived": access.short_lived,
    }
    if refresh.expires_us is not None:
        answer["refresh_token_expires_at"] = format_us(refresh.expires_us // SECOND * SECOND)
    return answer


def _token_reply(access: AccessToken, refresh: RefreshToken) -> Reply:
    return reply(token_answer(access, refresh), headers={"cache-control": "no-store"})


def revoke_token(call: Call) -> Reply:
    """POST /oauth2/revoke with `Authorization: Client <secret>`."""
    kind, _, secret = call.headers.get("authorization", "").partition(" ")
    if kind.lower() != "client" or not same_secret(secret.strip(), call.world.application.client_secret):
        raise SquareError(401, "UNAUTHORIZED", "Authorization must be `Client <application secret>`.")
    body = call.body()
    if calls.text(body, "client_id", required=True) != call.world.application.client_id:
        raise SquareError(401, "UNAUTHORIZED", "Unknown client_id.")
    value, merchant_id = calls.text(body, "access_token"), calls.text(body, "merchant_id")
    if (value is None) == (merchant_id is None):
        raise bad_request("INVALID_VALUE", "Give exactly one of access_token and merchant_id.")
    tokens = call.world.tokens
    token = tokens.access.get(value) if value is not None else None
    if value is not None and token is None:
        raise SquareError(404, "NOT_FOUND", "The access token was not found.", "access_token")
    if token is not None and calls.flag(body, "revoke_only_access_token"):
        token.revoked = True
        return reply({"success": True})
    owner = token.merchant_id if token is not None else merchant_id or ""
    if owner not in call.world.merchants:
        raise SquareError(404, "NOT_FOUND", "The merchant was not found.", "merchant_id")
    call.world.revoke(owner)
    return reply({"success": True})


def token_status(call: Call) -> Reply:
    """POST /oauth2/token/status: the token describes itself."""
    token = call.token()
    return reply(
        {
            "scopes": list(token.scopes),
            "expires_at": format_us(token.expires_us // SECOND * SECOND),
            "client_id": call.world.application.client_id,
            "merchant_id": token.merchant_id,
        }
    )
