from collections.abc import Iterator
from queue import Queue
from typing import Any

import grpc
import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

from taskwheel.v1.task_pb2 import Task
from taskwheel.v1.task_run_pb2 import TaskRun
from taskwheel.v1.task_run_service_pb2 import CancelTaskRunRequest, GetTaskRunRequest, ListTaskRunsRequest
from taskwheel.v1.task_service_pb2 import (
    BatchRunTasksRequest,
    CreateTaskRequest,
    DeleteTaskRequest,
    ListTasksRequest,
    RenameTaskRequest,
    RunTaskRequest,
)
from taskwheel.v1.worker_service_pb2 import Assignment, ClaimTaskRunsRequest, CompleteTaskRunsRequest, RunResult
from taskwheel_server.clock import DAY, HOUR, MINUTE, SECOND

UNKNOWN = "019ca945-0a00-7000-8000-000000000000"
LONG_AGO = "01900000-0000-7000-8000-000000000000"


def create(stubs, task_id="nightly", *, handler="h", **fields) -> Any:
    task = Task(**fields)
    task.worker.handler = handler
    return stubs.tasks.CreateTask(CreateTaskRequest(task_id=task_id, task=task))


def run_task(stubs, name="nightly", *, payload=None, **fields) -> Any:
    request = RunTaskRequest(name=name, **fields)
    request.payload.update(payload or {})
    return stubs.tasks.RunTask(request)


def claim(stubs, count=1, handler="h") -> list[Assignment]:
    request = ClaimTaskRunsRequest(worker_id="w1", handlers=[handler], max_runs=count)
    return list(stubs.workers.ClaimTaskRuns(request).assignments)


def complete(stubs, assignment, **outcome) -> None:
    result = RunResult(
        run=assignment.run.name, attempt=assignment.run.attempt, lease_token=assignment.lease_token, **outcome
    )
    stubs.workers.CompleteTaskRuns(CompleteTaskRunsRequest(results=[result]))


def get(stubs, name, **fields) -> Any:
    return stubs.runs.GetTaskRun(GetTaskRunRequest(name=name, **fields))


