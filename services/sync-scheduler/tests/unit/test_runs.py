"""Runs: what happens to them in whatever order it is heard."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from suppli_contracts.events.sync import (
    MOST_REPUBLISHED,
    ErrorClass,
    Republish,
    RunError,
    RunKind,
    RunState,
    SyncRunChanged,
)
from suppli_sync_scheduler.domain import runs
from suppli_sync_scheduler.domain.retry import RetryPolicy, next_attempt_at
from suppli_sync_scheduler.domain.runs import Decision, Lane, Run

NOW = datetime(2026, 6, 1, 3, tzinfo=UTC)
TENANT, CONNECTION = uuid4(), uuid4()
POLICY = RetryPolicy()


def run(**changes: object) -> Run:
    made = Run(
        run_id=uuid4(),
        connection_id=CONNECTION,
        tenant_id=TENANT,
        provider="square",
        kind=RunKind.SCHEDULED,
        requested_at=NOW,
        settings_revision=3,
        commanded_at=NOW,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def wanted(kind: RunKind = RunKind.MANUAL) -> Run:
    return run(kind=kind, commanded_at=None)


def event(of: Run, state: RunState, attempt: int = 1, sequence: int = 1, **changes: object) -> SyncRunChanged:
    return SyncRunChanged(
        tenant_id=TENANT,
        connection_id=CONNECTION,
        provider="square",
        run_id=of.run_id,
        attempt=attempt,
        sequence=sequence,
        kind=of.kind,
        state=state,
        at=NOW,
        **changes,  # type: ignore[arg-type]
    )


def failure(error_class: ErrorClass, retry_after_s: float | None = None) -> RunError:
    return RunError(error_class=error_class, message="No.", retry_after_s=retry_after_s)


def hear(lane: Lane, heard: SyncRunChanged, policy: RetryPolicy = POLICY) -> Decision | None:
    return runs.hear(lane, heard, now=NOW, policy=policy, chance=0.5)


def after(lane: Lane, decision: Decision) -> Lane:
    """Return the lane as the store would hold it, with its rule of one active run and one follow-up."""
    known = {each.run_id: each for each in (lane.active, lane.follow_up) if each is not None}
    for saved in decision.save:
        known[saved.run_id] = saved
        still_open = [each for each in known.values() if not each.ended]
        assert sum(not each.follow_up for each in still_open) <= 1
        assert sum(each.follow_up for each in still_open) <= 1
    active = next((each for each in known.values() if not each.ended and not each.follow_up), None)
    return Lane(active, next((each for each in known.values() if not each.ended and each.follow_up), None))


def test_manual_starts_at_once_when_nothing_runs() -> None:
    requested = runs.request(Lane(), wanted(), now=NOW)
    assert requested.created
    assert requested.decision.command == (requested.run,)
    assert requested.decision.say == (requested.run,)


def test_manual_promotes_the_queued_run() -> None:
    """Otherwise a person waits behind a scheduled run, or a retry's back-off, that does the same work."""
    queued = run(commanded_at=None, next_attempt_at=NOW + timedelta(minutes=20), attempt=3)
    requested = runs.request(Lane(queued), wanted(), now=NOW)
    assert requested.promoted
    assert (requested.run.run_id, requested.run.kind) == (queued.run_id, RunKind.MANUAL)
    assert requested.decision.command == (requested.run,)
    assert requested.run.next_attempt_at is None


def test_manual_books_one_follow_up_of_the_running_run() -> None:
    """Otherwise a sale made after the run passed it stays away although somebody asked for it."""
    active = run(state=RunState.RUNNING, sequence=4)
    first = runs.request(Lane(active), wanted(), now=NOW)
    assert first.run.follow_up
    assert not first.decision.command
    lane = after(Lane(active), first.decision)
    second = runs.request(lane, wanted(), now=NOW)
    assert second.run.run_id == first.run.run_id
    assert not second.decision.save


def republish(what: Republish) -> Run:
    return replace(wanted(RunKind.REPUBLISH), republish=what)


ORDERS = Republish(order_ids=("A", "B"))
MARCH = Republish(from_at=NOW - timedelta(days=90), to_at=NOW - timedelta(days=60))
SINCE_MAY = Republish(from_at=NOW - timedelta(days=30))


