"""Retry policies as messages, and back."""

from __future__ import annotations

from typing import Any

from taskwheel_server.errors import InvalidArgument
from taskwheel_server.retry import ExponentialBackoff, FixedDelays, InvalidRetryPolicy, RetryPolicy, check
from taskwheel_server.rpc.times import microseconds, optional_microseconds, put

_DEFAULT = ExponentialBackoff()


def read_retry_policy(message: Any, path: str) -> RetryPolicy:
    """Return a retry policy that a caller sent, checked; `path` names it in errors. Raises InvalidArgument."""
    policy = RetryPolicy(
        max_attempts=message.max_attempts if message.HasField("max_attempts") else 1,
        backoff=_read_backoff(message, f"{path}."),
        jitter_ratio=message.jitter_ratio,
        retryable_error_names=tuple(message.retryable_error_names),
        non_retryable_error_names=tuple(message.non_retryable_error_names),
        retry_on_lost=message.retry_on_lost,
    )
    try:
        check(policy)
    except InvalidRetryPolicy as error:
        raise InvalidArgument(f"{path}.{error.field}", error.description, "INVALID_RETRY_POLICY") from None
    return policy


def _read_backoff(message: Any, path: str) -> ExponentialBackoff | FixedDelays:
    if message.HasField("fixed_delays"):
        delays = enumerate(message.fixed_delays.delays)
        return FixedDelays(tuple(microseconds(delay, f"{path}fixed_delays.delays[{i}]") for i, delay in delays))
    backoff = message.exponential_backoff
    path += "exponential_backoff."
    initial_delay = optional_microseconds(backoff, "initial_delay", path)
    max_delay = optional_microseconds(backoff, "max_delay", path)
    return ExponentialBackoff(
        initial_delay=_DEFAULT.initial_delay if initial_delay is None else initial_delay,
        multiplier=backoff.multiplier if backoff.HasField("multiplier") else _DEFAULT.multiplier,
        max_delay=_DEFAULT.max_delay if max_delay is None else max_delay,
    )


def put_retry_policy(message: Any, policy: RetryPolicy) -> None:
    """Set a RetryPolicy in place, its defaults spelled out."""
    message.max_attempts = policy.max_attempts
    if isinstance(policy.backoff, FixedDelays):
        for delay in policy.backoff.delays:
            put(message.fixed_delays.delays.add(), delay)
    else:
        put(message.exponential_backoff.initial_delay, policy.backoff.initial_delay)
        message.exponential_backoff.multiplier = policy.backoff.multiplier
        put(message.exponential_backoff.max_delay, policy.backoff.max_delay)
    message.jitter_ratio = policy.jitter_ratio
    message.retryable_error_names.extend(policy.retryable_error_names)
    message.non_retryable_error_names.extend(policy.non_retryable_error_names)
    message.retry_on_lost = policy.retry_on_lost
