"""The server's own clock: it follows the wall clock, but never backwards, and never so fast that leases run out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from taskwheel_server.clock import DAY, HOUR, MINUTE, SECOND, SystemClock

START = 1_800_000_000 * SECOND
NS = 1_000


class Machine:
    """A wall clock that can be set and a clock that nobody sets, both in µs."""

    def __init__(self) -> None:
        self.wall = START
        self.elapsed = 7 * DAY
        self.clock = SystemClock(lambda: self.wall * NS, lambda: self.elapsed * NS)

    def advance(self, duration: int) -> None:
        self.wall += duration
        self.elapsed += duration

    def passes(self, duration: int) -> None:
        """Let time pass while the server looks at its clock now and then."""
        for _ in range(100):
            self.advance(duration // 100)
            self.clock.now()


def test_it_starts_with_the_wall_clock_and_passes_with_it() -> None:
    machine = Machine()
    assert machine.clock.now() == START
    machine.advance(HOUR)
    assert machine.clock.now() == START + HOUR


def test_a_wall_clock_that_is_set_is_met_after_ten_times_the_difference() -> None:
    for step in (SECOND, -SECOND, HOUR, -HOUR):
        machine = Machine()
        machine.wall += step
        machine.passes(9 * abs(step))
        assert machine.clock.now() != machine.wall
        machine.passes(2 * abs(step))
        assert machine.clock.now() == machine.wall


def test_a_wall_clock_that_is_set_does_not_move_the_present() -> None:
    machine = Machine()
    for step in (DAY, -30 * DAY):
        machine.wall += step
        assert machine.clock.now() == START


def test_a_lease_lasts_nine_tenths_of_its_time_at_least() -> None:
    machine = Machine()
    lease = machine.clock.now() + 30 * SECOND
    machine.wall += DAY
    machine.passes(27 * SECOND)
    assert machine.clock.now() < lease
    machine.passes(SECOND)
    assert machine.clock.now() >= lease


def test_the_time_of_a_suspension_has_passed_at_once() -> None:
    machine = Machine()
    machine.advance(8 * HOUR)
    assert machine.clock.now() == START + 8 * HOUR


def test_whoever_sleeps_looks_again_within_seconds() -> None:
    machine = Machine()
    assert machine.clock.timeout(START - 1) == 0
    assert machine.clock.timeout(START + SECOND) == 1
    assert machine.clock.timeout(START + MINUTE) == 10


@given(st.lists(st.tuples(st.integers(0, DAY), st.integers(-400 * DAY, 400 * DAY))))
def test_whatever_the_wall_clock_does_time_passes_at_its_pace(moves: list[tuple[int, int]]) -> None:
    machine = Machine()
    before = machine.clock.now()
    for passed, step in moves:
        machine.advance(passed)
        machine.wall += step
        now = machine.clock.now()
        assert passed * 9 // 10 - 1 <= now - before <= passed * 11 // 10 + 1
        before = now


def test_the_real_one_passes() -> None:
    clock = SystemClock()
    first = clock.now()
    while clock.now() == first:
        pass
    assert clock.now() > first
