"""The retry policy: which failures are tried again, and when."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskwheel_server.retry import (
    ExponentialBackoff,
    FixedDelays,
    InvalidRetryPolicy,
    RetryPolicy,
    check,
    delay,
    retryable,
)

SECOND = 1_000_000
DAY = 86_400 * SECOND
# Document 003: at most 3 retries after 2, 5 and 10 s, only for listed error names.
DOCUMENT_003 = RetryPolicy(
    max_attempts=4,
    backoff=FixedDelays((2 * SECOND, 5 * SECOND, 10 * SECOND)),
    retryable_error_names=("Busy", "Timeout"),
)
LOST = ("system", "zombieTaskCleaned")


@pytest.mark.parametrize(
    ("policy", "attempt", "error", "lost", "expected"),
    [
        # Off by default.
        (RetryPolicy(), 1, ("", "Busy"), False, False),
        (DOCUMENT_003, 1, ("", "Busy"), False, True),
        (DOCUMENT_003, 3, ("", "Timeout"), False, True),
        # max_attempts counts the first.
        (DOCUMENT_003, 4, ("", "Busy"), False, False),
        (RetryPolicy(max_attempts=2), 7, ("", "Busy"), False, False),
        # Only the listed names, exactly.
        (DOCUMENT_003, 1, ("", "busy"), False, False),
        (DOCUMENT_003, 1, ("", ""), False, False),
        (DOCUMENT_003, 1, ("system", "runTimeout"), False, False),
        # No names: every error.
        (RetryPolicy(max_attempts=2), 1, ("", "Anything"), False, True),
        (RetryPolicy(max_attempts=2), 1, ("", ""), False, True),
        (RetryPolicy(max_attempts=2), 1, ("system", "runTimeout"), False, True),
        # What must not be retried wins over what may.
        (RetryPolicy(max_attempts=2, non_retryable_error_names=("Fatal",)), 1, ("", "Fatal"), False, False),
        (RetryPolicy(2, retryable_error_names=("A",), non_retryable_error_names=("A",)), 1, ("", "A"), False, False),
        # Too late to start is final; a handler's own error of that name is not.
        (RetryPolicy(max_attempts=2), 1, ("system", "startDeadlineExceeded"), False, False),
        (RetryPolicy(max_attempts=2), 1, ("app", "startDeadlineExceeded"), False, True),
        # A lost lease asks only retry_on_lost, and counts as an attempt.
        (RetryPolicy(max_attempts=2), 1, LOST, True, False),
        (RetryPolicy(max_attempts=2, retry_on_lost=True), 1, LOST, True, True),
        (RetryPolicy(max_attempts=2, retry_on_lost=True), 2, LOST, True, False),
        (RetryPolicy(2, retry_on_lost=True, retryable_error_names=("A",)), 1, LOST, True, True),
        (RetryPolicy(2, retry_on_lost=True, non_retryable_error_names=LOST[1:]), 1, LOST, True, False),
    ],
)
def test_which_failures_are_tried_again(
    policy: RetryPolicy, attempt: int, error: tuple[str, str], *, lost: bool, expected: bool
) -> None:
    assert retryable(policy, attempt, *error, lost=lost) is expected


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        # No backoff set: 1 s × 2, at most 10 min.
        (RetryPolicy(max_attempts=100), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]),
        (DOCUMENT_003, [2, 5, 10, 10, 10]),
        (RetryPolicy(backoff=ExponentialBackoff(0, 100.0, DAY)), [0] * 100),
        (
            RetryPolicy(backoff=ExponentialBackoff(SECOND, 100.0, 30 * DAY)),
            [1, 100, 10_000, 1_000_000, *[2_592_000] * 96],
        ),
        (RetryPolicy(backoff=ExponentialBackoff(3 * SECOND, 1.0, 3 * SECOND)), [3, 3, 3]),
        (RetryPolicy(backoff=ExponentialBackoff(2 * SECOND, 1.5, 4 * SECOND)), [2, 3, 4, 4]),
    ],
)
def test_how_long_each_attempt_waits(policy: RetryPolicy, seconds: list[int]) -> None:
    delays = [delay(policy, attempt, "seed") for attempt in range(1, len(seconds) + 1)]
    assert delays == [second * SECOND for second in seconds]


def changed(**fields: object) -> RetryPolicy:
    return dataclasses.replace(RetryPolicy(), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (changed(max_attempts=0), "max_attempts"),
        (changed(max_attempts=-1), "max_attempts"),
        (changed(max_attempts=101), "max_attempts"),
        (changed(jitter_ratio=-0.1), "jitter_ratio"),
        (changed(jitter_ratio=1.1), "jitter_ratio"),
        (changed(jitter_ratio=float("nan")), "jitter_ratio"),
        (changed(backoff=FixedDelays(())), "fixed_delays.delays"),
        (changed(backoff=FixedDelays((1,) * 101)), "fixed_delays.delays"),
        (changed(backoff=FixedDelays((1, -1))), "fixed_delays.delays[1]"),
        (changed(backoff=FixedDelays((30 * DAY + 1,))), "fixed_delays.delays[0]"),
        (changed(backoff=ExponentialBackoff(initial_delay=-1)), "exponential_backoff.initial_delay"),
        (changed(backoff=ExponentialBackoff(max_delay=30 * DAY + 1)), "exponential_backoff.max_delay"),
        (changed(backoff=ExponentialBackoff(initial_delay=601 * SECOND)), "exponential_backoff.max_delay"),
        (changed(backoff=ExponentialBackoff(multiplier=0.99)), "exponential_backoff.multiplier"),
        (changed(backoff=ExponentialBackoff(multiplier=100.1)), "exponential_backoff.multiplier"),
        (changed(backoff=ExponentialBackoff(multiplier=float("inf"))), "exponential_backoff.multiplier"),
        (changed(backoff=ExponentialBackoff(multiplier=float("nan"))), "exponential_backoff.multiplier"),
        (changed(retryable_error_names=("a", "")), "retryable_error_names[1]"),
        (changed(retryable_error_names=("a" * 257,)), "retryable_error_names[0]"),
        (changed(non_retryable_error_names=("a",) * 101), "non_retryable_error_names"),
    ],
)
def test_a_policy_out_of_bounds_names_the_field(policy: RetryPolicy, field: str) -> None:
    with pytest.raises(InvalidRetryPolicy) as caught:
        check(policy)
    assert caught.value.field == field
    assert str(caught.value) == f"{field}: {caught.value.description}"


delays = st.integers(0, 30 * DAY)
names = st.lists(st.text(min_size=1, max_size=256), max_size=3).map(tuple)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 100),
    backoff=st.one_of(
        st.builds(FixedDelays, st.lists(delays, min_size=1, max_size=5).map(tuple)),
        st.tuples(delays, delays, st.floats(1, 100)).map(lambda t: ExponentialBackoff(min(t[:2]), t[2], max(t[:2]))),
    ),
    jitter_ratio=st.floats(0, 1),
    retryable_error_names=names,
    non_retryable_error_names=names,
    retry_on_lost=st.booleans(),
)


@given(policies)
def test_a_policy_within_bounds_passes_and_survives_storage(policy: RetryPolicy) -> None:
    check(policy)
    assert RetryPolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


def test_the_default_policy_stores_as_nothing() -> None:
    assert RetryPolicy().to_dict() == {}
    assert DOCUMENT_003.to_dict() == {
        "max_attempts": 4,
        "delays": [2 * SECOND, 5 * SECOND, 10 * SECOND],
        "retryable_error_names": ["Busy", "Timeout"],
    }


@given(policies, st.integers(1, 100), st.text(max_size=40))
def test_jitter_only_takes_away_and_at_most_its_share(policy: RetryPolicy, attempt: int, seed: str) -> None:
    longest = delay(dataclasses.replace(policy, jitter_ratio=0.0), attempt, seed)
    jittered = delay(policy, attempt, seed)
    assert 0 <= longest <= 30 * DAY
    assert longest * (1 - policy.jitter_ratio) - 1 <= jittered <= longest
    assert jittered == delay(policy, attempt, seed)


def test_jitter_spreads_runs_that_failed_together() -> None:
    policy = RetryPolicy(jitter_ratio=1.0)
    waits = sorted(delay(policy, 1, f"run-{number}") for number in range(1_000))
    assert waits[50] < 0.1 * SECOND
    assert waits[950] > 0.9 * SECOND
    assert len(set(waits)) > 990


@given(policy=policies, attempt=st.integers(1, 100), name=st.text(min_size=1, max_size=5), lost=st.booleans())
def test_the_last_attempt_is_never_tried_again(policy: RetryPolicy, attempt: int, name: str, *, lost: bool) -> None:
    again = retryable(policy, attempt, "", name, lost=lost)
    assert not (again and attempt >= policy.max_attempts)
    assert not (again and name in policy.non_retryable_error_names)
