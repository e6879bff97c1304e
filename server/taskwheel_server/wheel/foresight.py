"""Foresight: what a turn is sure to ask, asked along with its beginning, so that all of it takes one round trip.

Only where the turn's commands change nothing of it before it would have asked: new runs, and what workers say of
theirs. What else the turn changes is forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskwheel_server.db import runs, tasks
from taskwheel_server.db.dialect import answer
from taskwheel_server.wheel import commands
from taskwheel_server.wheel.turn import SLICE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskwheel_server.db import Question
    from taskwheel_server.model.names import TaskRef
    from taskwheel_server.model.run import Run
    from taskwheel_server.model.task import Task
    from taskwheel_server.wheel.commands import Command
    from taskwheel_server.wheel.turn import Turn
    from taskwheel_server.workers import Registry, Taker

Pair = tuple[str, str]
"""A namespace and a handler."""

Ready = tuple["Run", bool, int]
"""A ready run as `runs.ready` has it."""

_HARMLESS = (commands.AdmitRuns, commands.CompleteRuns, commands.RenewLeases, commands.AppendLogs)


def in_demand(credit: Mapping[Taker, int], pairs: set[Pair]) -> tuple[list[Pair], int]:
    """Return those of the pairs that somebody with credit takes, and how many of their runs to look at.

    Args:
        credit: how many runs each taker can take.
        pairs: that may have ready runs.
    """
    wanted = {(taker.namespace, name) for taker, left in credit.items() if left > 0 for name in taker.handlers} & pairs
    most = sum(left for taker, left in credit.items() if any(taker.takes(*pair) for pair in wanted))
    return sorted(wanted), min(most, SLICE)


class Foresight:
    """The answers that a turn has from the start.

    Args:
        batch: the turn's commands; none for a turn that foresees nothing.
        registry: who can take runs.
        alone: whether no other server is known to be at work on the store.
    """

    def __init__(self, batch: Sequence[Command] = (), registry: Registry | None = None, *, alone: bool = True) -> None:
        self._refs: set[TaskRef] = set()
        self._tasks: list[Question] = []
        self._eased: set[str] = set()
        self._holding: list[Question] = []
        self._leased: list[Question] = []
        self._ready: dict[Pair, Question] = {}
        self._limit = 0
        self._forgotten: set[Pair] = set()
        if registry and all(isinstance(command, _HARMLESS) for command in batch):
            self._foresee(batch, registry, alone=alone)

    def _foresee(self, batch: Sequence[Command], registry: Registry, *, alone: bool) -> None:
        ended: list[str] = []
        others: list[str] = []
        for command in batch:
            match command:
                case commands.AdmitRuns(runs=new):
                    self._refs.update(each.task for each in new)
                case commands.CompleteRuns(results=results):
                    ended += [result.lease.uid for result in results]
                case commands.RenewLeases(renewals=renewals):
                    others += [renewal.lease.uid for renewal in renewals]
                case commands.AppendLogs(batches=batches):
                    others += [lease.uid for lease, _ in batches]
        self._tasks = tasks.finding(self._refs)
        self._eased = {run.task_uid for uid in ended if (run := registry.remembered(uid))}
        self._holding = [runs.holding(self._eased)] if self._eased else []
        pairs, self._limit = in_demand(dict(registry.takers(ended)), registry.maybe_ready)
        self._ready = {pair: runs.readying(*pair, self._limit) for pair in pairs}
        if self._ready and (ended or others) and not alone:
            # Who holds ready runs must not wait for leased ones: another server may wait for it the other way round.
            self._leased = [runs.locking({*ended, *others})]

    @property
    def questions(self) -> list[Question]:
        """What is to be answered before the turn looks."""
        return [*self._tasks, *self._holding, *self._leased, *self._ready.values()]

    def forget(self, pair: Pair) -> None:
        """Note that the turn changes which runs of a pair are ready."""
        self._forgotten.add(pair)

    def left(self) -> set[Pair]:
        """Return the pairs some of whose ready runs were locked and then not asked for."""
        return {pair for pair, question in self._ready.items() if question.rows}

    def tasks(self, turn: Turn, refs: set[TaskRef]) -> dict[TaskRef, Task]:
        """Return the live tasks that callers point at; missing ones are left out."""
        return tasks.found(self._tasks, refs) if refs <= self._refs else tasks.find_all(turn.connection, refs)

    def holding(self, turn: Turn, task_uids: set[str]) -> dict[str, bool]:
        """Return those of the tasks that have a limit or held runs, by uid whether they have a limit."""
        questions = self._holding
        if not task_uids <= self._eased:
            questions = [runs.holding(task_uids)]
            answer(turn.connection, questions)
        return {uid: bool(limited) for question in questions for uid, limited in question.rows if uid in task_uids}

    def ready(self, turn: Turn, pairs: Sequence[Pair], limit: int) -> dict[Pair, tuple[list[Ready], bool]]:
        """Return the ready runs of each pair, in claim order, and whether those are all.

        Args:
            turn: under way.
            pairs: which.
            limit: how many of each to look at.
        """
        # More can be taken, perhaps, than it seemed.
        known = self._ready.keys() - self._forgotten if limit <= self._limit else set()
        seen = {pair for pair in pairs if pair in known}
        asked = {pair: self._ready.pop(pair) if pair in seen else runs.readying(*pair, limit) for pair in pairs}
        if len(seen) < len(asked):
            answer(turn.connection, [question for pair, question in asked.items() if pair not in seen])
        found = {pair: runs.ready(question) for pair, question in asked.items()}
        return {pair: (rows, len(rows) < (self._limit if pair in seen else limit)) for pair, rows in found.items()}
