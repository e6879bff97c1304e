"""Commands and workers at a server with TLS."""

from __future__ import annotations

import subprocess
import sys

import pytest
import trustme

from taskwheel_server.app import Settings
from taskwheel_server.errors import InvalidArgument
from taskwheel_server.rpc.tls import read_credentials
from tests.conftest import RunningServer
from tests.toolchains import go_program


class Pki:
    """A CA, a server's certificate for `wheel.test`, a caller's, and a CA of strangers, as files."""

    def __init__(self, folder) -> None:
        ca, strange = trustme.CA(), trustme.CA()
        self.ca, self.strange_ca = str(folder / "ca.pem"), str(folder / "strange.pem")
        ca.cert_pem.write_to_path(self.ca)
        strange.cert_pem.write_to_path(self.strange_ca)
        self.cert, self.key = self._issue(folder, "server", ca.issue_cert("wheel.test"))
        self.own_cert, self.own_key = self._issue(folder, "caller", ca.issue_cert("caller.test"))
        self.nothing = str(folder / "nothing.pem")
        (folder / "nothing.pem").write_text("nothing", encoding="utf-8")

    @staticmethod
    def _issue(folder, name, pair) -> tuple[str, str]:
        cert, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
        pair.private_key_pem.write_to_path(key)
        for number, blob in enumerate(pair.cert_chain_pems):
            blob.write_to_path(cert, append=number > 0)
        return cert, key


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(params=[False, True], ids=["tls", "mtls"])
def mutual(request) -> bool:
    return request.param


@pytest.fixture
def server(database_url, clock, pki, mutual):
    settings = Settings(
        "127.0.0.1:0", database_url, tls_cert=pki.cert, tls_key=pki.key, tls_client_ca=pki.ca if mutual else ""
    )
    running = RunningServer(settings, clock)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def secure(pki, mutual, monkeypatch) -> None:
    """All that the server asks for, as variables."""
    monkeypatch.setenv("TASKWHEEL_CA_CERT", pki.ca)
    monkeypatch.setenv("TASKWHEEL_SERVER_NAME", "wheel.test")
    if mutual:
        monkeypatch.setenv("TASKWHEEL_CERT", pki.own_cert)
        monkeypatch.setenv("TASKWHEEL_KEY", pki.own_key)


WORKS_ONCE = """
import taskwheel

worker = taskwheel.Worker()

@worker.handler("echo")
def echo(run):
    worker.stop()
    return run.payload
"""


def test_commands_and_workers_speak_tls(run, secure, tmp_path, monkeypatch):
    (tmp_path / "secure_jobs.py").write_text(WORKS_ONCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "secure_jobs", raising=False)
    assert run("task create echo").code == 0
    started = run("""task run echo --payload '{"n": 1}' -o name""").out.strip()
    assert run("worker secure_jobs:worker").code == 0
    assert run(f"run wait {started}").json == {"n": 1}
    assert "attempt" not in run(f"run logs {started} -f").out
    assert run("call AdminService/GetServerInfo").json["database"] == "sqlite"


def test_the_name_in_the_certificate_counts(run, secure, monkeypatch):
    monkeypatch.setenv("TASKWHEEL_SERVER_NAME", "other.test")
    assert run("task list").code == 6
    assert run("task list --authority wheel.test").code == 0


def test_who_is_not_trusted_gets_no_answer(run, secure, pki, mutual):
    assert run(f"task list --ca-cert {pki.strange_ca}").code == 6
    assert run("task list --cert '' --key ''").code == (6 if mutual else 0)


def test_without_tls_there_is_no_answer(run):
    assert run("task list").code == 6


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--cert {own_cert}", "--cert and --key go together"),
        ("--key {own_key}", "--cert and --key go together"),
        ("--ca-cert {nothing}", "nothing.pem"),
        ("--ca-cert /nowhere", "No such file"),
        ("--cert {own_cert} --key {key}", "caller.pem"),
    ],
)
def test_files_that_cannot_be_used_are_told(run, pki, options, told):
    outcome = run("task list " + options.format(**vars(pki)))
    assert outcome.code == 2
    assert told in outcome.err


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (("cert", "", ""), "goes with tls-key"),
        (("", "key", ""), "goes with tls-key"),
        (("", "", "ca"), "needs both"),
        (("nothing", "key", ""), "nothing.pem"),
        (("cert", "own_key", ""), "server.pem"),
        (("cert", "key", "nothing"), "nothing.pem"),
    ],
)
def test_a_server_does_not_start_with_files_it_cannot_use(pki, files, told):
    with pytest.raises(InvalidArgument, match=told):
        read_credentials(*(vars(pki)[name] if name else "" for name in files))


def test_grpcurl_trusts_the_same_ca(server, pki, mutual):
    own = ["-cert", pki.own_cert, "-key", pki.own_key] if mutual else []
    command = [go_program("grpcurl"), "-cacert", pki.ca, "-servername", "wheel.test", *own, server.address]
    services = subprocess.run([*command, "list"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert "taskwheel.v1.TaskService" in services.splitlines()
    answer = [*command, "taskwheel.v1.AdminService/GetServerInfo"]
    assert '"database"' in subprocess.run(answer, capture_output=True, text=True, timeout=30, check=True).stdout
