"""The process itself: as an operator starts, meets and stops it."""

import json
import signal
import subprocess
import sys
from typing import Any

import grpc
import pytest

from taskwheel.v1.admin_service_pb2 import GetServerInfoRequest
from taskwheel.v1.admin_service_pb2_grpc import AdminServiceStub

PROGRAM = """
import os, sys
from taskwheel_server.app import Settings, serve
sys.exit(serve(Settings.read(os.environ)))
"""


def start(database_url, listen="127.0.0.1:0") -> Any:
    environment = {"TASKWHEEL_LISTEN": listen, "TASKWHEEL_DATABASE_URL": database_url}
    return subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(database_url, number):
    with start(database_url) as process:
        ready = json.loads(process.stderr.readline())
        with grpc.insecure_channel(ready["address"]) as channel:
            assert AdminServiceStub(channel).GetServerInfo(GetServerInfoRequest()).database in database_url
        process.send_signal(number)
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert process.returncode == 0
    assert (ready["event"], [line["event"] for line in lines]) == ("ready", ["stopping", "stopped"])


@pytest.mark.parametrize(
    ("database", "listen", "says"),
    [
        ("postgresql://ann:secret@127.0.0.1:1/none", "127.0.0.1:0", "cannot be used: connection"),
        ("sqlite:///{path}/other.db", "{address}", "cannot listen on"),
        ("sqlite://", "127.0.0.1:0", "database_url"),
        ("sqlite:////nonexistent/x.db", "127.0.0.1:0", ""),
        ("sqlite:///{path}", "127.0.0.1:0", "cannot be used"),
        ("sqlite:///{path}/text.db", "127.0.0.1:0", "not a database"),
    ],
)
def test_what_it_cannot_use_is_said_in_one_plain_line(server, tmp_path, database, listen, says):
    database = database.format(path=tmp_path)
    (tmp_path / "text.db").write_text("This is not a database, though it is as long as the head of one. " * 2)
    with start(database, listen.format(address=server.address)) as process:
        said = process.stderr.read()
    assert process.returncode == 1
    assert said.startswith("taskwheel: ")
    assert says in said
    assert said.count("\n") == 1
    assert "secret" not in said
