"""The README's commands, run as they stand against a server that runs."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from taskwheel import Client
from taskwheel.cli.app import app
from tests.toolchains import GO_TOOLS, go_program
from tools.toolchains import skipping_fails

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "127.0.0.1:7420"
COMMAND = [sys.executable, "-m", "taskwheel.cli"]

# What grpcurl is used for here, by means of `taskwheel call`.
CALL_AS_GRPCURL = """
grpcurl() {
    shift
    local request='{}'
    if [ "$1" = -d ]; then request=$2; shift 2; fi
    case $2 in
        list) taskwheel call ;;
        describe) taskwheel call --describe "$3" ;;
        *) taskwheel call "${2#taskwheel.v1.}" "$request" ;;
    esac
}
export -f grpcurl
"""

pytestmark = pytest.mark.timeout(180)


class Started:
    """A command that goes on, and what it has printed."""

    def __init__(self, arguments: list[str], folder: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.printed = ""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            with self._changed:
                self.printed += line
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match in what it prints."""
        with self._changed:
            self._changed.wait_for(lambda: re.search(pattern, self.printed) or self.process.poll() is not None, 60)
            found = re.search(pattern, self.printed)
        assert found, self.printed
        return found

    def stop(self) -> int:
        """End it as Ctrl-C does, and return its exit status."""
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(30)
        self._reader.join()
        assert self.process.stdout
        self.process.stdout.close()
        return status