def test_a_republish_joins_the_run_that_waits_and_loses_nothing_of_either() -> None:
    """Otherwise the second person's orders are silently left out."""
    queued = run(kind=RunKind.SCHEDULED)
    first = runs.request(Lane(queued), republish(ORDERS), now=NOW)
    assert (first.run.run_id, first.run.kind, first.run.republish) == (
        queued.run_id,
        RunKind.REPUBLISH,
        ORDERS,
    )
    assert first.decision.command == (first.run,)
    second = runs.request(Lane(first.run), republish(Republish(order_ids=("B", "C"))), now=NOW)
    assert second.run.republish == Republish(order_ids=("A", "B", "C"))
    third = runs.request(Lane(second.run), republish(MARCH), now=NOW)
    fourth = runs.request(Lane(third.run), republish(SINCE_MAY), now=NOW)
    assert fourth.run.republish == Republish(from_at=MARCH.from_at, order_ids=("A", "B", "C"))
    manual = runs.request(Lane(fourth.run), wanted(), now=NOW)
    assert (manual.run.kind, manual.run.republish) == (RunKind.REPUBLISH, fourth.run.republish)


def test_a_republish_behind_a_running_run_waits_for_it_and_is_tried_again_whole() -> None:
    """Otherwise a failure, or a run that was going, turns it into an ordinary sync."""
    running = run(state=RunState.RUNNING)
    booked = runs.request(Lane(running), republish(MARCH), now=NOW)
    assert (booked.run.follow_up, booked.run.republish, booked.decision.command) == (True, MARCH, ())
    lane = after(Lane(running), booked.decision)
    ended = hear(lane, event(running, RunState.SUCCEEDED))
    assert ended is not None
    assert [each.republish for each in ended.command] == [MARCH]
    lane = after(lane, ended)
    assert lane.active is not None
    failed = hear(lane, event(lane.active, RunState.FAILED, error=failure(ErrorClass.NETWORK)))
    assert failed is not None
    assert failed.save[0].republish == MARCH


def test_two_republishes_that_do_not_fit_into_one_run_are_told_so() -> None:
    """Otherwise one of them is cut, and nobody knows which orders are missing."""
    full = Republish(order_ids=tuple(str(number) for number in range(MOST_REPUBLISHED)))
    waiting = replace(run(kind=RunKind.REPUBLISH), republish=full)
    with pytest.raises(runs.NoRoom, match="1001 orders"):
        runs.request(Lane(waiting), republish(Republish(order_ids=("A",))), now=NOW)
    until = Republish(to_at=NOW)
    waiting = replace(run(kind=RunKind.REPUBLISH), republish=until)
    with pytest.raises(runs.NoRoom, match="everything"):
        runs.request(Lane(waiting), republish(SINCE_MAY), now=NOW)


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.CANCELLED, RunState.FAILED])
def test_follow_up_starts_when_the_run_ends(state: RunState) -> None:
    """Otherwise what a person booked never happens."""
    active = run(state=RunState.RUNNING, sequence=4)
    booked = wanted()
    lane = Lane(active, replace(booked, follow_up=True))
    error = failure(ErrorClass.BAD_DATA) if state == RunState.FAILED else None
    decision = hear(lane, event(active, state, sequence=5, error=error))
    assert decision is not None
    assert [each.run_id for each in decision.command] == [booked.run_id]
    assert after(lane, decision).active == replace(booked, commanded_at=NOW)


def test_scheduled_time_is_served_by_a_waiting_run() -> None:
    """Otherwise runs pile up behind a provider that is down."""
    assert runs.fall_due(Lane(run()), wanted(RunKind.SCHEDULED), now=NOW) == runs.NOTHING
    running = Lane(run(state=RunState.RUNNING))
    booked = runs.fall_due(running, wanted(RunKind.SCHEDULED), now=NOW)
    assert booked.save[0].follow_up
    assert runs.fall_due(after(running, booked), wanted(RunKind.SCHEDULED), now=NOW) == runs.NOTHING


