"""Commands to connectors, and what becomes of them."""

from __future__ import annotations

from datetime import date
from typing import ClassVar
from uuid import UUID

from suppli_contracts.events.base import Event, Instant, OpenEnum, Part


class RunKind(OpenEnum):
    """Why a run exists; it decides the look-back and who goes first."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    BACKFILL = "backfill"
    SWEEP = "sweep"
    REPUBLISH = "republish"
    UNKNOWN = "unknown"


class RunState(OpenEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class ErrorClass(OpenEnum):
    """Why a run failed, by what happens next: `auth` waits for a person, the others are tried again."""

    NETWORK = "network"
    AUTH = "auth"
    RATE_LIMITED = "rate_limited"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    BAD_DATA = "bad_data"
    INTERNAL = "internal"
    UNKNOWN = "unknown"


class WaitsFor(OpenEnum):
    """A server of our own that is away and holds a run up; the run goes on by itself when it is back."""

    DATABASE = "database"
    MESSAGING = "messaging"
    SECRETS = "secrets"
    UNKNOWN = "unknown"


MOST_REPUBLISHED = 1000
"""Most order ids that one command names; more orders are a window's work."""
LONGEST_ORDER_ID = 256


class Republish(Part, frozen=True, kw_only=True):
    """Publish again what is unchanged too: what was modified within a window, single orders, or both.

    A run that republishes does all that a manual one does, too. Versions of unchanged orders stay, and with
    them the event's id; only `observed` is newer. An order from before the start date or elsewhere stays out.

    Attributes:
        from_at: start of the window of modification time; None = from the start date.
        to_at: its end (exclusive); None = now.
        order_ids: the provider's order ids, at most 1,000.
    """

    from_at: Instant | None = None
    to_at: Instant | None = None
    order_ids: tuple[str, ...] = ()

    @property
    def has_window(self) -> bool:
        """Whether a time is named."""
        return self.from_at is not None or self.to_at is not None

    def problem(self) -> str | None:
        """Return why this names nothing that can be published again, None where it does."""
        if not self.has_window and not self.order_ids:
            return "it names neither a window nor orders"
        if self.from_at is not None and self.to_at is not None and self.from_at >= self.to_at:
            return "its window ends before it begins"
        if len(self.order_ids) > MOST_REPUBLISHED:
            return f"it names {len(self.order_ids)} orders, {MOST_REPUBLISHED} are possible"
        if not all(0 < len(order_id) <= LONGEST_ORDER_ID for order_id in self.order_ids):
            return f"an order id has 1 to {LONGEST_ORDER_ID} characters"
        return None


class RunSync(Event, frozen=True, kw_only=True):
    """Scheduler to connector: do this run (topic `suppli.sync.commands.<provider>.v1`).

    Repeated with the same run and attempt when a run is silent; storing it twice changes nothing.

    Attributes:
        attempt: 1 for the first, +1 for every retry of the run.
        settings_revision: the connection's revision that the run presumes; wait for it before starting.
        republish: what a run of kind `republish` says again.
    """

    event_type: ClassVar[str] = "suppli.RunSync.v1"

    connection_id: UUID
    provider: str
    run_id: UUID
    attempt: int
    kind: RunKind
    settings_revision: int
    requested_at: Instant
    republish: Republish | None = None

    def topic_key(self) -> str:
        """Key by connection."""
        return str(self.connection_id)


class CancelSync(Event, frozen=True, kw_only=True):
    """Scheduler to connector: stop this run at the next page."""

    event_type: ClassVar[str] = "suppli.CancelSync.v1"

    connection_id: UUID
    provider: str
    run_id: UUID
    requested_at: Instant

    def topic_key(self) -> str:
        """Key by connection."""
        return str(self.connection_id)


class Coverage(Part, frozen=True, kw_only=True):
    """A time of modification that is fully imported, half open: from_at <= modified < to_at."""

    location_id: str
    stream: str
    from_at: Instant
    to_at: Instant


class CoveredDays(Part, frozen=True, kw_only=True):
    """Business dates of a location that a run's source covers completely, as a file does: both included.

    A date without a sale between them was asked for, too: nothing was sold then.

    Attributes:
        location_id: the provider's location, as in the raw sales.
        withdrawn: no longer covered: the import of these dates was undone. Other dates stay as they were.
    """

    location_id: str
    from_date: date
    to_date: date
    withdrawn: bool = False


