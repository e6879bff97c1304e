"""The table: a row a system, medians of all repetitions, and how many times better taskwheel is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.peers.scenarios import Reading, Readings


@dataclass(frozen=True)
class Figure:
    """A column.

    Args:
        name: of the reading.
        title: what it is called.
        rising: whether more is better.
    """

    name: str
    title: str
    rising: bool = True


FIGURES = (
    Figure("insert 1", "enqueue one per call, 1 caller, runs/s"),
    Figure("insert 16", "16 callers, runs/s"),
    Figure("insert 32", "32 callers, runs/s"),
    Figure("drain", "drain until stored, runs/s"),
    Figure("at once", "enqueue and work at once, runs/s"),
    Figure("at once, one per call", "the same, 16 callers, one per call, runs/s"),
    Figure("idle p50", "idle, enqueue to start, p50, ms", rising=False),
    Figure("idle p99", "p99, ms", rising=False),
    Figure("due 1000", "1,000 schedules due at once, last start, s", rising=False),
    Figure("due 10000", "10,000 schedules, s", rising=False),
    Figure("drain CPU", "CPU s per 1,000 runs, drain", rising=False),
    Figure("at once CPU", "CPU s, at once", rising=False),
    Figure("at once, one per call CPU", "CPU s, at once, one per call", rising=False),
)


def merged(repetitions: Sequence[Readings]) -> Readings:
    """Return the median of each figure; one that failed once does not count at all."""
    names = dict.fromkeys(name for readings in repetitions for name in readings)
    return {name: _merged([readings[name] for readings in repetitions if name in readings]) for name in names}


def _merged(readings: list[Reading]) -> Reading:
    values = [reading.value for reading in readings if reading.value is not None]
    if len(values) < len(readings):
        return next(reading for reading in readings if reading.value is None)
    return Reading(median(values))


def table(rows: Mapping[str, Readings], ours: str) -> str:
    """Return the rows as Markdown; `(3.0×)` means that the row `ours` is three times as good."""
    figures = [figure for figure in FIGURES if any(figure.name in readings for readings in rows.values())]
    lines = ["system", *(figure.title for figure in figures)], ["---"] * (len(figures) + 1)
    cells = [
        [
            name,
            *(
                _cell(figure, readings, {} if name.startswith("taskwheel") else rows.get(ours, {}))
                for figure in figures
            ),
        ]
        for name, readings in rows.items()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in (*lines, *cells))


def _cell(figure: Figure, readings: Readings, ours: Readings) -> str:
    reading = readings.get(figure.name)
    if reading is None:
        return "–"
    if reading.value is None:
        return reading.remark
    text = f"{reading.value:,.0f}" if reading.value >= 100 else f"{reading.value:.3g}"
    own = ours.get(figure.name)
    if own is None or not own.value or not reading.value:
        return text
    ratio = own.value / reading.value if figure.rising else reading.value / own.value
    return f"{text} ({ratio:,.0f}×)" if ratio >= 10 else f"{text} ({ratio:.2g}×)"
