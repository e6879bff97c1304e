"""What surrounds the services: decoding, statuses, health, reflection, the port."""

import asyncio
import threading
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]
from sqlalchemy.engine import make_url

from taskwheel.v1.admin_service_pb2 import GetServerInfoRequest
from taskwheel.v1.task_service_pb2 import BatchRunTasksRequest, CreateTaskRequest, GetTaskRequest, RunTaskRequest
from taskwheel_server.app import Server, Settings
from taskwheel_server.rpc.backend import Backend
from taskwheel_server.rpc.messages import service
from taskwheel_server.rpc.server import PortInUse

SERVICES = ("TaskService", "TaskRunService", "EventService", "WorkerService", "AdminService")
RPCS = [method for name in SERVICES for method in service(name).methods]


def raw_call(channel, method, data) -> Any:
    """Call an rpc with bytes, and read its answer to the end."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    if method.client_streaming:
        return list(channel.stream_stream(path)(iter([data])))
    if method.server_streaming:
        return list(channel.unary_stream(path)(data))
    return channel.unary_unary(path)(data)


@pytest.mark.parametrize("method", RPCS, ids=[method.name for method in RPCS])
@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 200])
def test_bytes_that_are_no_message_are_an_invalid_argument(stubs, refused, method, data):
    refusal = refused(lambda request: raw_call(stubs.channel, method, request), data)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")


def test_a_message_over_4_mib_is_refused(stubs):
    request = RunTaskRequest(name="nightly")
    request.payload.update({"x": "x" * 4 * 1024 * 1024})
    with pytest.raises(grpc.RpcError) as caught:
        stubs.tasks.RunTask(request)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_fault_of_ours_is_internal_and_tells_nothing(stubs, refused, monkeypatch, capsys):
    def broken(_):
        raise ValueError("the password is secret")

    monkeypatch.setattr(Backend, "now", broken)
    refusal = refused(stubs.admin.GetServerInfo, GetServerInfoRequest())
    monkeypatch.undo()
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in refusal.message
    assert "the password is secret" in capsys.readouterr().out


def test_values_of_callers_are_escaped_and_cut_in_errors(stubs, refused):
    refusal = refused(stubs.tasks.GetTask, GetTaskRequest(name="bad\n\x1b[31mname" + "x" * 280))
    assert refusal.message.isascii()
    assert refusal.message.isprintable()
    assert len(refusal.message) < 256


def test_a_thousand_violations_fit_into_one_status(stubs, refused):
    request = CreateTaskRequest(task_id="a b")
    request.task.tags.extend([""] * 1000)
    request.task.labels.update({f"no good {i}": "x" for i in range(60)})
    # Their size is checked wherever an error is read.
    assert len(refused(stubs.tasks.CreateTask, request).fields) > 20


def test_of_a_million_violations_the_first_is_told_and_soon(stubs, refused):
    request = BatchRunTasksRequest(requests=[RunTaskRequest()] * 1_000_000)
    assert refused(stubs.tasks.BatchRunTasks, request, timeout=5).fields == ["requests"]


def test_the_server_tells_what_it_is(stubs, database_url):
    info = stubs.admin.GetServerInfo(GetServerInfoRequest())
    assert (info.database, info.lease_duration.seconds) == (make_url(database_url).get_backend_name(), 30)
    assert info.start_time == info.server_time
    limits = info.limits
    assert (limits.max_payload_bytes, limits.max_payload_depth, limits.max_batch_size) == (1 << 20, 32, 1000)
    assert limits.retention.seconds == 7 * 86400


@pytest.mark.parametrize("name", ["", *(f"taskwheel.v1.{name}" for name in SERVICES)])
def test_health_is_serving_for_each_service(stubs, name):
    answer = health_pb2_grpc.HealthStub(stubs.channel).Check(health_pb2.HealthCheckRequest(service=name))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_serves_the_public_contract(stubs, version):
    def ask(**request) -> Any:
        call = stubs.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        [answer] = call(iter([reflection_pb2.ServerReflectionRequest(**request)]))
        return answer

    names = {service.name for service in ask(list_services="").list_services_response.service}
    assert {f"taskwheel.v1.{name}" for name in SERVICES} | {"grpc.health.v1.Health"} <= names
    files = ask(file_containing_symbol="taskwheel.v1.TaskRun").file_descriptor_response.file_descriptor_proto
    [file] = [file for file in map(FileDescriptorProto.FromString, files) if file.name.endswith("/task_run.proto")]
    payload = next(field for field in file.message_type[0].field if field.name == "payload")
    assert payload.type_name == ".google.protobuf.Struct"
    assert not any(name.startswith(("buf/", "google/api")) for name in file.dependency)
    of_a_method = ask(file_containing_symbol="taskwheel.v1.TaskRunService.WaitTaskRun")
    assert (
        of_a_method.file_descriptor_response
        == ask(file_containing_symbol="taskwheel.v1.TaskRunService").file_descriptor_response
    )
    assert ask(file_containing_symbol="taskwheel.v1.TaskRunService.Nope").error_response.error_code == 5


def test_a_port_in_use_is_said_so(server, tmp_path):
    async def second() -> None:
        async with Server(Settings(listen=server.address, database_url=f"sqlite:///{tmp_path / 'second.db'}")):
            pass

    with pytest.raises(PortInUse, match=f"cannot listen on {server.address}"):
        asyncio.run(second())


def test_stopping_ends_calls_under_way_and_leaves_no_thread(server, stubs):
    before = {thread.name for thread in threading.enumerate()}
    assert {"server", "wheel"} <= before
    server.stop()
    assert not {"server", "wheel"} & {thread.name for thread in threading.enumerate()}
    with pytest.raises(grpc.RpcError) as caught:
        stubs.admin.GetServerInfo(GetServerInfoRequest())
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
