"""What the table of the peers makes of what was measured."""

import pytest

from benchmarks.peers.scenarios import Reading, judged
from benchmarks.peers.table import merged, table

DONE = {"handled": 100, "distinct": 100, "left": 0}


@pytest.mark.parametrize(
    ("measured", "remark"),
    [
        (DONE, ""),
        (DONE | {"handled": 99, "distinct": 99}, "1 of 100 missed"),
        (DONE | {"handled": 103}, "3 of 100 doubled"),
        (DONE | {"left": 2}, "2 of 100 not stored"),
        (DONE | {"handled": 99, "distinct": 98, "left": 1}, "2 of 100 missed, 1 of 100 doubled, 1 of 100 not stored"),
    ],
)
def test_a_reading_counts_only_if_each_run_was_done_once(measured, remark):
    value = None if remark else 4.5
    assert judged(measured, 100, {"drain": 4.5}) == {"drain": Reading(value, remark)}


def test_the_median_counts_unless_a_repetition_failed():
    readings = [{"drain": Reading(value), "insert 1": Reading(value)} for value in (7.0, 1.0, 3.0)]
    readings[1]["insert 1"] = Reading(None, "9 of 10 stored")
    assert merged(readings) == {"drain": Reading(3.0), "insert 1": Reading(None, "9 of 10 stored")}


def test_a_ratio_above_one_means_that_taskwheel_is_better():
    rows = {
        "taskwheel, PostgreSQL": {"drain": Reading(30_000.0), "idle p50": Reading(2.0)},
        "a peer": {"drain": Reading(10_000.0), "idle p50": Reading(50.0)},
        "another": {"drain": Reading(None, "1 of 100 missed")},
    }
    assert table(rows, "taskwheel, PostgreSQL").splitlines()[2:] == [
        "| taskwheel, PostgreSQL | 30,000 | 2 |",
        "| a peer | 10,000 (3×) | 50 (25×) |",
        "| another | 1 of 100 missed | – |",
    ]
