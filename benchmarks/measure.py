"""How a figure is measured and told: ours and the baseline by turns, for the machine is noisy; the median counts."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEAD = f"{'':44}{'':>20}{'CPU µs':>9}   {'beside it':30}{'CPU µs':>9}{'ratio':>8}   goal"


class Skipped(Exception):
    """A case cannot be measured on this machine; the text says why."""


@dataclass(frozen=True)
class Reading:
    """One measurement: a figure's value, and the CPU µs per run of the process measured (None: does not apply)."""

    value: float
    cpu: float | None = None


@dataclass(frozen=True)
class Figure:
    """What is measured.

    Args:
        name: what it is called.
        unit: of its value.
        goal: the bound to keep, of the ratio or of the value; None: there is none.
        by_ratio: whether the goal is on the ratio to the baseline.
        rising: whether more is better.
    """

    name: str
    unit: str
    goal: float | None = None
    by_ratio: bool = False
    rising: bool = True


@dataclass(frozen=True)
class Case:
    """Figures that are measured together.

    Args:
        figures: what they are.
        ours: measures the server once; a reading a figure.
        baseline: measures what they are compared with once; a reading a figure.
        beside: what the baseline is.
    """

    figures: tuple[Figure, ...]
    ours: Callable[[], Sequence[Reading]]
    baseline: Callable[[], Sequence[Reading]] | None = None
    beside: str = ""

    def measure(self, repetitions: int) -> list[Line]:
        """Measure the server and the baseline by turns and return the medians."""
        ours: list[Sequence[Reading]] = []
        theirs: list[Sequence[Reading]] = []
        for _ in range(repetitions):
            ours.append(self.ours())
            if self.baseline:
                theirs.append(self.baseline())
        return [
            Line(
                figure,
                _median([readings[index] for readings in ours]),
                _median([readings[index] for readings in theirs]) if theirs else None,
                self.beside,
            )
            for index, figure in enumerate(self.figures)
        ]


def _median(readings: list[Reading]) -> Reading:
    cpus = [reading.cpu for reading in readings if reading.cpu is not None]
    return Reading(median(reading.value for reading in readings), median(cpus) if cpus else None)


@dataclass(frozen=True)
class Line:
    """A figure as measured."""

    figure: Figure
    ours: Reading
    baseline: Reading | None = None
    beside: str = ""

    @property
    def ratio(self) -> float | None:
        """The value by the baseline's."""
        return self.ours.value / self.baseline.value if self.baseline else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        value = self.ratio if self.figure.by_ratio else self.ours.value
        if self.figure.goal is None or value is None:
            return None
        return value >= self.figure.goal if self.figure.rising else value <= self.figure.goal

    def __str__(self) -> str:
        figure = self.figure
        text = f"{figure.name:44}{_value(self.ours, figure.unit):>20}{_cpu(self.ours):>9}"
        if self.baseline:
            beside = f"{self.beside} {_value(self.baseline, figure.unit)}"
            text += f"   {beside:30}{_cpu(self.baseline):>9}{self.ratio:8.2f}"
        if figure.goal is not None:
            sign = "≥" if figure.rising else "≤"
            text = f"{text:123}   {sign} {figure.goal:g} {'met' if self.met else 'MISSED'}"
        return text.rstrip()


def _value(reading: Reading, unit: str) -> str:
    digits = 0 if reading.value >= 100 else 2
    return f"{reading.value:,.{digits}f} {unit}"


def _cpu(reading: Reading) -> str:
    return "" if reading.cpu is None else f"{reading.cpu:.1f}"