class Emptiness(OpenEnum):
    """What it is worth that a run found no sale. Zero needs evidence: without it, it is `suspect`."""

    EMPTY_VERIFIED = "empty_verified"
    SUSPECT = "suspect"
    UNKNOWN = "unknown"


class NothingFound(Part, frozen=True, kw_only=True):
    """A run that found no sale says what that is worth.

    Attributes:
        outcome: `empty_verified` = the provider was asked for exactly the run's window, every chosen location
            answered, and no sale was expected then; `suspect` otherwise.
        reason: one sentence for a person, where it is suspect.
        location_ids: the provider's locations that are in doubt.
    """

    outcome: Emptiness
    reason: str | None = None
    location_ids: tuple[str, ...] = ()


class RunCounts(Part, frozen=True, kw_only=True):
    """What a run has read and done so far.

    Attributes:
        orders_read: orders in the provider's answers, overlaps included.
        orders_published: raw sales acknowledged by Kafka.
        orders_unchanged: seen before with the same content.
        orders_set_aside: could not be understood; kept with their reason, read again by id.
        orders_before_start: older than the connection's start date.
        orders_elsewhere: at a location that is not chosen or not tied.
        lines_published: lines in the published sales.
        items_published: external items in the catalog that changed.
        pages: pages recorded.
    """

    orders_read: int = 0
    orders_published: int = 0
    orders_unchanged: int = 0
    orders_set_aside: int = 0
    orders_before_start: int = 0
    orders_elsewhere: int = 0
    lines_published: int = 0
    items_published: int = 0
    pages: int = 0


class RunError(Part, frozen=True, kw_only=True):
    """Why a run failed, for a person: `message` is one sentence without secrets."""

    error_class: ErrorClass
    message: str
    retry_after_s: float | None = None


class SyncRunChanged(Event, frozen=True, kw_only=True):
    """A run moved on (topic `suppli.sync.events.v1`), from the scheduler (queued) or the connector.

    Order by (run_id, attempt, sequence) and drop lower ones.

    Attributes:
        sequence: 0 from the scheduler, then growing within the attempt.
        progress: 0 to 1 where the connector can tell.
        coverage: the connection's whole coverage, on the event that ends a run; None = it is not said.
        days: on the event that ends a run: the business dates that its source (a file) covers completely,
            or no longer covers. Earlier runs' dates stay; for a date, the newest run's word (by `at`) holds.
        nothing_found: on the event that ends a run without a sale: what that is worth; None = sales were
            found, or the writer cannot tell.
        next_attempt_at: on a queued retry: when it will be tried.
        waits_for: on a running run: what it waits for before it goes on; None = it works.
        republish: from the scheduler: what a run of kind `republish` says again.
    """

    event_type: ClassVar[str] = "suppli.SyncRunChanged.v1"

    connection_id: UUID
    provider: str
    run_id: UUID
    attempt: int
    sequence: int
    kind: RunKind
    state: RunState
    at: Instant
    requested_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    progress: float | None = None
    counts: RunCounts = RunCounts()
    error: RunError | None = None
    coverage: tuple[Coverage, ...] | None = None
    days: tuple[CoveredDays, ...] = ()
    nothing_found: NothingFound | None = None
    next_attempt_at: Instant | None = None
    waits_for: WaitsFor | None = None
    republish: Republish | None = None

    def topic_key(self) -> str:
        """Key by connection."""
        return str(self.connection_id)


class NextSyncScheduled(Event, frozen=True, kw_only=True):
    """When a connection is due next; None = not by itself. `revision` grows per connection."""

    event_type: ClassVar[str] = "suppli.NextSyncScheduled.v1"

    connection_id: UUID
    provider: str
    revision: int
    at: Instant
    next_due_at: Instant | None = None

    def topic_key(self) -> str:
        """Key by connection."""
        return str(self.connection_id)


class ReauthRequired(Event, frozen=True, kw_only=True):
    """The provider no longer accepts us: a person must authorize again.

    Attributes:
        reason: one sentence for a person.
        works_until: the access token still works until then, where one is held.
        at: when it was found out; an authorization after it makes this obsolete.
    """

    event_type: ClassVar[str] = "suppli.ReauthRequired.v1"

    connection_id: UUID
    provider: str
    reason: str
    at: Instant
    works_until: Instant | None = None

    def topic_key(self) -> str:
        """Key by connection."""
        return str(self.connection_id)
