"""Exit codes, one for each condition a script may care about.

0  done                                     6  the server cannot be reached, or did not answer in time
1  a run that was waited for did not        7  a bound was reached: try later
   succeed                                  8  not allowed: credentials are missing or do not suffice
2  the command or an argument is wrong      9  the time to wait has passed; the run goes on
3  no such task or run                     70  anything else
4  the id or request id is taken          130  interrupted
5  the state of the thing forbids it
"""

from __future__ import annotations

import typer

import taskwheel

_OTHER = 70

_CODES: dict[type[taskwheel.Error], int] = {
    taskwheel.RunFailed: 1,
    taskwheel.InvalidArgument: 2,
    taskwheel.UnsupportedValue: 2,
    taskwheel.OutOfRange: 2,
    taskwheel.RequestTooLarge: 2,
    taskwheel.NotFound: 3,
    taskwheel.AlreadyExists: 4,
    taskwheel.FailedPrecondition: 5,
    taskwheel.Aborted: 5,
    taskwheel.Unavailable: 6,
    taskwheel.DeadlineExceeded: 6,
    taskwheel.ResourceExhausted: 7,
    taskwheel.Unauthenticated: 8,
    taskwheel.PermissionDenied: 8,
    taskwheel.RunNotDone: 9,
}


def exit_code(error: taskwheel.Error) -> int:
    """The exit code for an error."""
    return _CODES.get(type(error), _OTHER)


def tell(error: taskwheel.Error) -> None:
    """Say on stderr what went wrong, field by field where fields are at fault."""
    typer.echo(f"error: {error}", err=True)
    if isinstance(error, taskwheel.InvalidArgument):
        for field, description in error.fields.items():
            if f"{field}: {description}" not in error.message:
                typer.echo(f"  {field}: {description}", err=True)
    if isinstance(error, taskwheel.Unavailable) and not error.reason:
        typer.echo("  is the server up? see --address; and --tls, if it has TLS", err=True)
    for note in getattr(error, "__notes__", ()):
        typer.echo(f"  {note}", err=True)
    if isinstance(error, taskwheel.ResourceExhausted | taskwheel.Unavailable) and error.retry_after:
        typer.echo(f"  try again in {error.retry_after:g} s", err=True)
