"""The matrix: behaviours down, languages across."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.conformance.languages import Language
from tests.conformance.runner import Cell
from tests.conformance.table import Behaviour


class Matrix:
    """The cells of one run.

    Args:
        rows: the behaviours.
        languages: the columns.

    Attributes:
        unbuilt: the languages that could not be built.
    """

    def __init__(self, rows: Sequence[Behaviour], languages: Sequence[Language]) -> None:
        self._rows = rows
        self._languages = languages
        self._cells: dict[tuple[str, str], Cell] = {}
        self._skipped: dict[str, str] = {}
        self._failed: dict[str, str] = {}
        self.unbuilt: list[Language] = []

    def add(self, language: Language, row: Behaviour, cell: Cell) -> None:
        """Tell how a language fared with a behaviour."""
        self._cells[language.name, row.name] = cell

    def skip(self, language: Language, why: str) -> None:
        """Tell that a whole language cannot be run here."""
        self._skipped[language.name] = why

    def fail(self, language: Language, why: str) -> None:
        """Tell that a language could not be built, or failed its own tests."""
        self._failed[language.name] = why

    def status(self, *, strict: bool) -> int:
        """The exit status: 1 when anything failed or nothing applied, or when a skip or an empty column must not be."""
        failed = self._failed or any(cell.verdict == "FAIL" for cell in self._cells.values())
        played = {column for column, _ in self._cells}
        hollow = played - {column for (column, _), cell in self._cells.items() if cell.verdict == "ok"}
        nothing = not (played or self._skipped)
        return int(bool(failed or nothing or (strict and (hollow or self._skipped))))

    def __str__(self) -> str:
        width = max((len(row.name) for row in self._rows), default=0)
        names = [language.name for language in self._languages]
        lines = [" " * width + "".join(f"{name:>8}" for name in names)]
        for row in self._rows:
            cells = (self._cells.get((name, row.name), Cell("–")).verdict for name in names)
            lines.append(f"{row.name:{width}}" + "".join(f"{verdict:>8}" for verdict in cells))
        for name in names:
            counted = Counter(cell.verdict for (column, _), cell in self._cells.items() if column == name)
            told = ", ".join(f"{count} {verdict}" for verdict, count in counted.items())
            if name in self._skipped:
                told = f"SKIPPED: {self._skipped[name]}"
            if name in self._failed:
                told = f"FAILED: {self._failed[name]}; {told}"
            lines.append(f"{name}: {told}")
        notes = [
            f"  {column}: {row}: {cell.why}" for (column, row), cell in self._cells.items() if cell.verdict == "n/a"
        ]
        verdicts = Counter(cell.verdict for cell in self._cells.values())
        total = f"{verdicts['ok']} passed, {verdicts['FAIL']} failed"
        return "\n".join([*lines, *(["does not apply:", *notes] if notes else []), total])
