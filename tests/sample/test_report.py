from pathlib import Path
from typing import Any

import pytest

from taskwheel.sample import DATA, build_report, second_try
from taskwheel.sample.report import Report, read_names, render
from tests.sample.generate import generate


class Handed:
    """A run as handlers know it, which keeps what they tell it."""

    def __init__(self, payload=None, attempt=1):
        self.payload, self.attempt, self.task = payload or {}, attempt, "namespaces/default/tasks/report"
        self.lines, self.told, self.log = [], [], self

    def info(self, message, **fields):
        self.lines.append((message, fields))

    warning = info

    def progress(self, ratio, message):
        self.told.append((ratio, message))

    def raise_if_cancelled(self):
        pass


def handed(payload=None, attempt=1) -> Any:
    return Handed(payload, attempt)


def test_the_input_that_ships_is_what_its_generator_makes(tmp_path):
    generate(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in DATA.iterdir()
    }


def test_a_report_counts_requests_errors_times_and_orders(tmp_path):
    (tmp_path / "a.log").write_text(
        '192.0.2.1 - - [02/Mar/2026:06:00:00 +0000] "GET /orders/17?x=1 HTTP/1.1" 200 10 "-" "curl" 0.100\n'
        '192.0.2.1 - C1 [02/Mar/2026:06:00:01 +0000] "GET /orders/18 HTTP/1.1" 503 10 "-" "curl" 0.300\n'
        '192.0.2.1 - - [02/Mar/2026:06:00:02 +0000] "GET / HTTP/1.1" 404 10 "-" "curl" 0.010\n'
        "192.0.2.1 - - [02/Mar/2026:06:0\n"
    )
    (tmp_path / "orders-1.csv").write_text(
        "order,time,customer,total,status\n1,,C1,0.10,paid\n2,,C1,0.20,paid\n3,,C2,5.00,paid\n4,,C1,9.00,refunded\n"
    )
    (tmp_path / "customers.csv").write_text("customer,name,country\nC2,Fjord & Sons,NO\n")
    report = Report()
    assert report.add(tmp_path / "a.log") == "a.log: 3 requests, 1 server errors"
    assert report.add(tmp_path / "orders-1.csv") == "orders-1.csv: 4 orders, 5.30 paid"
    assert report.summary(read_names(tmp_path), top=2) == {
        "requests": 3,
        "errors": 1,
        "error_rate": 0.3333,
        "unreadable_lines": 1,
        "statuses": {"200": 1, "404": 1, "503": 1},
        "slowest_paths": [
            {"path": "/orders/{n}", "requests": 2, "errors": 1, "p50_ms": 100, "p95_ms": 100},
            {"path": "/", "requests": 1, "errors": 0, "p50_ms": 10, "p95_ms": 10},
        ],
        "orders": {"paid": 3, "refunded": 1},
        "revenue": 5.3,
        "top_customers": [{"customer": "Fjord & Sons", "revenue": 5.0}, {"customer": "C1", "revenue": 0.3}],
    }


def test_the_handler_reads_what_ships_and_leaves_a_page(tmp_path):
    run = handed({"top": 2})
    result = build_report(run, tmp_path)
    page = Path(result["report"]).read_text(encoding="utf-8")
    assert page == render(result)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert result["requests"] + result["unreadable_lines"] == 480
    assert len(result["top_customers"]) == len(result["slowest_paths"]) == 2
    assert [ratio for ratio, _ in run.told] == [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1]
    assert ("access-2026-03-02.log: 158 requests, 6 server errors", {}) in run.lines
    assert ("lines that cannot be read", {"file": "access-2026-03-02.log", "lines": 2}) in run.lines


def test_a_folder_without_input_is_said_to_be_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no"):
        build_report(handed({"directory": str(tmp_path)}), tmp_path)


def test_the_second_try_succeeds():
    with pytest.raises(ConnectionError):
        second_try(handed())
    assert second_try(handed(attempt=2)) == {"attempt": 2}
