from hypothesis import given
from hypothesis import strategies as st

from taskwheel_server.model.run import Run
from taskwheel_server.model.state import State, Trigger
from taskwheel_server.rpc.messages import TaskRun
from taskwheel_server.rpc.run_message import STATES, RunWriter, run_message

_UIDS = [f"019f0000-0000-7000-8000-00000000000{digit}" for digit in range(3)]
_CHOICES = {
    "uid": _UIDS,
    "task_uid": "tu",
    "task_id": "tu",
    "state": list(State),
    "state_reason": [None, "MISSED"],
    "trigger": list(Trigger),
    "scheduled_time": [None, 5],
    "skipped_count": [0, 2],
    "schedule_time": [1, 2_500_000],
    "start_time": [None, 7],
    "end_time": [None, 8],
    "priority": [0, -1],
    "attempt": [1, 2],
    "root_run": [None, _UIDS[0]],
    "retry_for_runs": ["", f'["{_UIDS[0]}"]'],
    "payload": [None, b"", b"\x0a\x05\x0a\x01a\x12\x00"],
    "error_name": [None, "E"],
    "error_stack": [None, "S"],
    "tags": ["", '["x"]'],
    "labels": ["", '{"k":"v"}'],
    "worker": [None, "w"],
    "progress_ratio": [None, 0.5],
    "progress_message": [None, _UIDS[1]],
    "log_count": [0, 3],
    "request_id": [None, "r"],
}
runs = st.builds(
    Run,
    namespace=st.just("default"),
    handler=st.just("h"),
    **{name: st.sampled_from(choices) for name, choices in _CHOICES.items()},
)


@given(st.lists(runs, max_size=6))
def test_runs_written_in_one_go_are_those_that_are_made_one_by_one(batch):
    writer = RunWriter()
    written = [TaskRun.FromString(writer.write(run)) for run in batch]
    assert written == [run_message(run, full=False) for run in batch]


def test_every_state_is_answered_by_its_name_and_three_as_pending():
    names = {state: TaskRun.State.Name(number) for state, number in STATES.items()}
    pending = {state: "PENDING" for state in State if state.pending}
    assert names == {state: state.name for state in State} | pending