class TestGet:
    @pytest.mark.parametrize("name", ["namespaces/default/runs/{}", "runs/{}", "{}"])
    def test_a_run_is_found_by_every_form_of_its_name(self, stubs, name):
        create(stubs)
        run = run_task(stubs)
        assert get(stubs, name.format(run.uid)) == run

    @pytest.mark.parametrize("guard", ["nightly", "tasks/nightly", "namespaces/default/tasks/nightly", "uid"])
    def test_a_run_of_the_named_task_passes_the_guard(self, stubs, guard):
        guard = guard.replace("uid", create(stubs).uid)
        run = run_task(stubs)
        assert get(stubs, run.name, task=guard) == run

    @pytest.mark.parametrize("guard", ["other", "missing", UNKNOWN])
    def test_a_run_of_another_task_is_not_found(self, stubs, refused, guard):
        create(stubs)
        create(stubs, "other")
        run = run_task(stubs)
        refusal = refused(stubs.runs.GetTaskRun, GetTaskRunRequest(name=run.name, task=guard))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "RUN_NOT_FOUND")

    def test_the_guard_follows_a_rename_and_a_uid_outlives_the_task(self, stubs):
        task = create(stubs)
        run = run_task(stubs)
        stubs.tasks.RenameTask(RenameTaskRequest(name="nightly", new_task_id="daily"))
        assert get(stubs, run.name, task="daily") == run
        stubs.tasks.DeleteTask(DeleteTaskRequest(name="daily"))
        assert get(stubs, run.name, task=task.uid).uid == run.uid

    @pytest.mark.parametrize(
        ("name", "code", "reason"),
        [
            (UNKNOWN, "NOT_FOUND", "RUN_NOT_FOUND"),
            (LONG_AGO, "NOT_FOUND", "RUN_EXPIRED"),
            (f"namespaces/other/runs/{UNKNOWN}", "NOT_FOUND", "RUN_NOT_FOUND"),
            ("nightly", "INVALID_ARGUMENT", "INVALID_FIELD"),
            ("", "INVALID_ARGUMENT", "INVALID_FIELD"),
        ],
    )
    @pytest.mark.parametrize("rpc", ["GetTaskRun", "CancelTaskRun"])
    def test_what_is_not_there_is_said_so(self, stubs, refused, rpc, name, code, reason):
        request = {"GetTaskRun": GetTaskRunRequest, "CancelTaskRun": CancelTaskRunRequest}[rpc](name=name)
        refusal = refused(getattr(stubs.runs, rpc), request)
        assert (refusal.code.name, refusal.reason) == (code, reason)

    def test_a_run_expires_seven_days_after_its_end(self, stubs, refused, crank):
        create(stubs)
        run = run_task(stubs)
        crank(HOUR)
        complete(stubs, claim(stubs)[0], cancelled=True)
        crank(7 * DAY - 1)
        assert get(stubs, run.name).state == TaskRun.CANCELLED
        crank(1)
        assert refused(stubs.runs.GetTaskRun, GetTaskRunRequest(name=run.name)).reason == "RUN_EXPIRED"
        assert stubs.runs.ListTaskRuns(ListTaskRunsRequest()).total_size == 0

    def test_a_finished_run_answers_its_result(self, stubs, crank):
        create(stubs)
        run = run_task(stubs)
        crank(SECOND)
        [assignment] = claim(stubs)
        crank(SECOND)
        complete(stubs, assignment, result={"struct_value": {"sent": 1}})
        done = get(stubs, run.name)
        assert (done.state, done.done, done.worker) == (TaskRun.SUCCEEDED, True, "w1")
        assert dict(done.result.struct_value) == {"sent": 1}
        start = run.create_time.seconds
        assert (done.start_time.seconds, done.end_time.seconds) == (start + 1, start + 2)
        assert done.state_change_time == done.end_time

    def test_follow_retries_answers_the_last_attempt(self, stubs, crank):
        create(stubs, retry_policy={"max_attempts": 3, "fixed_delays": {"delays": [{"seconds": 2}]}})
        first = run_task(stubs)
        for _ in range(2):
            complete(stubs, claim(stubs)[0], error={"name": "Timeout", "message": "too slow", "stack": "line 1"})
            crank(2 * SECOND)
        retried, last = get(stubs, first.name), get(stubs, first.name, follow_retries=True)
        assert (retried.state, retried.done, retried.error.stack) == (TaskRun.RETRIED, True, "line 1")
        assert (last.attempt, last.trigger, last.root_run) == (3, TaskRun.RETRY, first.name)
        assert list(last.retry_for_runs) == [first.name, retried.retried_by_run]
        assert get(stubs, retried.retried_by_run).retried_by_run == last.name


class TestCancel:
    def test_a_pending_run_is_cancelled_for_certain(self, stubs):
        create(stubs)
        run = stubs.runs.CancelTaskRun(CancelTaskRunRequest(name=run_task(stubs).name, reason="not needed"))
        assert (run.state, run.done, run.state_reason) == (TaskRun.CANCELLED, True, "not needed")
        assert claim(stubs) == []

    def test_a_running_run_is_asked_to_stop(self, stubs):
        create(stubs)
        run = run_task(stubs)
        [assignment] = claim(stubs)
        run = stubs.runs.CancelTaskRun(CancelTaskRunRequest(name=run.name))
        assert (run.state, run.done, run.state_reason) == (TaskRun.CANCELLING, False, "CANCEL_REQUESTED")
        complete(stubs, assignment, cancelled=True)
        assert get(stubs, run.name).state == TaskRun.CANCELLED

    def test_pending_only_spares_a_run_that_has_started(self, stubs, refused):
        create(stubs)
        run = run_task(stubs)
        claim(stubs)
        refusal = refused(stubs.runs.CancelTaskRun, CancelTaskRunRequest(name=run.name, pending_only=True))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RUN_STARTED")
        assert "PreconditionFailure" in refusal.details
        assert get(stubs, run.name).state == TaskRun.RUNNING

    def test_a_run_that_has_ended_stays_as_it_ended(self, stubs, refused):
        create(stubs)
        run = run_task(stubs)
        complete(stubs, claim(stubs)[0], result={"bool_value": True})
        refusal = refused(stubs.runs.CancelTaskRun, CancelTaskRunRequest(name=run.name))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RUN_DONE")


