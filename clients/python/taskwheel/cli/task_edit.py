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


Handler = Annotated[str | None, option(metavar="NAME", help="Who works on it.")]
Cron = Annotated[
    list[str] | None,
    option("--cron", metavar="EXPRESSION", help="When it is due, such as '0 5 * * *'. May be repeated."),
]
Every = Annotated[
    list[timedelta] | None,
    option("--every", help="Due again and again, such as 5m. May be repeated.", **LENGTH),
]
At = Annotated[
    list[datetime] | None,
    option("--at", parser=values.instant, metavar="TIME", help="Due once, such as +10m. May be repeated."),
]
TimeZone = Annotated[str, option(metavar="ZONE", help="Of --cron, such as Europe/Berlin.")]
Jitter = Annotated[timedelta | None, option(help="Start up to so much later than due, to spread load.", **LENGTH)]
Priority = Annotated[int | None, option(metavar="N", help="Higher goes first.")]
MaxAttempts = Annotated[int | None, option(min=1, metavar="N", help="Attempts in all; 1: no retries.")]
RetryDelay = Annotated[
    list[timedelta] | None,
    option(
        "--retry-delay",
        help="Before the next attempt; repeated, before those after.",
        **LENGTH,
    ),
]
RetryOn = Annotated[
    list[str] | None,
    option("--retry-on", metavar="ERROR", help="Retry only after this error. May be repeated."),
]
RetryOnLost = Annotated[bool, option("--retry-on-lost", help="Retry also if the worker is lost.")]
OverlapPolicy = Annotated[Overlap | None, option("--overlap", help="What if an earlier run is not done; unset: ALLOW.")]
MisfirePolicy = Annotated[Misfire | None, option("--misfire", help="Which missed slots still run; unset: RUN_ONCE.")]
RunTimeout = Annotated[timedelta | None, option(help="An attempt that takes longer fails.", **LENGTH)]
StartDeadline = Annotated[timedelta | None, option(help="A run that waits longer to start fails.", **LENGTH)]
MaxConcurrent = Annotated[
    int | None, option("--max-concurrent-runs", min=0, metavar="N", help="More wait; 0: no limit.")
]
DisplayName = Annotated[str | None, option(metavar="TEXT", help="A name for people.")]
Description = Annotated[str | None, option(metavar="TEXT", help="More for people.")]


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
    paused: Annotated[bool, option("--paused", help="With its schedules stopped.")] = False,
    request_id: Annotated[str, option(metavar="ID", help="Makes the command safe to repeat.")] = "",
    validate_only: Annotated[bool, option("--validate-only", help="Check, and change nothing.")] = False,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Create a task. Its handler is named like it unless --handler is given; without schedules it runs on demand."""
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
    etag: Annotated[str, option(metavar="ETAG", help="Only if the task still has it.")] = "",
    validate_only: Annotated[bool, option("--validate-only", help="Check, and change nothing.")] = False,
    connection: Connection,
    output: Output = Format.table,
) -> None:
    """Change the given fields of a task. Schedules, tags, labels and retries are replaced as a whole."""
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
