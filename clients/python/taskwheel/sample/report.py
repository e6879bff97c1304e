"""A report over the access logs and order tables of a web shop: what is counted, and how it is told."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# The combined log format of web servers, with the seconds that the request took at its end.
_LINE = re.compile(
    r'\S+ \S+ \S+ \[[^]]+] "[A-Z]+ (?P<path>[^ ?"]+)\S* HTTP/[0-9.]+" '
    r'(?P<status>[1-5]\d\d) \d+ "[^"]*" "[^"]*" (?P<seconds>\d+\.\d+)'
)
_NUMBER = re.compile(r"/\d+(?=/|$)")


@dataclass(slots=True)
class Report:
    """Totals over any number of files. Money is in cents, times are in seconds."""

    statuses: Counter[str] = field(default_factory=Counter)
    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    orders: Counter[str] = field(default_factory=Counter)
    revenue: Counter[str] = field(default_factory=Counter)

    def add(self, path: Path) -> str:
        """Count a file in, an access log or a table of orders, and tell in a line what it held."""
        with path.open(encoding="utf-8", newline="") as file:
            told = self._add_requests(file) if path.suffix == ".log" else self._add_orders(csv.DictReader(file))
        return f"{path.name}: {told}"

    def _add_requests(self, lines: Iterable[str]) -> str:
        requests, errors = self.requests, self.errors.total()
        for line in lines:
            if not (request := _LINE.match(line)):
                self.unreadable += 1
                continue
            path = _NUMBER.sub("/{n}", request["path"])
            self.statuses[request["status"]] += 1
            self.times[path].append(float(request["seconds"]))
            self.errors[path] += request["status"] >= "500"
        return f"{self.requests - requests} requests, {self.errors.total() - errors} server errors"

    def _add_orders(self, rows: Iterable[dict[str, str]]) -> str:
        orders, revenue = self.orders.total(), self.revenue.total()
        for row in rows:
            self.orders[row["status"]] += 1
            if row["status"] == "paid":
                self.revenue[row["customer"]] += round(float(row["total"]) * 100)
        return f"{self.orders.total() - orders} orders, {(self.revenue.total() - revenue) / 100:,.2f} paid"

    @property
    def requests(self) -> int:
        """How many requests were read."""
        return self.statuses.total()

    def summary(self, names: dict[str, str], top: int) -> dict[str, Any]:
        """The report as JSON.

        Args:
            names: the names of customers by their number.
            top: how many paths and customers to tell.
        """
        slow = sorted(self.times, key=lambda path: -_percentile(self.times[path], 95))
        return {
            "requests": self.requests,
            "errors": self.errors.total(),
            "error_rate": round(self.errors.total() / max(1, self.requests), 4),
            "unreadable_lines": self.unreadable,
            "statuses": dict(sorted(self.statuses.items())),
            "slowest_paths": [
                {
                    "path": path,
                    "requests": len(self.times[path]),
                    "errors": self.errors[path],
                    "p50_ms": round(_percentile(self.times[path], 50) * 1000),
                    "p95_ms": round(_percentile(self.times[path], 95) * 1000),
                }
                for path in slow[:top]
            ],
            "orders": dict(sorted(self.orders.items())),
            "revenue": self.revenue.total() / 100,
            "top_customers": [
                {"customer": names.get(customer, customer), "revenue": cents / 100}
                for customer, cents in self.revenue.most_common(top)
            ],
        }


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[(len(values) - 1) * percent // 100]


def read_names(folder: Path) -> dict[str, str]:
    """The names of customers by their number; none where the folder has no customers.csv."""
    path = folder / "customers.csv"
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {row["customer"]: row["name"] for row in csv.DictReader(file)}


def render(summary: dict[str, Any]) -> str:
    """A summary as a page of Markdown."""
    sections = {
        "Totals": _table(
            ("requests", "server errors", "error rate", "unreadable lines", "paid"),
            [
                (
                    summary["requests"],
                    summary["errors"],
                    f"{summary['error_rate']:.1%}",
                    summary["unreadable_lines"],
                    f"{summary['revenue']:,.2f}",
                )
            ],
        ),
        "Answers by status": _table(("status", "requests"), summary["statuses"].items()),
        "Slowest paths": _table(
            ("path", "requests", "errors", "p50 ms", "p95 ms"), [row.values() for row in summary["slowest_paths"]]
        ),
        "Orders by status": _table(("status", "orders"), summary["orders"].items()),
        "Top customers": _table(
            ("customer", "paid"), [(row["customer"], f"{row['revenue']:,.2f}") for row in summary["top_customers"]]
        ),
    }
    return "# Web shop report\n" + "".join(f"\n## {title}\n\n{table}\n" for title, table in sections.items())


def _table(header: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    def lines() -> Iterator[str]:
        head = tuple(header)
        for cells in (head, ["---"] * len(head), *rows):
            yield "| " + " | ".join(map(str, cells)) + " |"

    return "\n".join(lines())