@pytest.fixture
def history(stubs, crank) -> dict[str, TaskRun]:
    """Runs of two tasks in every state, a minute apart, by a nickname each."""
    create(stubs, tags=["billing"], labels={"team": "ops"})
    create(stubs, "other", handler="o", priority=5)
    runs = {}
    for nickname in ("succeeded", "failed", "running", "cancelled", "pending"):
        runs[nickname] = run_task(stubs, payload={"x": 1}, labels={"nickname": nickname})
        if nickname == "succeeded":
            complete(stubs, claim(stubs)[0], result={"string_value": "yes"})
        elif nickname == "failed":
            complete(stubs, claim(stubs)[0], error={"type": "E", "name": "Timeout", "message": "m", "stack": "s"})
        elif nickname == "running":
            claim(stubs)
        elif nickname == "cancelled":
            stubs.runs.CancelTaskRun(CancelTaskRunRequest(name=runs[nickname].name))
        crank(MINUTE // 10)
    runs["other"] = run_task(stubs, "other", tags=["x y"], labels={"nickname": "other"}, request_id="r")
    return runs


def nicknames(stubs, **query) -> list[str]:
    return [run.labels["nickname"] for run in stubs.runs.ListTaskRuns(ListTaskRunsRequest(**query)).task_runs]


class TestList:
    def test_the_newest_come_first(self, stubs, history):
        assert nicknames(stubs) == ["other", "pending", "cancelled", "running", "failed", "succeeded"]

    @pytest.mark.parametrize(
        ("filter", "found"),
        [
            ("task = nightly AND state = FAILED", "failed"),
            ("task = tasks/other", "other"),
            ("task = missing", ""),
            ("task = namespaces/other/tasks/nightly", ""),
            ("NOT task = nightly", "other"),
            ("task_id = oth*", "other"),
            ("done = true", "cancelled failed succeeded"),
            ("NOT done = true AND state != RUNNING", "other pending"),
            ("state = PENDING", "other pending"),
            ("state = SUCCEEDED OR state = FAILED", "failed succeeded"),
            ('error.name = "Timeout"', "failed"),
            ("error.type = E", "failed"),
            ("tags:billing AND state = RUNNING", "running"),
            ('tags:"x y"', "other"),
            ("labels.nickname = pending", "pending"),
            ("labels.team:ops AND labels.nickname:failed", "failed"),
            ("priority > 3", "other"),
            ("trigger = SCHEDULE", ""),
            ("attempt = 1 AND handler = o", "other"),
            ("worker = w1", "running failed succeeded"),
            ("request_id = r", "other"),
            ("creator.application = anonymous AND handler = o", "other"),
            ("end_time:* AND start_time:*", "failed succeeded"),
            ('create_time < "2026-03-01T12:00:06Z"', "succeeded"),
            ("state_reason = CANCEL_REQUESTED", "cancelled"),
        ],
    )
    def test_a_filter_lets_through_what_it_says(self, stubs, history, filter, found):
        assert nicknames(stubs, filter=filter) == found.split()

    def test_names_are_compared_by_uid(self, stubs, history):
        run = history["failed"]
        for text in (f"name = {run.name}", f"uid = {run.uid}", f"root_run = runs/{run.uid}"):
            assert nicknames(stubs, filter=text) == ["failed"]
        stubs.tasks.RenameTask(RenameTaskRequest(name="other", new_task_id="moved"))
        assert nicknames(stubs, filter="task = moved") == ["other"]

    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ("create_time", "succeeded failed running cancelled pending other"),
            ("priority desc, create_time", "other succeeded failed running cancelled pending"),
            # Those that have not ended come last, the newest of them first.
            ("end_time desc", "cancelled failed succeeded other pending running"),
            ("end_time", "succeeded failed cancelled other pending running"),
            ("start_time desc", "running failed succeeded other pending cancelled"),
        ],
    )
    @pytest.mark.parametrize("page_size", [1, 2, 1000])
    def test_every_order_can_be_paged_through(self, stubs, history, order, found, page_size):
        request = ListTaskRunsRequest(order_by=order, page_size=page_size)
        pages = list(paged(stubs, request))
        assert [run.labels["nickname"] for page in pages for run in page.task_runs] == found.split()
        assert {page.total_size for page in pages} == {6}
        assert all(len(page.task_runs) <= page_size for page in pages)

    def test_a_list_of_finished_runs_is_what_logs_of_tasks_were(self, stubs, history):
        query = {"filter": "state = SUCCEEDED OR state = FAILED", "order_by": "end_time desc", "page_size": 50}
        assert nicknames(stubs, **query) == ["failed", "succeeded"]

    def test_basic_leaves_out_what_is_large(self, stubs, history):
        basic = {run.labels["nickname"]: run for run in stubs.runs.ListTaskRuns(ListTaskRunsRequest()).task_runs}
        request = ListTaskRunsRequest(view=ListTaskRunsRequest.FULL)
        full = {run.labels["nickname"]: run for run in stubs.runs.ListTaskRuns(request).task_runs}
        assert not any(run.HasField("payload") or run.HasField("result") or run.error.stack for run in basic.values())
        assert (basic["failed"].error.message, full["failed"].error.stack) == ("m", "s")
        assert full["succeeded"].result.string_value == "yes"
        assert full == {nickname: get(stubs, run.name) for nickname, run in history.items()}

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ({"page_size": -1}, "page_size"),
            ({"page_token": "nonsense"}, "page_token"),
            ({"filter": "state = NOPE"}, "filter"),
            ({"filter": "nope = 1"}, "filter"),
            ({"filter": "task = 'a b'"}, "filter"),
            ({"filter": "x" * 2049}, "filter"),
            ({"order_by": "state"}, "order_by"),
            ({"view": 9}, "view"),
        ],
    )
    def test_bad_requests_are_refused(self, stubs, refused, query, field):
        refusal = refused(stubs.runs.ListTaskRuns, ListTaskRunsRequest(**query))
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])

    @pytest.mark.parametrize(
        "change",
        [{"filter": "done = false"}, {"order_by": "create_time"}, {"view": ListTaskRunsRequest.FULL}],
    )
    def test_a_page_token_is_bound_to_its_query(self, stubs, refused, history, change):
        token = stubs.runs.ListTaskRuns(ListTaskRunsRequest(page_size=1)).next_page_token
        refusal = refused(stubs.runs.ListTaskRuns, ListTaskRunsRequest(page_token=token, **change))
        assert refusal.fields == ["page_token"]

    def test_a_page_may_shrink_and_grow_on_the_way(self, stubs, history):
        first = stubs.runs.ListTaskRuns(ListTaskRunsRequest(page_size=1))
        rest = stubs.runs.ListTaskRuns(ListTaskRunsRequest(page_size=4, page_token=first.next_page_token))
        assert len(rest.task_runs) == 4

    def test_pages_end_before_a_message_is_full(self, stubs):
        create(stubs)
        for _ in range(5):
            run_task(stubs, payload={"x": "x" * 900_000})
        request = ListTaskRunsRequest(view=ListTaskRunsRequest.FULL)
        pages = list(paged(stubs, request))
        assert [len(page.task_runs) for page in pages] == [3, 2]
        assert all(page.ByteSize() < 4 * 1024 * 1024 for page in pages)

    def test_an_unknown_namespace_is_not_found(self, stubs, refused):
        refusal = refused(stubs.runs.ListTaskRuns, ListTaskRunsRequest(parent="namespaces/other"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND")

    def test_totals_are_exact_to_10000(self, stubs):
        create(stubs)
        batch = BatchRunTasksRequest(requests=[RunTaskRequest(name="nightly")] * 1000)
        for _ in range(10):
            stubs.tasks.BatchRunTasks(batch)
        assert stubs.runs.ListTaskRuns(ListTaskRunsRequest()).total_size == 10_000
        run_task(stubs)
        answer = stubs.runs.ListTaskRuns(ListTaskRunsRequest())
        assert (answer.total_size, len(answer.task_runs)) == (10_000, 50)


def paged(stubs, request) -> Iterator[Any]:
    while True:
        page = stubs.runs.ListTaskRuns(request)
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


class TestAbandoned:
    """Reads that nobody waits for any more."""

    @pytest.fixture
    def told(self, monkeypatch) -> Queue[str]:
        """What becomes of reads that each take many seconds, which all lists now are."""
        told: Queue[str] = Queue()
        count = sqlalchemy.text(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT count(*) FROM n"
        )

        def read(connection, *_, **__) -> None:
            told.put("started")
            try:
                connection.execute(count)
            except OperationalError:
                told.put("interrupted")
                raise
            told.put("finished")

        monkeypatch.setattr("taskwheel_server.rpc.runs.list_runs", read)
        return told

    def test_a_read_ends_with_its_call(self, stubs, told):
        call = stubs.runs.ListTaskRuns.future(ListTaskRunsRequest())
        assert told.get(timeout=30) == "started"
        call.cancel()
        assert told.get(timeout=30) == "interrupted"

    def test_a_read_ends_with_the_deadline_of_its_call(self, stubs, told):
        with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
            stubs.runs.ListTaskRuns(ListTaskRunsRequest(), timeout=0.5)
        assert [told.get(timeout=30), told.get(timeout=30)] == ["started", "interrupted"]

    def test_lists_leave_room_for_who_asks_for_one_record(self, stubs, told):
        create(stubs)
        run = run_task(stubs)
        calls = [stubs.runs.ListTaskRuns.future(ListTaskRunsRequest()) for _ in range(8)]
        assert [told.get(timeout=30), told.get(timeout=30)] == ["started", "started"]
        assert get(stubs, run.name) == run
        assert told.empty()
        for call in calls:
            call.cancel()
        # Those that have not been started never are.
        assert [told.get(timeout=30), told.get(timeout=30)] == ["interrupted", "interrupted"]
        assert get(stubs, run.name) == run


class TestListTasks:
    @pytest.fixture(autouse=True)
    def tasks(self, stubs, crank):
        create(stubs, "b", tags=["x"], schedules=[{"cron": "0 * * * *"}])
        crank(SECOND)
        create(stubs, "a", priority=3, labels={"team": "ops"}, display_name="Zed", paused=True)
        crank(SECOND)
        create(stubs, "c", handler="other", schedules=[{"cron": "5 * * * *"}])
        run_task(stubs, "c")

    @pytest.mark.parametrize(
        ("filter", "found"),
        [
            ("", "c a b"),
            ("state = ACTIVE", "c b"),
            ("state = PAUSED", "a"),
            ("paused = true", "a"),
            ("name = tasks/b", "b"),
            ("tags:x", "b"),
            ("labels.team = ops", "a"),
            ("handler = other", "c"),
            ("priority >= 3", "a"),
            ("display_name = Z*", "a"),
            ("next_run_time:*", "c b"),
            ("next_run_time > 2026-03-01T12:30:00Z", "b"),
            ("task_id > a", "c b"),
        ],
    )
    def test_a_filter_lets_through_what_it_says(self, stubs, filter, found):
        tasks = stubs.tasks.ListTasks(ListTasksRequest(filter=filter)).tasks
        assert [task.name.rpartition("/")[2] for task in tasks] == found.split()

    @pytest.mark.parametrize(
        ("order", "found"),
        [("task_id", "a b c"), ("task_id desc", "c b a"), ("next_run_time", "c b a"), ("next_run_time desc", "b c a")],
    )
    def test_every_order_can_be_paged_through(self, stubs, order, found):
        request = ListTasksRequest(order_by=order, page_size=1)
        ids = []
        while True:
            page = stubs.tasks.ListTasks(request)
            ids += [task.name.rpartition("/")[2] for task in page.tasks]
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert ids == found.split()

    def test_each_task_names_its_last_run(self, stubs):
        tasks = stubs.tasks.ListTasks(ListTasksRequest()).tasks
        assert [bool(task.last_run) for task in tasks] == [True, False, False]

    @pytest.mark.parametrize("query", [{"page_size": -5}, {"filter": "tags = x"}, {"order_by": "uid"}])
    def test_bad_requests_are_refused(self, stubs, refused, query):
        refusal = refused(stubs.tasks.ListTasks, ListTasksRequest(**query))
        assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, list(query))
