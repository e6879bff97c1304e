"""A turn that fails after its COMMIT is not told of: those who wait for what it stored look again after the next."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskwheel_server.clock import SECOND
from taskwheel_server.model.state import State
from taskwheel_server.wheel.commands import ClaimRuns, CompleteRuns, DeleteTask, Result
from taskwheel_server.wheel.turn import SLICE
from tests.wheel.breaker import Breaker, Bug, Point, unavailable
from tests.wheel.handwheel import HandWheel, lease_of, task_ref


@pytest.mark.parametrize("error", [unavailable, Bug])
@pytest.mark.parametrize("times", [1, 2], ids=["once", "until the caller is refused"])
def test_what_a_turn_of_unknown_outcome_has_stored_is_told_with_the_next(
    wheel: HandWheel, error: Callable[[], BaseException], times: int
) -> None:
    wheel.task()
    run = wheel.started()
    before = len(wheel.events())
    with Breaker(Point.AFTER_COMMIT, 1, error, times) as breaker:
        breaker.watch(wheel.store)
        told = len(wheel.outcomes)
        wheel.send(CompleteRuns(results=[Result(lease_of(run))]))
        wheel.turn()
    wheel.advance(SECOND)
    assert wheel.state(run) is State.SUCCEEDED
    news = [outcome for outcome in wheel.outcomes[told:] if outcome.untold]
    assert news[0].sequences == {"default": before + 1}
    # Only then: to have everybody look costs.
    told = len(wheel.outcomes)
    wheel.succeed(wheel.started())
    assert not any(outcome.untold for outcome in wheel.outcomes[told:])


def test_what_a_sweep_of_unknown_outcome_has_stored_is_told_as_well(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(SLICE + 1)
    wheel.send(DeleteTask(task=task_ref("t")))
    wheel.outcomes.clear()
    with Breaker(Point.AFTER_COMMIT, 2, unavailable) as breaker:
        breaker.watch(wheel.store)
        wheel.turn()
        wheel.settle()
    assert {outcome.sequences["default"] for outcome in wheel.outcomes if outcome.untold} == {len(wheel.events())}


def test_no_more_is_remembered_of_failed_turns_than_the_last_can_have_given_out(wheel: HandWheel) -> None:
    wheel.task()
    wheel.run_many(3)
    for _ in range(5):
        with Breaker(Point.BEFORE_COMMIT, 1, unavailable, 2) as breaker:
            breaker.watch(wheel.store)
            wheel.send(ClaimRuns(demand=wheel.new_demand(3)))
            wheel.turn()
    assert len(wheel.wheel._orphans) == 3
