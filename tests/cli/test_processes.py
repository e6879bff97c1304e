"""The commands that stay, as processes of their own."""

import json
import os
import signal
import subprocess
import sys

import taskwheel

TASKWHEEL = [sys.executable, "-m", "taskwheel.cli"]

MODULE = """
import taskwheel

worker = taskwheel.Worker(worker_id="from-the-file")

@worker.handler("echo")
def echo(run):
    return run.payload
"""


def test_a_server_and_a_worker_run_until_sigterm(tmp_path):
    (tmp_path / "jobs.py").write_text(MODULE, encoding="utf-8")
    with subprocess.Popen(
        [*TASKWHEEL, "serve", "--listen", "127.0.0.1:0", "--lease", "10s"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr
        ready = next(line for line in server.stderr if "ready" in line)
        address = json.loads(ready)["address"]
        command = [*TASKWHEEL, "worker", "jobs:worker", "--address", address]
        with subprocess.Popen(command, cwd=tmp_path) as worker, taskwheel.Client(address) as client:
            client.create_task("echo", handler="echo")
            run = client.wait(client.task("echo").run({"n": 1}), timeout=30)
            assert (run.result, run.worker) == ({"n": 1}, "from-the-file")
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0
        server.send_signal(signal.SIGTERM)
        server.stderr.read()
        assert server.wait(30) == 0


def test_help_imports_no_grpc():
    code = "import sys, taskwheel.cli.app; sys.exit(bool({'grpc', 'sqlalchemy', 'google'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_shell_completes_commands():
    asked = {"_TASKWHEEL_COMPLETE": "complete_bash", "COMP_WORDS": "taskwheel task re", "COMP_CWORD": "2"}
    done = subprocess.run(TASKWHEEL, env=os.environ | asked, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["rename", "resume"]
