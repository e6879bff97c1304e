"""Takes one driver through one behaviour."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.conformance.driver import Driver, DriverDied
from tests.conformance.matching import at, clipped, differences, filled
from tests.conformance.stage import Refused, Stage
from tests.conformance.table import Behaviour


@dataclass(frozen=True)
class Cell:
    """How one language fared with one behaviour.

    Args:
        verdict: `ok`, `FAIL` or `n/a`.
        why: of the latter two.
    """

    verdict: str
    why: str = ""


def play(behaviour: Behaviour, driver: Driver, stage: Stage, tell: Callable[[str], None]) -> Cell:
    """Do the steps, compare the answers, and leave driver and stage as they were.

    Raises:
        DriverDied: the driver cannot go on.
    """
    variables = {"id": f"t-{uuid.uuid4().hex[:12]}", **stage.variables()}
    try:
        _connect(driver, stage)
        for number, step in enumerate(behaviour.steps, 1):
            verb = step.get("do") or step["runner"]
            args = filled(step.get("args", {}), variables)
            tell(f"    {verb} {clipped(args)}")
            answer = _answer(step, verb, args, driver, stage)
            tell(f"      {clipped(answer)}")
            if "unsupported" in answer:
                return Cell("n/a", answer["unsupported"])
            found = _wrong(step, answer, variables)
            if found:
                return Cell("FAIL", f"step {number}, {verb}: {'; '.join(found)}")
            if step.get("runner") in {"pretend", "skew"}:
                variables |= answer["ok"]
            for name, path in step.get("keep", {}).items():
                variables[name] = at(path, answer["ok"])
        return Cell("ok")
    finally:
        stage.accept()  # what the driver still has to say must find its way
        try:
            driver.ask({"do": "reset"})
        finally:
            stage.reset()


def _connect(driver: Driver, stage: Stage) -> None:
    answer = driver.ask({"do": "connect", "args": {"target": stage.target}})
    if "ok" not in answer:
        raise DriverDied(f"connect: {answer}")


def _answer(step: dict[str, Any], verb: str, args: Any, driver: Driver, stage: Stage) -> dict[str, Any]:
    if "do" in step:
        return driver.ask({"do": verb, "args": args, **({"as": step["as"]} if "as" in step else {})})
    try:
        return {"ok": stage.verb(verb)(**args)}
    except Refused as error:
        return {"error": error.args[0]}


def _wrong(step: dict[str, Any], answer: dict[str, Any], variables: dict[str, Any]) -> list[str]:
    if "error" in step:
        if "error" not in answer:
            return [f"it answered {clipped(answer)}, and had to fail"]
        return list(differences(filled(step["error"], variables), answer["error"], "error"))
    if "error" in answer:
        return [f"it failed: {clipped(answer['error'], 1000)}"]
    if "ok" in step:
        return list(differences(filled(step["ok"], variables), answer["ok"]))
    if step.get("runner") == "until":
        return list(differences({k: v for k, v in filled(step["args"], variables).items() if k != "run"}, answer["ok"]))
    return []
