"""A store that does not answer for a while: nobody can renew, so leases that run out are no sign of a lost worker."""

from __future__ import annotations

import pytest

from taskwheel_server.clock import DAY, SECOND
from taskwheel_server.errors import Unavailable
from taskwheel_server.model.state import State
from taskwheel_server.wheel.commands import Renewed
from taskwheel_server.wheel.wheel import AWAY
from tests.wheel.breaker import Breaker, Point, unavailable
from tests.wheel.handwheel import LEASE, HandWheel


def outage(wheel: HandWheel, run, duration: int) -> None:
    """Have the store be away for so long, µs: a renewal meets it at its beginning."""
    with Breaker(Point.STATEMENT, 1, unavailable, 1_000_000) as breaker:
        breaker.watch(wheel.store)
        with pytest.raises(Unavailable):
            wheel.renew(run)
        wheel.clock.advance(duration)
        wheel.turn()
    wheel.clock.advance(SECOND)
    wheel.turn()
    wheel.settle()


@pytest.mark.parametrize("duration", [LEASE // AWAY, LEASE, DAY], ids=["a renewal", "a lease", "a day"])
def test_a_run_goes_on_under_a_new_full_lease(wheel: HandWheel, duration: int) -> None:
    wheel.task()
    run = wheel.started()
    outage(wheel, run, duration)
    wheel.advance(LEASE - 1)
    assert wheel.state(run) is State.RUNNING
    assert wheel.renew(run) == Renewed(wheel.now + LEASE)
    assert wheel.succeed(run)
    assert wheel.events(run) == ["run_pending", "run_started", "run_succeeded"]


def test_a_worker_that_is_lost_as_well_loses_its_run_one_lease_later(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    outage(wheel, run, DAY)
    wheel.advance(LEASE)
    assert (wheel.state(run), wheel.get(run).error_name) == (State.FAILED, "zombieTaskCleaned")


def test_after_a_moment_no_lease_lasts_longer(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    outage(wheel, run, SECOND)
    wheel.advance(LEASE - 2 * SECOND - 1)
    assert wheel.state(run) is State.RUNNING
    wheel.advance(1)
    assert wheel.state(run) is State.FAILED


def test_the_run_timeout_ends_on_time_all_the_same(wheel: HandWheel) -> None:
    wheel.task(run_timeout=LEASE)
    run = wheel.started()
    outage(wheel, run, LEASE)
    assert (wheel.state(run), wheel.get(run).error_name) == (State.FAILED, "runTimeout")


def test_traffic_after_an_outage_does_not_put_off_the_news_that_all_is_well(wheel: HandWheel) -> None:
    wheel.task()
    with Breaker(Point.STATEMENT, 1, unavailable, 1_000_000) as breaker:
        breaker.watch(wheel.store)
        with pytest.raises(Unavailable):
            wheel.run()
    assert wheel.wheel.stuck_since is not None
    for _ in range(3):
        wheel.clock.advance(SECOND // 2)
        wheel.run()
    assert wheel.wheel.stuck_since is None
