"""All commands, gathered."""

from __future__ import annotations

import typer

from taskwheel.cli import call, db, dev, events, run, serve, task, task_edit, task_run, worker
from taskwheel.cli.connection import connected

_EPILOG = """\b
Each option has a variable. Those of the server's address, of TLS and of --output are named
after the option alone, such as TASKWHEEL_ADDRESS; others after the command too, such as
TASKWHEEL_RUN_LIST_LIMIT.

\b
Exit codes:
  1  the run did not succeed     4  already exists     7  a limit; try later
  2  usage                       5  wrong state        8  not allowed
  3  not found                   6  no answer          9  the run is not done yet
"""

app = typer.Typer(
    name="taskwheel",
    help="Schedule tasks and run them on workers, behind one gRPC API.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={
        "auto_envvar_prefix": "TASKWHEEL",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
    },
)

tasks = typer.Typer(help="Define tasks, and start runs of them.", no_args_is_help=True, rich_markup_mode=None)
for module in (task_edit, task_run, task):
    module.register(tasks)
app.add_typer(tasks, name="task")

runs = typer.Typer(
    help="Look at runs, wait for them, cancel them, read their logs.", no_args_is_help=True, rich_markup_mode=None
)
run.register(runs)
app.add_typer(runs, name="run")

databases = typer.Typer(help="Look after the database of a server.", no_args_is_help=True, rich_markup_mode=None)
db.register(databases)
app.add_typer(databases, name="db")

app.command()(connected(events.events))
app.command()(connected(worker.worker))
app.command()(connected(call.call))
app.command()(serve.serve)
app.command()(dev.dev)