def environment_of(folder: Path, **variables: str) -> dict[str, str]:
    """The environment with `taskwheel` on its path, and no settings but these."""
    command = folder / "bin" / "taskwheel"
    command.parent.mkdir(exist_ok=True)
    command.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASKWHEEL_", "GRPC_"))}
    return kept | variables | {"PATH": f"{command.parent}:{kept['PATH']}", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def dev(folder) -> Iterator[Started]:
    """`taskwheel dev`, once it has shown everything."""
    started = Started([*COMMAND, "dev", "--listen", "127.0.0.1:0"], folder, environment_of(folder))
    started.wait_for("WatchEvents\n")
    yield started
    assert started.stop() == 0, started.printed
    assert started.printed.endswith("stopping ...\n")


@pytest.fixture(scope="module")
def address(dev) -> str:
    return dev.wait_for(r"server   (127\.0\.0\.1:\d+),")[1]


def blocks(heading: str, language: str) -> list[str]:
    """The code under a heading."""
    [section] = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def script_of(block: str, address: str) -> str:
    """A block as a script that ends: lines that go on are cut off, those that say an error must have it."""
    lines = ["set -euo pipefail"]
    for line in block.replace(ADDRESS, address).splitlines():
        command, _, comment = (part.strip() for part in line.partition("   #"))
        if re.fullmatch("[A-Z_]+", comment):
            told = f'"reason": "{comment}"'
            lines.append(f"{command} > refusal 2>&1 && exit 1; cat refusal; grep -q {shlex.quote(told)} refusal")
        elif comment == "until Ctrl-C" or ("--follow" in command.split() and "events" in command):
            lines.append(f"timeout 60 bash -c {shlex.quote(command)} > watched &")
            lines.append("until test -s watched; do kill -0 $!; sleep 0.1; done; kill $!; wait $! || true; rm watched")
        else:
            lines.append(command)
    return "\n".join(lines)


def run(block: str, folder: Path, address: str, *, prelude: str = "") -> str:
    """Run a block, and return what it prints.

    Args:
        block: Lines for a shell.
        folder: Where to run them.
        address: The server to use.
        prelude: Lines to run before, such as a function that stands for a program.

    """
    if "jq " in block and not shutil.which("jq"):
        (pytest.fail if skipping_fails() else pytest.skip)("there is no `jq` on the PATH")
    ended = subprocess.run(
        ["bash", "-c", prelude + script_of(block, address)],
        cwd=folder,
        env=environment_of(folder, TASKWHEEL_ADDRESS=address),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_task_by_hand(tmp_path):
    [code] = blocks("By hand", "python")
    serve, work, use = blocks("By hand", "sh")
    (tmp_path / "jobs.py").write_text(code)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = environment_of(tmp_path, TASKWHEEL_ADDRESS=address, TASKWHEEL_LISTEN=address)
    server = Started(shlex.split(serve.splitlines()[-1]), tmp_path, environment)
    server.wait_for("ready")
    worker = Started(shlex.split(work), tmp_path, environment)
    try:
        run(use, tmp_path, address)
    finally:
        assert worker.stop() == 0, worker.printed
        assert server.stop() == 0, server.printed


def test_the_client(folder, address):
    [code] = blocks("In Python", "python")
    ended = subprocess.run(
        [sys.executable, "-c", code.replace(ADDRESS, address)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0] == "At 02:30 every day, Europe/Berlin time"
    assert "INFO access-2026-03-02.log: 158 requests, 6 server errors" in lines
    assert lines[-3:] == ["SUCCEEDED", "10028.96", "TASK_NOT_FOUND"]


@pytest.fixture(scope="module")
def with_go_tools() -> str:
    """A line that puts the tools on the path."""
    folders = [str(go_program(name).parent) for name in ("grpcurl", "grpc-health-probe", "ghz")]
    return f'export PATH={shlex.quote(":".join(folders))}:"$PATH"\n'


GRPC_BLOCKS = blocks("With grpcurl", "sh")
INSTALLING = [block for block in GRPC_BLOCKS if block.startswith("go install")]
CALLING = [block for block in GRPC_BLOCKS if block.startswith("taskwheel call")]
USING = [block for block in GRPC_BLOCKS if block not in INSTALLING + CALLING]


def first_words(block: str) -> str:
    return " ".join(re.findall(r"[\w./-]{4,}", block)[:4])


def test_the_tools_that_are_told_to_be_installed_are_those_that_are_tried():
    assert re.findall(r"go install (\S+)@latest", "".join(INSTALLING)) == list(GO_TOOLS)


@pytest.mark.parametrize("block", USING, ids=first_words)
def test_the_lines_for_tools_of_grpc(block, folder, address, with_go_tools):
    printed = run(block, folder, address, prelude=with_go_tools)
    assert ("ghz" in block) == ("[OK]   1000 responses" in printed)


@pytest.mark.parametrize("block", CALLING, ids=first_words)
def test_the_lines_for_call(block, folder, address):
    run(block, folder, address)


@pytest.mark.parametrize("block", [block for block in USING if "grpcurl " in block], ids=first_words)
def test_call_does_what_grpcurl_does(block, folder, address):
    # What a request_id stands for outlives the task that the lines delete.
    run(block.replace("monday-1", "monday-2"), folder, address, prelude=CALL_AS_GRPCURL)


def test_the_lines_that_dev_prints(dev, folder, address):
    lines = dev.printed.partition("another terminal")[2].partition("\n")[2].splitlines()
    block = "\n".join(line.strip() for line in lines if line.startswith("  "))
    assert block.count("taskwheel ") >= 5
    assert block.count("grpcurl ") == 4
    beside = re.compile(r"^\S*taskwheel ", re.MULTILINE)
    block = beside.sub("taskwheel ", block).replace("WatchEvents", "WatchEvents   # until Ctrl-C")
    run(block, folder, address, prelude=CALL_AS_GRPCURL)


def test_every_command_of_the_table_is_there():
    commands = typer.main.get_command(app)
    table = dict(re.findall(r"^\| `taskwheel (\w+).*?` \| (.*) \|$", README, re.MULTILINE))
    assert set(table) == set(commands.commands)  # type: ignore[attr-defined]
    for group in ("task", "run", "db"):
        assert set(re.findall(r"`(\w+)`", table[group])) == set(commands.commands[group].commands)  # type: ignore[attr-defined]


def test_the_sample_runs_once_and_once_more_on_the_same_data(tmp_path):
    def once() -> str:
        ended = subprocess.run(
            [*COMMAND, "dev", "--once"],
            cwd=tmp_path,
            env=environment_of(tmp_path),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "report SUCCEEDED at attempt 1" in ended.stdout
        assert "second-try SUCCEEDED at attempt 2" in ended.stdout
        assert "report-every-minute runs by itself: Every minute" in ended.stdout
        assert ended.stderr == ""
        return ended.stdout

    assert "report is made" in once()
    report = tmp_path / ".taskwheel" / "reports" / "report.md"
    assert report.read_text(encoding="utf-8").startswith("# Web shop report")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held = True
        try:
            other.bind(("127.0.0.1", 7420))
            other.listen()
        except OSError:
            held = False
        again = once()
    assert "127.0.0.1:7420 is taken" in again or not held
    assert "report is there" in again


def test_a_second_server_on_the_same_data_is_refused_in_words(dev, folder):
    ended = subprocess.run(
        [*COMMAND, "dev", "--once", "--listen", "127.0.0.1:0"],
        cwd=folder,
        env=environment_of(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "another server is using this database file" in ended.stderr


def test_the_tasks_of_the_sample_are_as_they_are_told(address):
    with Client(address) as client:
        tasks = {task.task_id: task for task in client.list_tasks(filter='tags:"sample"')}
    assert set(tasks) == {"report", "report-every-minute", "second-try"}
    assert tasks["report-every-minute"].next_run_time is not None
