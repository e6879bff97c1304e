"""All commands, gathered."""

from __future__ import annotations

import typer

from taskwheel.cli import call, dev, events, run, serve, task, task_edit, task_run, worker
from taskwheel.cli.connection import connected

app = typer.Typer(
    name="taskwheel",
    help="Schedule tasks and run them on workers, behind one gRPC API.",
    epilog="Each option can be set by a variable too: TASKWHEEL_ADDRESS, TASKWHEEL_OUTPUT, or TASKWHEEL_ with the "
    "command and the option, such as TASKWHEEL_RUN_LIST_LIMIT. Exit codes: 1 a run did not succeed, 2 usage, "
    "3 not found, 4 already exists, 5 wrong state, 6 no answer, 7 try later, 8 not allowed, 9 still running.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"auto_envvar_prefix": "TASKWHEEL", "help_option_names": ["-h", "--help"]},
)

tasks = typer.Typer(help="Define tasks and start runs of them.", no_args_is_help=True, rich_markup_mode=None)
for module in (task_edit, task_run, task):
    module.register(tasks)
app.add_typer(tasks, name="task")

runs = typer.Typer(help="Look at runs, wait for them, cancel them.", no_args_is_help=True, rich_markup_mode=None)
run.register(runs)
app.add_typer(runs, name="run")

app.command()(connected(events.events))
app.command()(connected(worker.worker))
app.command()(connected(call.call))
app.command()(serve.serve)
app.command()(dev.dev)
