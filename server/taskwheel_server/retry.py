"""When a failed attempt is tried again, and how much later. Pure: the wheel asks, the wheel acts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

_SECOND = 1_000_000
_MAX_ATTEMPTS = 100
_MAX_DELAY = 30 * 86_400 * _SECOND
_MAX_MULTIPLIER = 100
_MAX_NAMES = 100
_MAX_NAME_LENGTH = 256
_NEVER_RETRIED = {("system", "startDeadlineExceeded"), ("system", "resultTooLarge")}


class InvalidRetryPolicy(ValueError):
    """A retry policy breaks its rule.

    Args:
        field: path within the policy, as in the proto (`exponential_backoff.multiplier`).
        description: what is wrong with it.
    """

    def __init__(self, field: str, description: str) -> None:
        super().__init__(f"{field}: {description}")
        self.field = field
        self.description = description


@dataclass(frozen=True, slots=True)
class ExponentialBackoff:
    """The delay grows from `initial_delay` µs by `multiplier` an attempt, up to `max_delay` µs."""

    initial_delay: int = _SECOND
    multiplier: float = 2.0
    max_delay: int = 600 * _SECOND


@dataclass(frozen=True, slots=True)
class FixedDelays:
    """The delay after each attempt, µs; past the end the last one repeats."""

    delays: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a run is attempted, after which errors, and how far apart.

    Args:
        max_attempts: counts the first attempt.
        backoff: how long to wait between attempts.
        jitter_ratio: 0 to 1: the largest part of a delay that chance may take away.
        retryable_error_names: errors to retry, by exact name; empty means every error.
        non_retryable_error_names: errors never to retry, whatever else is said.
        retry_on_lost: whether an attempt whose lease ended is retried.
    """

    max_attempts: int = 1
    backoff: ExponentialBackoff | FixedDelays = ExponentialBackoff()
    jitter_ratio: float = 0.0
    retryable_error_names: tuple[str, ...] = ()
    non_retryable_error_names: tuple[str, ...] = ()
    retry_on_lost: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what differs from the default policy, in JSON's types."""
        changed = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        match changed.pop("backoff", None):
            case FixedDelays(delays):
                changed["delays"] = delays
            case ExponentialBackoff(initial_delay, multiplier, max_delay):
                changed["exponential"] = (initial_delay, multiplier, max_delay)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> RetryPolicy:
        """Return the policy that `to_dict` wrote."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
        }
        if "delays" in values:
            values["backoff"] = FixedDelays(values.pop("delays"))
        if "exponential" in values:
            values["backoff"] = ExponentialBackoff(*values.pop("exponential"))
        return cls(**values)


def check(policy: RetryPolicy) -> None:
    """Check a policy that a caller wrote.

    Raises:
        InvalidRetryPolicy: a number is out of range, or a list too long.
    """
    if not 1 <= policy.max_attempts <= _MAX_ATTEMPTS:
        raise InvalidRetryPolicy("max_attempts", f"must be 1 to {_MAX_ATTEMPTS}")
    _check_backoff(policy.backoff)
    if not 0 <= policy.jitter_ratio <= 1:
        raise InvalidRetryPolicy("jitter_ratio", "must be 0 to 1")
    _check_names("retryable_error_names", policy.retryable_error_names)
    _check_names("non_retryable_error_names", policy.non_retryable_error_names)


def _check_backoff(backoff: ExponentialBackoff | FixedDelays) -> None:
    match backoff:
        case FixedDelays(delays):
            if not 1 <= len(delays) <= _MAX_ATTEMPTS:
                raise InvalidRetryPolicy("fixed_delays.delays", f"must hold 1 to {_MAX_ATTEMPTS} delays")
            for index, value in enumerate(delays):
                _check_delay(f"fixed_delays.delays[{index}]", value)
        case ExponentialBackoff(initial_delay, multiplier, max_delay):
            _check_delay("exponential_backoff.initial_delay", initial_delay)
            _check_delay("exponential_backoff.max_delay", max_delay)
            if not 1 <= multiplier <= _MAX_MULTIPLIER:
                raise InvalidRetryPolicy("exponential_backoff.multiplier", f"must be 1 to {_MAX_MULTIPLIER}")
            if max_delay < initial_delay:
                raise InvalidRetryPolicy("exponential_backoff.max_delay", "must not be less than initial_delay")


def _check_names(field: str, names: tuple[str, ...]) -> None:
    if len(names) > _MAX_NAMES:
        raise InvalidRetryPolicy(field, f"must hold at most {_MAX_NAMES} names")
    for index, name in enumerate(names):
        if not 1 <= len(name) <= _MAX_NAME_LENGTH:
            raise InvalidRetryPolicy(f"{field}[{index}]", f"must be 1 to {_MAX_NAME_LENGTH} characters")


def _check_delay(field: str, value: int) -> None:
    if not 0 <= value <= _MAX_DELAY:
        raise InvalidRetryPolicy(field, "must be 0 s to 30 days")


def retryable(policy: RetryPolicy, attempt: int, error_type: str, error_name: str, *, lost: bool) -> bool:
    """Tell whether a failed attempt is to be tried again.

    Args:
        policy: the run's copy of its task's policy.
        attempt: the attempt that failed, from 1.
        error_type: `system` for the server's own errors.
        error_name: matched exactly, case included.
        lost: whether it failed because its lease ended: only `retry_on_lost` asks for a retry then.
    """
    if attempt >= policy.max_attempts or error_name in policy.non_retryable_error_names:
        return False
    if lost:
        return policy.retry_on_lost
    if (error_type, error_name) in _NEVER_RETRIED:
        return False
    return not policy.retryable_error_names or error_name in policy.retryable_error_names


def delay(policy: RetryPolicy, attempt: int, seed: str) -> int:
    """Return the µs to wait before the next attempt, the same for the same arguments.

    Args:
        policy: the run's copy of its task's policy.
        attempt: the attempt that failed, from 1.
        seed: what tells this run from others, such as its uid, so that runs that failed together spread out.
    """
    backoff = policy.backoff
    if isinstance(backoff, FixedDelays):
        longest = backoff.delays[min(attempt, len(backoff.delays)) - 1]
    else:
        # Within the bounds of `check` the power stays far below a double's largest, 1e308.
        longest = int(min(backoff.initial_delay * backoff.multiplier ** (attempt - 1), backoff.max_delay))
    digest = hashlib.blake2b(f"{seed}/{attempt}".encode(), digest_size=8).digest()
    chance = int.from_bytes(digest, "big") / 2**64
    return longest - int(longest * policy.jitter_ratio * chance)
