"""Tasks that another version of the server has written: what cannot be read breaks nothing, and is not lost."""

import sqlite3
from contextlib import closing

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from taskwheel.v1.event_service_pb2 import ListEventsRequest
from taskwheel.v1.retry_policy_pb2 import RetryPolicy
from taskwheel.v1.schedule_pb2 import Schedule
from taskwheel.v1.task_pb2 import Task, WorkerTarget
from taskwheel.v1.task_service_pb2 import CreateTaskRequest, GetTaskRequest, ListTasksRequest, UpdateTaskRequest
from taskwheel_server.clock import MINUTE

WRITTEN = '[{"interval":60000000,"newer":1}]', '{"max_attempts":3,"newer":1}'


@pytest.fixture
def database(database_url, stubs):
    """The server's file, with a sound task and one whose schedules and retry policy know more than this version."""
    task = Task(worker=WorkerTarget(handler="h"), retry_policy=RetryPolicy(max_attempts=3))
    task.schedules.append(Schedule())
    task.schedules[0].interval.seconds = 60
    for task_id in ("sound", "newer"):
        stubs.tasks.CreateTask(CreateTaskRequest(task_id=task_id, task=task))
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE tasks SET schedules = ?, retry_policy = ? WHERE task_id = 'newer'", WRITTEN)
        database.commit()
        yield database


def test_it_breaks_no_list_and_no_stream(stubs, crank, database):
    assert not stubs.tasks.GetTask(GetTaskRequest(name="newer")).schedules
    assert len(stubs.tasks.ListTasks(ListTasksRequest()).tasks) == 2
    crank(MINUTE)
    assert stubs.tasks.GetTask(GetTaskRequest(name="newer")).pause.reason.startswith("taskwheel: ")
    paused = stubs.events.ListEvents(ListEventsRequest(filter="type = task_paused")).events
    assert [event.task[-5:] for event in paused] == ["newer"]


def test_an_edit_of_something_else_leaves_it(stubs, database):
    mask = FieldMask(paths=["priority"])
    stubs.tasks.UpdateTask(UpdateTaskRequest(task=Task(name="newer", priority=7), update_mask=mask))
    row = database.execute("SELECT schedules, retry_policy, priority FROM tasks WHERE task_id = 'newer'").fetchone()
    assert row == (*WRITTEN, 7)
