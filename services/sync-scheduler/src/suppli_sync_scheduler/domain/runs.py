"""A run's states, and what follows from each thing that happens to it.

A connection has at most one active run (queued or running), and one follow-up booked behind it: its `Lane`.
Every function takes the lane and what happened, and returns a `Decision`: what to store and what to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from suppli_contracts.events.sync import (
    ErrorClass,
    Republish,
    RunError,
    RunKind,
    RunState,
    SyncRunChanged,
)

from suppli_sync_scheduler.domain.retry import RetryPolicy, next_attempt_at

KEPT = timedelta(days=30)  # how long ended runs are kept here; their history is the gateway's
ENDED = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
# Of two wishes that one run serves, the earlier here stays: a republish does all that the others do.
_URGENCY = (
    RunKind.REPUBLISH,
    RunKind.MANUAL,
    RunKind.BACKFILL,
    RunKind.SCHEDULED,
    RunKind.SWEEP,
    RunKind.UNKNOWN,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run as it stands.

    Attributes:
        sequence: of the newest event seen in this attempt; 0 before the connector said anything.
        settings_revision: the connection's revision that the run presumes.
        follow_up: booked to start when the active run ends.
        commanded_at: when the connector was told of this attempt; None = it does not know of it.
        next_attempt_at: when a failed run is tried again.
        cancel_requested_at: the connector was told to stop it.
        error: why the last attempt failed.
        republish: what is published again, whatever is known of it (kind republish).
    """

    run_id: UUID
    connection_id: UUID
    tenant_id: UUID
    provider: str
    kind: RunKind
    requested_at: datetime
    settings_revision: int
    state: RunState = RunState.QUEUED
    attempt: int = 1
    sequence: int = 0
    follow_up: bool = False
    commanded_at: datetime | None = None
    next_attempt_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: RunError | None = None
    republish: Republish | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Lane:
    """What a connection has open."""

    active: Run | None = None
    follow_up: Run | None = None

    def after(self, run: Run) -> Lane:
        """Return it once `run`, one of this connection's, is stored."""
        active, follow_up = (
            None if each is not None and each.run_id == run.run_id else each
            for each in (self.active, self.follow_up)
        )
        if run.ended:
            return Lane(active, follow_up)
        return Lane(active, run) if run.follow_up else Lane(run, follow_up)


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows.

    Attributes:
        save: runs to store, in this order (an ended one before the one that takes its place).
        command: runs to send to the connector, again or for the first time.
        stop: runs that the connector is told to stop.
        say: runs whose state the scheduler itself has to tell.
        silent: a run's command was repeated because nothing was heard of it.
    """

    save: tuple[Run, ...] = ()
    command: tuple[Run, ...] = ()
    stop: tuple[Run, ...] = ()
    say: tuple[Run, ...] = ()
    silent: bool = False

    def then(self, other: Decision) -> Decision:
        """Return both, this one first."""
        return Decision(
            self.save + other.save,
            self.command + other.command,
            self.stop + other.stop,
            self.say + other.say,
            self.silent or other.silent,
        )


NOTHING = Decision()


@dataclass(frozen=True, slots=True)
class Requested:
    """The run that answers a request, what follows, and whether it is new or an older one moved ahead."""

    run: Run
    decision: Decision
    promoted: bool = False
    created: bool = False


class NoRoom(ValueError):
    """The waiting run republishes already, and both wishes together are more than one run can take."""


def request(lane: Lane, wanted: Run, *, now: datetime) -> Requested:
    """Somebody asks for a run: start it, promote the queued one, or book one behind the running one.

    Raises:
        NoRoom: two wishes to republish do not fit into the one run that waits.
    """
    if lane.active is None:
        run = replace(wanted, commanded_at=now)
        return Requested(run, Decision(save=(run,), command=(run,), say=(run,)), created=True)
    if lane.active.state == RunState.QUEUED:
        return _promote(lane.active, wanted, now)
    if lane.follow_up is not None:
        run = _urge(lane.follow_up, wanted)
        decision = NOTHING if run == lane.follow_up else Decision(save=(run,), say=(run,))
        return Requested(run, decision)
    run = replace(wanted, follow_up=True)
    return Requested(run, Decision(save=(run,), say=(run,)), created=True)


def fall_due(lane: Lane, wanted: Run, *, now: datetime) -> Decision:
    """A scheduled time has come: a waiting run serves it already, behind a running one goes a follow-up."""
    if lane.active is None or (lane.active.state != RunState.QUEUED and lane.follow_up is None):
        return request(lane, wanted, now=now).decision
    return NOTHING


def hear(
    lane: Lane, event: SyncRunChanged, *, now: datetime, policy: RetryPolicy, chance: float
) -> Decision | None:
    """Take in what the connector says of the active run; None = stale or of no open run.

    Args:
        lane: the connection's open runs.
        event: from the connector; lower or equal (attempt, sequence) is dropped.
        now: the scheduler's time, from which a retry is counted.
        policy: how a failure is retried.
        chance: a random number, 0 <= x < 1, for the jitter of the back-off.
    """
    run = lane.active
    if run is None or run.run_id != event.run_id:
        return None
    if (event.attempt, event.sequence) <= (run.attempt, run.sequence):
        return None
    state = RunState.RUNNING if event.state in (RunState.UNKNOWN, RunState.QUEUED) else event.state
    heard = replace(
        run,
        attempt=event.attempt,
        sequence=event.sequence,
        state=state,
        started_at=event.started_at or run.started_at,
        commanded_at=run.commanded_at or now,
        next_attempt_at=None,
        error=event.error if state == RunState.FAILED else None,
    )
    if state == RunState.FAILED:
        return _failed(lane, heard, now, policy, chance)
    if heard.ended:
        heard = replace(heard, finished_at=event.finished_at or event.at)
        return Decision(save=(heard,)).then(_release(lane.follow_up, now))
    return Decision(save=(heard,))


def tick(lane: Lane, run_id: UUID, *, now: datetime) -> Decision:
    """The active run's timer has run out: try again, or repeat the command of a silent run."""
    run = lane.active
    if run is None or run.run_id != run_id:
        return NOTHING
    if run.commanded_at is None:
        started = replace(run, commanded_at=now, next_attempt_at=None)
        return Decision(save=(started,), command=(started,))
    if run.cancel_requested_at is not None:  # the connector is away; it will find the command to stop
        return _cancelled(run, now).then(_release(lane.follow_up, now))
    return Decision(save=(run,), command=(run,), silent=True)


