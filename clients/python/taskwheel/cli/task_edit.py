"""`taskwheel task create|update`: the two commands with all the fields of a task."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

import taskwheel
from taskwheel.cli import values
from taskwheel.cli.connection import Connection, connected
from taskwheel.cli.options import LENGTH, Format, Labels, Output, Payload, Tags, TaskName, option
from taskwheel.cli.output import show


class Overlap(StrEnum):
    """What a slot does while an earlier run is not done."""

    ALLOW = "ALLOW"
    SKIP = "SKIP"
    QUEUE_ONE = "QUEUE_ONE"
    CANCEL_RUNNING = "CANCEL_RUNNING"


class Misfire(StrEnum):
    """Which missed slots are started."""

    RUN_ONCE = "RUN_ONCE"
    RUN_ALL = "RUN_ALL"
    SKIP = "SKIP"


Handler = Annotated[str | None, option(help="The name of the handler that workers have.")]
Cron = Annotated[list[str] | None, option("--cron", metavar="EXPRESSION", help="Due by cron; may be repeated.")]
Every = Annotated[
    list[timedelta] | None,
    option("--every", help="Due at a distance, such as 5m; may be repeated.", **LENGTH),
]
At = Annotated[
    list[datetime] | None,
    option("--at", parser=values.instant, metavar="TIME", help="Due once, such as +10m; may be repeated."),
]
TimeZone = Annotated[str, option(metavar="ZONE", help="The IANA zone of cron expressions.")]
Jitter = Annotated[timedelta | None, option(help="The greatest delay after a slot.", **LENGTH)]
Priority = Annotated[int | None, option(help="Higher goes first.")]
MaxAttempts = Annotated[int | None, option(min=1, help="How many attempts there are in all.")]
RetryDelay = Annotated[
    list[timedelta] | None,
    option("--retry-delay", help="The delay after an attempt; may be repeated.", **LENGTH),
]
RetryOn = Annotated[list[str] | None, option("--retry-on", metavar="ERROR", help="Retry only this error name.")]
RetryOnLost = Annotated[bool, option("--retry-on-lost", help="Retry also when the worker is lost.")]
OverlapPolicy = Annotated[Overlap | None, option("--overlap", help="A slot while an earlier run is not done.")]
MisfirePolicy = Annotated[Misfire | None, option("--misfire", help="Which missed slots are started.")]
RunTimeout = Annotated[timedelta | None, option(help="How long an attempt may run.", **LENGTH)]
StartDeadline = Annotated[timedelta | None, option(help="How long a run may wait to start.", **LENGTH)]
MaxConcurrent = Annotated[int | None, option("--max-concurrent-runs", min=0, help="How many run at a time.")]
DisplayName = Annotated[str | None, option(help="A name for people.")]
Description = Annotated[str | None, option(help="A text for people.")]


_PLAIN = (
    "handler",
    "payload",
    "priority",
    "run_timeout",
    "start_deadline",
    "max_concurrent_runs",
    "display_name",
    "description",
)


def register(tasks: typer.Typer) -> None:
    """Add the commands."""
    tasks.command()(connected(create))
    tasks.command()(connected(update))


def create(
    name: Annotated[str, typer.Argument(metavar="ID", help="Letters, digits, _ and -.")],
    *,
    handler: Handler = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    time_zone: TimeZone = "UTC",
    jitter: Jitter = None,
    payload: Payload = None,
    priority: Priority = None,
    tag: Tags = None,
    label: Labels = None,
    max_attempts: MaxAttempts = None,
    retry_delay: RetryDelay = None,
    retry_on: RetryOn = None,
    retry_on_lost: RetryOnLost = False,
    overlap: OverlapPolicy = None,
    misfire: MisfirePolicy = None,
    run_timeout: RunTimeout = None,
    start_deadline: StartDeadline = None,
    max_concurrent_runs: MaxConcurrent = None,
    display_name: DisplayName = None,
    description: Description = None,
    paused: Annotated[bool, option("--paused", help="Create it with its schedules stopped.")] = False,
    request_id: Annotated[str, option(help="Makes the command safe to repeat.")] = "",
    validate_only: Annotated[bool, option("--validate-only", help="Check alone.")] = False,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Create a task. Without --handler its id is the name of the handler; without a schedule it runs on demand."""
    fields = _fields(locals()) | {"handler": handler or name} | ({"paused": True} if paused else {})
    with connection.client() as client:
        show(client.create_task(name, request_id=request_id, validate_only=validate_only, **fields), output)


def update(
    name: TaskName,
    *,
    handler: Handler = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    no_schedules: Annotated[bool, option("--no-schedules", help="Run on demand only.")] = False,
    time_zone: TimeZone = "UTC",
    jitter: Jitter = None,
    payload: Payload = None,
    priority: Priority = None,
    tag: Tags = None,
    label: Labels = None,
    max_attempts: MaxAttempts = None,
    retry_delay: RetryDelay = None,
    retry_on: RetryOn = None,
    retry_on_lost: RetryOnLost = False,
    overlap: OverlapPolicy = None,
    misfire: MisfirePolicy = None,
    run_timeout: RunTimeout = None,
    start_deadline: StartDeadline = None,
    max_concurrent_runs: MaxConcurrent = None,
    display_name: DisplayName = None,
    description: Description = None,
    etag: Annotated[str, option(help="Only if the task still has this etag.")] = "",
    validate_only: Annotated[bool, option("--validate-only", help="Check alone.")] = False,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Set the given fields of a task. Schedules, tags, labels and the retry policy are set as a whole."""
    fields = _fields(locals()) | ({"schedules": []} if no_schedules else {})
    if not fields:
        raise typer.BadParameter("give at least one field to set")
    with connection.client() as client:
        show(client.task(name).update(etag=etag, validate_only=validate_only, **fields), output)


def _fields(given: dict[str, Any]) -> Any:
    """The fields of a task among the arguments of a command, as the client takes them."""
    fields = {name: given[name] for name in _PLAIN if given[name] is not None}
    schedules = [
        *(taskwheel.cron(text, time_zone=given["time_zone"], jitter=given["jitter"]) for text in given["cron"] or ()),
        *(taskwheel.every(length, jitter=given["jitter"]) for length in given["every"] or ()),
        *(taskwheel.at(moment, jitter=given["jitter"]) for moment in given["at"] or ()),
    ]
    if schedules:
        fields["schedules"] = schedules
    if given["tag"]:
        fields["tags"] = given["tag"]
    if given["label"]:
        fields["labels"] = values.labels(given["label"])
    if given["overlap"]:
        fields["overlap_policy"] = given["overlap"].value
    if given["misfire"]:
        fields["misfire_policy"] = taskwheel.misfire(given["misfire"].value)
    if given["max_attempts"] or given["retry_on_lost"]:
        fields["retry_policy"] = taskwheel.retry(
            given["max_attempts"] or 1,
            delays=given["retry_delay"] or (),
            only=given["retry_on"] or (),
            on_lost=given["retry_on_lost"],
        )
    elif given["retry_delay"] or given["retry_on"]:
        raise typer.BadParameter("--retry-delay and --retry-on need --max-attempts")
    return fields
