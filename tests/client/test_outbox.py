import threading

import pytest

from taskwheel._worker.outbox import Outbox
from taskwheel._worker.run import Run
from taskwheel.v1 import task_run_pb2, worker_service_pb2


@pytest.fixture
async def outbox():
    return Outbox()


def held(outbox: Outbox, uid: str = "1") -> Run:
    run = Run(
        worker_service_pb2.Assignment(
            run=task_run_pb2.TaskRun(name=f"namespaces/default/runs/{uid}", uid=uid, attempt=1), lease_token="t"
        ),
        outbox,
    )
    outbox.held[run.name] = run
    return run


def result(run: Run, text: str = "ok") -> worker_service_pb2.RunResult:
    report = worker_service_pb2.RunResult(run=run.name, attempt=run.attempt, lease_token=run.lease_token)
    report.result.string_value = text
    return report


async def test_results_and_logs_that_are_ready_go_in_one_frame(outbox):
    runs = [held(outbox, str(number)) for number in range(300)]
    for run in runs:
        run.log.info("done")
        outbox.put(run, result(run))
    frame = outbox.frame()
    assert (len(frame.results), len(frame.logs)) == (300, 300)
    assert outbox.frame() is None
    assert not outbox.held
    assert not outbox.empty


async def test_lines_of_one_run_share_an_item_and_keep_their_order(outbox):
    run = held(outbox)
    for text in ("line 0", "line 1", "line 2"):
        run.log.warning(text, size=6)
    [item] = outbox.frame().logs
    assert [entry.message for entry in item.entries] == ["line 0", "line 1", "line 2"]
    assert item.lease_token == "t"


async def test_the_log_of_a_run_never_comes_after_its_result(outbox):
    run = held(outbox)
    for _ in range(1500):
        run.log.info("line")
    outbox.put(run, result(run))
    first, second = outbox.frame(), outbox.frame()
    assert (len(first.logs[0].entries), len(first.results)) == (1000, 0)
    assert (len(second.logs[0].entries), len(second.results)) == (500, 1)


async def test_a_frame_ends_at_3_mib_but_takes_at_least_one(outbox):
    for uid in "1234":
        run = held(outbox, uid)
        outbox.put(run, result(run, "x" * 2**20))
    assert [len(outbox.frame().results) for _ in range(2)] == [2, 2]


async def test_what_is_not_acknowledged_goes_first_on_the_next_stream(outbox):
    first, second = held(outbox, "1"), held(outbox, "2")
    outbox.put(first, result(first))
    outbox.frame()
    outbox.put(second, result(second))
    outbox.restore()
    renewals, frame = outbox.frame(), outbox.frame()
    assert [lease.run for lease in renewals.renewals] == [second.name]
    assert [report.run for report in frame.results] == [first.name, second.name]
    outbox.acknowledge(first.name)
    outbox.acknowledge(second.name)
    assert outbox.empty


async def test_progress_is_sent_before_the_result(outbox):
    run = held(outbox)
    run.progress(0.25, "a quarter")
    run.progress(0.5, "half")
    outbox.put(run, result(run))
    renewal, frame = outbox.frame(), outbox.frame()
    assert [(lease.progress.ratio, lease.progress.message) for lease in renewal.renewals] == [(0.5, "half")]
    assert len(frame.results) == 1


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
async def test_progress_outside_0_to_1_is_refused(outbox, ratio):
    with pytest.raises(ValueError, match="0 to 1"):
        held(outbox).progress(ratio)


async def test_a_lost_run_reports_nothing(outbox):
    run = held(outbox)
    run.log.info("line")
    outbox.put(run, result(run))
    run.lost = True
    assert outbox.frame() is None


async def test_renewals_are_split_by_thousands(outbox):
    for number in range(1500):
        held(outbox, str(number))
    outbox.renew()
    assert [len(outbox.frame().renewals) for _ in range(2)] == [1000, 500]


async def test_a_thread_wakes_the_writer(outbox):
    run = held(outbox)
    thread = threading.Thread(target=run.log.info, args=("from a thread",))
    thread.start()
    await outbox.changed()
    thread.join()
    assert outbox.frame().logs[0].entries[0].message == "from a thread"


async def test_log_text_is_cut_and_fields_that_do_not_fit_are_left_out(outbox):
    run = held(outbox)
    run.log.info("ä" * 2**16)
    run.log.info("short", blob="x" * 2**16)
    run.log.info("odd", when=object, number=2**60)
    run.log.info("ä" * 2**15, blob="y")
    entries = outbox.frame().logs[0].entries
    assert len(entries[0].message.encode()) == 2**16
    assert not entries[1].HasField("fields")
    assert entries[2].fields["number"] == str(2**60)
    assert not entries[3].HasField("fields")
    assert all(entry.ByteSize() <= 2**16 + 100 for entry in entries)