@pytest.mark.parametrize(
    ("error_class", "again"),
    [
        (ErrorClass.NETWORK, True),
        (ErrorClass.PROVIDER_UNAVAILABLE, True),
        (ErrorClass.INTERNAL, True),
        (ErrorClass.RATE_LIMITED, True),
        (ErrorClass.UNKNOWN, True),
        (ErrorClass.AUTH, False),
        (ErrorClass.BAD_DATA, False),
    ],
)
def test_retry_depends_on_the_class(error_class: ErrorClass, again: bool) -> None:
    """Otherwise a passing fault stops a shop's sales, or a refused token is tried over and over."""
    active = run(state=RunState.RUNNING)
    decision = hear(Lane(active), event(active, RunState.FAILED, error=failure(error_class)))
    assert decision is not None
    saved = decision.save[-1]
    assert (saved.state == RunState.QUEUED) is again
    assert (saved.attempt, saved.sequence) == ((2, 0) if again else (1, 1))
    assert not decision.command
    assert [said.next_attempt_at for said in decision.say] == ([NOW + timedelta(seconds=15)] if again else [])


def test_attempts_end() -> None:
    active = run(state=RunState.RUNNING, attempt=5)
    decision = hear(
        Lane(active), event(active, RunState.FAILED, attempt=5, error=failure(ErrorClass.NETWORK))
    )
    assert decision is not None
    assert decision.save[0].state == RunState.FAILED


def test_auth_cancels_the_booked_follow_up() -> None:
    """Otherwise a run that must fail is started, and looks like an error of its own."""
    active = run(state=RunState.RUNNING)
    lane = Lane(active, replace(wanted(), follow_up=True))
    decision = hear(lane, event(active, RunState.FAILED, error=failure(ErrorClass.AUTH)))
    assert decision is not None
    assert after(lane, decision) == Lane()
    assert [said.state for said in decision.say] == [RunState.CANCELLED]
    assert not decision.command


@given(
    attempt=st.integers(1, 9), chance=st.floats(0, 1, exclude_max=True), asked=st.floats(0, 1e6) | st.none()
)
def test_back_off_is_bounded(attempt: int, chance: float, asked: float | None) -> None:
    """Otherwise runs hammer a provider, or wait for days."""
    policy = RetryPolicy(attempts=10)
    error = failure(ErrorClass.RATE_LIMITED, asked)
    at = next_attempt_at(policy, error, attempt=attempt, now=NOW, chance=chance)
    assert at is not None
    wait = (at - NOW).total_seconds()
    assert 0 <= wait <= 3600
    assert wait >= min(asked or 0, 3600) - 1e-6
    if asked is None:
        assert wait <= min(30 * 2 ** (attempt - 1), 1800)


def test_silent_run_gets_its_command_again() -> None:
    """Otherwise a command that was lost leaves the connection blocked for ever."""
    active = run(state=RunState.RUNNING, attempt=2, sequence=7)
    decision = runs.tick(Lane(active), active.run_id, now=NOW)
    assert decision.silent
    assert [(each.run_id, each.attempt) for each in decision.command] == [(active.run_id, 2)]


def test_cancel_of_a_queued_run_is_final_whatever_its_connector_says() -> None:
    """Otherwise a run that was cancelled while its connector took it up comes back to life."""
    queued = run()
    decision = runs.cancel(Lane(queued), queued.run_id, now=NOW)
    ended = decision.save[0]
    assert decision.say == decision.stop == (ended,)
    assert ended.state == RunState.CANCELLED
    late = event(queued, RunState.RUNNING, sequence=1)
    assert (late.attempt, late.sequence) < (ended.attempt, ended.sequence)


def test_cancel_of_a_running_run_waits_for_its_connector_but_not_for_ever() -> None:
    """Otherwise a run is said to be cancelled while it publishes, or never ends at all."""
    active = run(state=RunState.RUNNING, sequence=3)
    asked = runs.cancel(Lane(active), active.run_id, now=NOW)
    assert asked.stop
    assert not asked.say
    lane = after(Lane(active), asked)
    assert after(lane, runs.tick(lane, active.run_id, now=NOW)) == Lane()
    failed = hear(lane, event(active, RunState.FAILED, sequence=4, error=failure(ErrorClass.NETWORK)))
    assert failed is not None
    assert failed.save[0].state == RunState.FAILED


