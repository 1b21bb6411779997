"""What can go wrong with a provider, grouped by what happens next."""

from __future__ import annotations

from suppli_contracts.events.sync import ErrorClass


class ProviderError(Exception):
    """Root of what a connector raises. `error_class` decides whether and when a run is tried again.

    Attributes:
        advice: who has to do what, where anybody has.
        message: one sentence for a person, without secrets and without the provider's payload.
        retry_after_s: how long the provider asked us to wait.
    """

    error_class: ErrorClass = ErrorClass.INTERNAL
    advice: str = ""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


class NetworkError(ProviderError):
    """The provider was not reached, or its answer broke off.

    Attributes:
        may_have_arrived: False where the request certainly never reached the provider (no connection was
            made): a single-use refresh token is then not counted as presented.
    """

    error_class = ErrorClass.NETWORK

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, may_have_arrived: bool = True
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.may_have_arrived = may_have_arrived


class RateLimited(ProviderError):
    """The provider asked us to slow down, beyond what retries within the call cover."""

    error_class = ErrorClass.RATE_LIMITED


class ProviderUnavailable(ProviderError):
    """The provider answered that it is broken (5xx), or with something that is not its API."""

    error_class = ErrorClass.PROVIDER_UNAVAILABLE


class AuthError(ProviderError):
    """The provider no longer accepts us: a person must authorize again."""

    error_class = ErrorClass.AUTH
    advice = "the account must be authorized again"


class MissingScope(AuthError):
    """The account's owner did not grant, or took back, a permission that is needed."""

    advice = "a permission is missing, the account must be authorized again"


class TokenExpired(AuthError):
    """The access token is past its end; another may be had without a person."""


class TokenRevoked(AuthError):
    """Our access to the account was withdrawn."""


class CredentialsRefused(ProviderError):
    """The provider does not accept our own credentials: an operator must act, no account's owner can."""

    advice = "our own credentials there are not accepted; an operator must set them right"


class CodeRefused(ProviderError):
    """The authorization code is wrong, was used already, or is too old."""

    error_class = ErrorClass.AUTH


class CursorExpired(ProviderError):
    """A page's cursor is no longer accepted: the walk starts again at the last instant seen."""

    error_class = ErrorClass.PROVIDER_UNAVAILABLE


class ProviderRefused(ProviderError):
    """The provider says that our request is wrong (4xx): trying again would not help."""

    error_class = ErrorClass.BAD_DATA


class Gone(ProviderRefused):
    """What was asked for is not there."""


class CoverageAhead(ProviderError):
    """More is recorded as imported than can have happened: by the provider's clock it lies in the future."""


class CommandRefused(ProviderError):
    """What a run was commanded to do cannot be done, whatever the provider says."""

    error_class = ErrorClass.BAD_DATA


class OrderNotUnderstood(Exception):
    """One order is beyond this normaliser; it is set aside and the rest goes on.

    Attributes:
        reason: what is wrong, without the order's content.
        field_path: where, e.g. `line_items[2].quantity`.
    """

    def __init__(self, reason: str, field_path: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.field_path = field_path
