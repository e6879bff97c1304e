"""Tasks that another version of the server has written: what cannot be read breaks nothing, and is not lost."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from sqlalchemy import create_engine, text

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
    engine = create_engine(database_url)
    with engine.connect() as database:
        written = text("UPDATE tasks SET schedules = :schedules, retry_policy = :policy WHERE task_id = 'newer'")
        database.execute(written, {"schedules": WRITTEN[0], "policy": WRITTEN[1]})
        database.commit()
        yield database
    engine.dispose()


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
    columns = "schedules, retry_policy, priority"
    row = database.execute(text(f"SELECT {columns} FROM tasks WHERE task_id = 'newer'")).one()
    assert tuple(row) == (*WRITTEN, 7)
