"""`taskwheel call`, at a real server."""

import json


def test_every_rpc_of_the_contract_is_listed(run):
    lines = run("call").lines
    assert "TaskService/RunTask" in lines
    assert "WorkerService/Work" in lines
    assert "grpc.health.v1.Health/Check" in lines
    assert len([line for line in lines if line[0].isupper()]) == 25


def test_an_rpc_is_called_with_json(run, tmp_path):
    request = {"taskId": "a", "task": {"worker": {"handler": "a"}}}
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    assert run("call TaskService/CreateTask", f"@{path}").json["name"] == "namespaces/default/tasks/a"
    assert run("call taskwheel.v1.TaskService/GetTask", '{"name": "a"}').json["worker"] == {"handler": "a"}
    assert run("call AdminService/GetServerInfo").json["database"] == "sqlite"
    assert run("call grpc.health.v1.Health/Check").json == {"status": "SERVING"}


def test_what_an_rpc_takes_and_answers_is_described(run):
    lines = run("call --describe TaskService/UpdateTask").lines
    assert lines[0] == "rpc UpdateTask(UpdateTaskRequest) returns (Task);"
    assert "  google.protobuf.FieldMask update_mask = 2;" in lines
    assert "  map<string, string> labels = 13;" in lines
    assert "  WorkerTarget worker = 4;  // one of target" in lines
    assert "enum Task.State {" in lines
    assert (
        "  rpc WatchEvents(WatchEventsRequest) returns (stream WatchEventsResponse);"
        in run("call --describe taskwheel.v1.EventService").lines
    )
    assert run("call --describe WatchEventsRequest").lines[3] == "  int64 after_sequence = 3;"
    assert run("call --describe Task.State").lines[2] == "  ACTIVE = 1;"
    assert run("call --describe grpc.health.v1.Health/Check").code == 0
    assert run("call --describe Nope").code == 2


def test_whole_numbers_have_no_fraction(run):
    run("call TaskService/CreateTask", '{"taskId": "a", "task": {"worker": {"handler": "a"}}}')
    answer = run("call TaskService/RunTask", '{"name": "a", "payload": {"n": 3, "x": [0.5, -1]}}')
    assert '{"n": 3, "x": [0.5, -1]}' in answer.out.replace('"x": [0.5, -1], "n": 3', '"n": 3, "x": [0.5, -1]')


def test_an_error_is_told_with_its_details(run):
    outcome = run("call TaskService/GetTask", '{"name": "nope"}')
    status = json.loads(outcome.err)
    assert (outcome.code, outcome.out, status["code"]) == (3, "", "NOT_FOUND")
    assert status["details"][0]["reason"] == "TASK_NOT_FOUND"


def test_a_stream_is_worked_by_hand(run):
    run("call TaskService/CreateTask", '{"taskId": "a", "task": {"worker": {"handler": "a"}}}')
    run("call TaskService/RunTask", '{"name": "a"}')
    claimed = run("call WorkerService/ClaimTaskRuns", '{"workerId": "me", "handlers": ["a"]}').json["assignments"][0]
    result = {
        "run": claimed["run"]["name"],
        "attempt": 1,
        "leaseToken": claimed["leaseToken"],
        "result": {"answer": 42},
    }
    answer = run("call WorkerService/CompleteTaskRuns", json.dumps({"results": [result]})).json
    assert answer["acknowledgements"][0]["status"] == "ACCEPTED"
    hello = '{"hello": {"workerId": "me", "handlers": ["a"], "maxConcurrentRuns": 1}} {"drain": true}'
    assert "welcome" in run("call WorkerService/Work", hello).lines[0]


def test_what_cannot_be_called_is_a_mistake(run):
    assert run("call Nope/Nope").code == 2
    assert run("call TaskService/Nope").code == 2
    assert run("call TaskService/GetTask", "{").code == 2
    assert run("call TaskService/GetTask", '{"nope": 1}').code == 2
    assert run("call TaskService/GetTask", '{"name": "a"} {"name": "b"}').code == 2
