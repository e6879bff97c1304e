"""What became of a run, as it is reported. Whatever a handler returns or raises, the report is within the bounds."""

from __future__ import annotations

import traceback
from typing import Any

from taskwheel._errors import UnsupportedValue
from taskwheel._values import clip, fill_value
from taskwheel._worker.run import Run
from taskwheel.v1 import task_run_pb2, worker_service_pb2

RunResult = worker_service_pb2.RunResult

_MAX_RESULT = 2**20
_MAX_MESSAGE = 8 * 2**10
_MAX_STACK = 64 * 2**10
_MAX_NAME = 256


def succeeded(run: Run, value: Any) -> RunResult:
    """The report of a handler that returned: its JSON value, or why that is none."""
    report = _report(run)
    try:
        fill_value(report.result, value)
    except UnsupportedValue as error:
        return failed(run, error)
    if report.result.ByteSize() > _MAX_RESULT:
        text = f"the result has {report.result.ByteSize():,} bytes, more than 1 MiB"
        report.error.CopyFrom(task_run_pb2.RunError(type="system", name="resultTooLarge", message=text))
    return report


def failed(run: Run, error: BaseException) -> RunResult:
    """The report of a handler that raised. Retry policies know the error by the name of its class."""
    report = _report(run)
    kind = type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    report.error.type = clip(f"{module}{kind.__qualname__}", _MAX_NAME)
    report.error.name = clip(kind.__name__, _MAX_NAME)
    report.error.message = clip(_text(error), _MAX_MESSAGE)
    report.error.stack = clip(_stack(error)[-_MAX_STACK:], _MAX_STACK)
    return report


def cancelled(run: Run) -> RunResult:
    """The report of a handler that stopped as it was asked to."""
    report = _report(run)
    report.cancelled = True
    return report


def _report(run: Run) -> RunResult:
    return RunResult(run=run.name, attempt=run.attempt, lease_token=run.lease_token)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  # a broken __str__ must not lose the report
        return type(error).__name__


def _stack(error: BaseException) -> str:
    try:
        frames = error.__traceback__ and error.__traceback__.tb_next  # the first frame is ours
        return "".join(traceback.format_exception(type(error), error, frames))
    except Exception:  # noqa: BLE001  # as above
        return ""
