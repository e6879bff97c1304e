"""What `taskwheel dev` runs: a worker with two handlers, its tasks, and three days of a web shop as input."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from taskwheel import Run, TaskFields, Worker, cron, retry
from taskwheel.sample.report import Report, read_names, render

DATA = Path(__file__).parent / "data"


def make_worker(address: str, reports: Path) -> Worker:
    """A worker with the handlers of the sample.

    Args:
        address: host and port of the server.
        reports: the folder that reports are written to.
    """
    worker = Worker(address, worker_id="sample-worker", max_concurrent_runs=4)
    worker.handler("second-try")(second_try)

    @worker.handler("build-report")
    def _build_report(run: Run) -> dict[str, Any]:
        return build_report(run, reports)

    return worker


def build_report(run: Run, reports: Path) -> dict[str, Any]:
    """Read a folder of access logs (`*.log`) and order tables (`orders-*.csv`), and write a report about them.

    The payload may have `directory`, the folder, by default that of the sample; `top`, how many paths and customers are
    told, by default 5; and `pause`, seconds to rest after each file, for those who want to watch.

    Raises:
        FileNotFoundError: the folder has no such files.
    """
    directory = Path(run.payload.get("directory", DATA))
    pause = run.payload.get("pause", 0)
    files = sorted([*directory.glob("*.log"), *directory.glob("orders-*.csv")])
    if not files:
        raise FileNotFoundError(f"{directory} has no *.log and no orders-*.csv")
    report = Report()
    for number, file in enumerate(files, 1):
        run.raise_if_cancelled()
        before = report.unreadable
        run.log.info(report.add(file))
        if report.unreadable > before:
            run.log.warning("lines that cannot be read", file=file.name, lines=report.unreadable - before)
        run.progress(number / len(files), file.name)
        time.sleep(pause)
    summary = report.summary(read_names(directory), run.payload.get("top", 5))
    path = _write(reports / f"{run.task.rpartition('/')[2]}.md", render(summary))
    run.log.info("the report is written", path=str(path))
    return {"report": str(path), **summary}


def _write(path: Path, text: str) -> Path:
    """Write a file that readers see whole, also while another run writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{time.monotonic_ns()}")
    draft.write_text(text, encoding="utf-8")
    return draft.replace(path).resolve()


def second_try(run: Run) -> dict[str, int]:
    """Fail at the first attempt and succeed at the second, to show what a retry looks like.

    Raises:
        ConnectionError: at the first attempt.
    """
    if run.attempt == 1:
        raise ConnectionError("the first attempt fails on purpose")
    return {"attempt": run.attempt}


def tasks() -> dict[str, TaskFields]:
    """The tasks of the sample, by id: one with a schedule, two on demand."""
    return {
        "report-every-minute": {
            "handler": "build-report",
            "schedules": [cron("* * * * *")],
            "overlap_policy": "SKIP",
            "description": "The report of the sample, on a schedule.",
            "tags": ["sample"],
        },
        "report": {
            "handler": "build-report",
            "payload": {"top": 3, "pause": 0.1},
            "description": "The report of the sample, on demand.",
            "tags": ["sample"],
        },
        "second-try": {
            "handler": "second-try",
            "retry_policy": retry(2, delays=[0.5]),
            "description": "Fails at the first attempt and succeeds at the second.",
            "tags": ["sample"],
        },
    }
