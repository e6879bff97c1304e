"""A server that was away: nobody could renew, so leases that ran out meanwhile are no sign of a lost worker."""

from __future__ import annotations

import pytest

from taskwheel_server.clock import DAY, SECOND
from taskwheel_server.model.state import State
from taskwheel_server.wheel.commands import Renewed
from tests.databases import SQLiteFiles
from tests.wheel.handwheel import LEASE, HandWheel


@pytest.fixture
def database_url(sqlite: SQLiteFiles) -> str:
    """A database that one server has for itself: of others, another server would keep the leases going."""
    return sqlite.fresh()


def away(wheel: HandWheel, duration: int) -> None:
    """Have the server be away for a while, and back."""
    wheel.store.close()
    wheel.clock.advance(duration)
    wheel.open()
    wheel.turn()
    wheel.settle()


@pytest.mark.parametrize("duration", [0, LEASE - 1, LEASE, DAY], ids=["a moment", "nearly", "a lease", "a day"])
def test_a_run_goes_on_under_a_new_full_lease(wheel: HandWheel, duration: int) -> None:
    wheel.task()
    run = wheel.started()
    away(wheel, duration)
    wheel.advance(LEASE - 1)
    assert wheel.state(run) is State.RUNNING
    assert wheel.renew(run) == Renewed(wheel.now + LEASE)
    assert wheel.succeed(run)
    assert wheel.events(run) == ["run_pending", "run_started", "run_succeeded"]


def test_a_worker_that_does_not_come_back_loses_its_run_one_lease_later(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    away(wheel, DAY)
    wheel.advance(LEASE)
    assert (wheel.state(run), wheel.get(run).error_name) == (State.FAILED, "zombieTaskCleaned")


def test_a_run_that_is_to_stop_has_as_long(wheel: HandWheel) -> None:
    wheel.task()
    run = wheel.started()
    wheel.cancel(run)
    away(wheel, DAY)
    assert wheel.state(run) is State.CANCELLING
    wheel.advance(LEASE)
    assert wheel.state(run) is State.CANCELLED


@pytest.mark.parametrize("timeout", [LEASE // 2, LEASE, LEASE + 10 * SECOND], ids=["short", "equal", "longer"])
def test_the_run_timeout_ends_on_time_all_the_same(wheel: HandWheel, timeout: int) -> None:
    wheel.task(run_timeout=timeout)
    over = wheel.started()
    away(wheel, timeout)
    assert (wheel.state(over), wheel.get(over).error_name) == (State.FAILED, "runTimeout")
    in_time = wheel.started()
    away(wheel, timeout - 1)
    assert wheel.state(in_time) is State.RUNNING
    wheel.advance(1)
    assert (wheel.state(in_time), wheel.get(in_time).error_name) == (State.FAILED, "runTimeout")