def test_pause_stops_everything() -> None:
    lane = Lane(run(state=RunState.RUNNING), replace(wanted(), follow_up=True))
    decision = runs.stop_all(lane, now=NOW, revision=4)
    left = after(lane, decision)
    assert left.follow_up is None
    assert left.active is not None
    assert left.active.cancel_requested_at == NOW
    assert not decision.command


def test_a_pause_that_is_heard_late_stops_nothing_that_was_asked_for_after_it() -> None:
    """Otherwise "sync now" after a resume does nothing, where Kafka was away when the pause was said."""
    asked = run(settings_revision=5, kind=RunKind.MANUAL)
    assert runs.stop_all(Lane(asked), now=NOW, revision=4) == runs.NOTHING
    ended = after(Lane(asked), runs.stop_all(Lane(asked), now=NOW, revision=5))
    assert ended.active is None
    older = run(state=RunState.QUEUED)
    left = after(
        Lane(older, replace(asked, follow_up=True)),
        runs.stop_all(Lane(older, replace(asked, follow_up=True)), now=NOW, revision=4),
    )
    assert left.active is not None
    assert (left.active.run_id, left.follow_up) == (asked.run_id, None)


def _story(of: UUID) -> list[SyncRunChanged]:
    """A run that fails once, then succeeds."""
    base = run(run_id=of)
    return [
        event(base, RunState.RUNNING, 1, 1),
        event(base, RunState.RUNNING, 1, 2),
        event(base, RunState.FAILED, 1, 3, error=failure(ErrorClass.NETWORK)),
        event(base, RunState.RUNNING, 2, 1),
        event(base, RunState.RUNNING, 2, 2),
        event(base, RunState.SUCCEEDED, 2, 3),
    ]


@given(st.data())
def test_any_order_and_repetition_ends_the_same(data: st.DataObject) -> None:
    """Otherwise a redelivered or late event reopens a run, or starts it twice."""
    of = uuid4()
    story = _story(of)
    heard = data.draw(st.permutations(story + data.draw(st.lists(st.sampled_from(story), max_size=6))))
    lane, newest, ended = Lane(run(run_id=of)), (1, 0), None
    for each in heard:
        decision = hear(lane, each)
        if decision is None:
            continue
        saved = decision.save[0]
        assert (saved.attempt, saved.sequence) > newest
        newest = (saved.attempt, saved.sequence)
        lane = after(lane, decision)
        ended = saved if saved.ended else ended
    assert lane == Lane()
    assert ended is not None
    assert (ended.state, ended.attempt, ended.sequence) == (RunState.SUCCEEDED, 2, 3)


@given(
    st.lists(
        st.sampled_from(["ask", "due", "run", "ok", "net", "auth", "tick", "cancel", "stop"]), max_size=30
    )
)
def test_a_lane_never_holds_two_active_runs(steps: list[str]) -> None:
    """Otherwise two runs of one account read and publish against each other."""
    lane = Lane()
    for step in steps:
        active, sequence = lane.active, (lane.active.sequence + 1 if lane.active else 0)
        decision: Decision | None = runs.NOTHING
        if step == "ask":
            decision = runs.request(lane, wanted(), now=NOW).decision
        elif step == "due":
            decision = runs.fall_due(lane, wanted(RunKind.SCHEDULED), now=NOW)
        elif step == "stop":
            decision = runs.stop_all(lane, now=NOW, revision=3)
        elif active is not None and step == "tick":
            decision = runs.tick(lane, active.run_id, now=NOW)
        elif active is not None and step == "cancel":
            decision = runs.cancel(lane, active.run_id, now=NOW)
        elif active is not None:
            state = {"run": RunState.RUNNING, "ok": RunState.SUCCEEDED}.get(step, RunState.FAILED)
            error = {"net": failure(ErrorClass.NETWORK), "auth": failure(ErrorClass.AUTH)}.get(step)
            decision = hear(lane, event(active, state, active.attempt, sequence, error=error))
        assert decision is not None
        lane = after(lane, decision)  # asserts the rule after every single save
        assert lane.active is not None or lane.follow_up is None