def cancel(lane: Lane, run_id: UUID, *, now: datetime) -> Decision:
    """Somebody stops a run: a queued one ends here and now, a running one when its connector says so."""
    if lane.follow_up is not None and lane.follow_up.run_id == run_id:
        return _cancelled(lane.follow_up, now)
    run = lane.active
    if run is None or run.run_id != run_id:
        return NOTHING
    if run.state == RunState.QUEUED:
        return _cancelled(run, now).then(_release(lane.follow_up, now))
    asked = replace(run, cancel_requested_at=run.cancel_requested_at or now)
    return Decision(save=(asked,), stop=(asked,))


def stop_all(lane: Lane, *, now: datetime, revision: int) -> Decision:
    """The connection is paused or gone as of `revision`: nothing starts any more, what runs is told to stop.

    A run that presumes a later revision stays: the pause that ended before it was asked for is heard late.
    """
    active, follow_up, decision = lane.active, lane.follow_up, NOTHING
    if follow_up is not None and follow_up.settings_revision <= revision:
        decision, follow_up = _cancelled(follow_up, now), None
    if active is not None and active.settings_revision <= revision:
        decision = decision.then(cancel(Lane(active, follow_up), active.run_id, now=now))
    return decision


def hold(lane: Lane, *, now: datetime) -> Decision:
    """The provider no longer accepts us: what has not begun is cancelled, what runs will find out itself."""
    waiting: Iterable[Run] = (run for run in (lane.follow_up, lane.active) if run is not None)
    decision = NOTHING
    for run in waiting:
        if run.state == RunState.QUEUED:
            decision = decision.then(_cancelled(run, now))
    return decision


def deadline(run: Run, *, now: datetime, silent_after: timedelta) -> datetime | None:
    """Return when the scheduler has to look at the run by itself, None = never."""
    if run.ended or run.follow_up:
        return None
    if run.commanded_at is None:
        return run.next_attempt_at or now
    return now + silent_after


def _promote(run: Run, wanted: Run, now: datetime) -> Requested:
    first = replace(_urge(run, wanted), commanded_at=now, next_attempt_at=None)
    return Requested(first, Decision(save=(first,), command=(first,), say=(first,)), promoted=True)


def _urge(run: Run, wanted: Run) -> Run:
    kind = min(run.kind, wanted.kind, key=_URGENCY.index)
    return replace(
        run,
        kind=kind,
        settings_revision=max(run.settings_revision, wanted.settings_revision),
        republish=_joined(run.republish, wanted.republish),
    )


def _joined(first: Republish | None, second: Republish | None) -> Republish | None:
    """Return one republish that covers both: every order of either, and a window around both windows."""
    if first is None or second is None:
        return first or second
    windows = [each for each in (first, second) if each.has_window]
    begins = [each.from_at for each in windows]
    ends = [each.to_at for each in windows]
    joined = Republish(
        from_at=None if None in begins else min((at for at in begins if at is not None), default=None),
        to_at=None if None in ends else max((at for at in ends if at is not None), default=None),
        order_ids=tuple(dict.fromkeys((*first.order_ids, *second.order_ids))),
    )
    if windows and not joined.has_window:  # one is open at its begin, the other at its end: all there is
        raise NoRoom("together their windows are everything")
    if problem := joined.problem():
        raise NoRoom(problem)
    return joined


def _failed(lane: Lane, run: Run, now: datetime, policy: RetryPolicy, chance: float) -> Decision:
    error = run.error or RunError(error_class=ErrorClass.UNKNOWN, message="The connector gave no reason.")
    again_at = next_attempt_at(policy, error, attempt=run.attempt, now=now, chance=chance)
    if run.cancel_requested_at is not None or again_at is None:
        ended = Decision(save=(replace(run, finished_at=now),))
        if error.error_class == ErrorClass.AUTH:
            return ended.then(hold(Lane(follow_up=lane.follow_up), now=now))
        return ended.then(_release(lane.follow_up, now))
    again = replace(
        run,
        state=RunState.QUEUED,
        attempt=run.attempt + 1,
        sequence=0,
        commanded_at=None,
        next_attempt_at=again_at,
    )
    return Decision(save=(again,), say=(again,))


def _cancelled(run: Run, now: datetime) -> Decision:
    """End a run from here, as its next attempt: what its connector still says of this one is older then."""
    ended = replace(
        run,
        state=RunState.CANCELLED,
        attempt=run.attempt + 1,
        sequence=0,
        follow_up=False,
        next_attempt_at=None,
        finished_at=now,
    )
    known = (ended,) if run.commanded_at is not None else ()
    return Decision(save=(ended,), stop=known, say=(ended,))


def _release(follow_up: Run | None, now: datetime) -> Decision:
    if follow_up is None:
        return NOTHING
    started = replace(follow_up, follow_up=False, commanded_at=now)
    return Decision(save=(started,), command=(started,))
