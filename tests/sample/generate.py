"""Makes the input of the sample: three days of a web shop. `python tests/sample/generate.py FOLDER`.

Only random() is drawn from, the one method whose sequence is promised to stay the same from version to version.
"""

import csv
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

DAYS = [datetime(2026, 3, day, tzinfo=UTC) for day in (2, 3, 4)]
REQUESTS, ORDERS = 160, 36

# (path, weight, typical seconds, chance of a server error)
PATHS = [
    ("/", 20, 0.02, 0.0),
    ("/search?q={word}", 14, 0.21, 0.01),
    ("/products/{n}", 30, 0.06, 0.005),
    ("/cart", 10, 0.05, 0.01),
    ("/checkout", 5, 0.62, 0.09),
    ("/orders/{n}", 5, 0.11, 0.01),
    ("/api/stock/{n}", 10, 0.09, 0.02),
    ("/static/app.css", 8, 0.004, 0.0),
]
WORDS = ["kettle", "lamp", "notebook", "rucksack", "teapot", "umbrella"]
AGENTS = ["Mozilla/5.0 (X11; Linux x86_64) Firefox/147.0", "Mozilla/5.0 (iPhone) Safari/605.1.15", "curl/8.14.1"]
CUSTOMERS = [
    ("Aster Books", "DE"),
    ("Blue Harbour Hotel", "PT"),
    ("Café Lindgren", "SE"),
    ("Delta Cycles", "NL"),
    ("Elm Street Dental", "IE"),
    ("Fjord & Sons", "NO"),
    ("Green Door Theatre", "GB"),
    ("Huerta del Sol", "ES"),
    ("Iris Opticians", "FR"),
    ("Jasmine Tea Room", "FR"),
    ("Kestrel Surveying", "GB"),
    ("Lumen Studio", "AT"),
]


def pick(random: Random, options: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
    """One of the options, by weight."""
    weights = weights or [1] * len(options)
    mark = random.random() * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        mark -= weight
        if mark < 0:
            return option
    return options[-1]


def instants(random: Random, day: datetime, count: int) -> list[datetime]:
    """Times of a day, most of them in the afternoon, in order."""
    seconds = sorted(int((random.random() + random.random() + 0.6) / 2.6 * 86_399) for _ in range(count))
    return [day + timedelta(seconds=second) for second in seconds]


def access_log(random: Random, day: datetime) -> str:
    """A day of requests, in the combined log format with the seconds taken at the end; two lines were cut short."""
    lines = []
    for time in instants(random, day, REQUESTS):
        path, _, typical, chance = pick(random, PATHS, [weight for _, weight, _, _ in PATHS])
        path = path.format(word=pick(random, WORDS), n=1 + int(random.random() * 90))
        status = 200 if random.random() >= 0.05 else pick(random, [301, 404, 404, 403])
        if random.random() < chance * 3:
            status = pick(random, [500, 502, 503])
        seconds = typical * (0.5 + random.random()) * (12 if random.random() < 0.03 else 1)
        user = f"C{1001 + int(random.random() * len(CUSTOMERS))}" if random.random() < 0.4 else "-"
        method = "POST" if path == "/checkout" else "GET"
        lines.append(
            f"198.51.100.{1 + int(random.random() * 250)} - {user} [{time:%d/%b/%Y:%H:%M:%S %z}] "
            f'"{method} {path} HTTP/1.1" {status} {int(200 + random.random() * 9000)} '
            f'"-" "{pick(random, AGENTS)}" {seconds:.3f}'
        )
    for index in (40, 117):
        lines[index] = lines[index][:52]
    return "\n".join(lines) + "\n"


def generate(folder: Path) -> None:
    """Write all files."""
    random = Random(7420)
    folder.mkdir(parents=True, exist_ok=True)
    numbers = [f"C{1001 + index}" for index in range(len(CUSTOMERS))]
    write(
        folder / "customers.csv",
        ["customer", "name", "country"],
        [(n, *c) for n, c in zip(numbers, CUSTOMERS, strict=True)],
    )
    order = 50_000
    for day in DAYS:
        (folder / f"access-{day:%Y-%m-%d}.log").write_text(access_log(random, day), encoding="utf-8")
        rows = []
        for time in instants(random, day, ORDERS):
            order += 1 + int(random.random() * 3)
            customer = pick(random, numbers, [1 / (1 + index % 5) for index in range(len(numbers))])
            status = pick(random, ["paid", "paid", "paid", "paid", "paid", "refunded", "cancelled"])
            rows.append(
                (order, f"{time:%Y-%m-%dT%H:%M:%SZ}", customer, f"{8 + random.random() ** 3 * 600:.2f}", status)
            )
        write(folder / f"orders-{day:%Y-%m-%d}.csv", ["order", "time", "customer", "total", "status"], rows)


def write(path: Path, header: list[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Write one table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
