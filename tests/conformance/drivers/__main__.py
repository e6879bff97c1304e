"""The driver of Python: see README.md. `python -m tests.conformance.drivers`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from tests.conformance.drivers.answers import error_of, json_of
from tests.conformance.drivers.verbs import Unsupported, Verbs

# A line is a step with its payloads.
_MAX_LINE = 64 * 2**20


async def _answer(verbs: Verbs, step: dict[str, Any]) -> dict[str, Any]:
    verb = getattr(verbs, step["do"], None)
    if verb is None:
        return {"unsupported": f"no verb {step['do']}"}
    try:
        return {"ok": json_of(await verb(**step.get("args", {})))}
    except Unsupported as why:
        return {"unsupported": str(why)}
    except Exception as error:  # noqa: BLE001  # the runner judges it
        return {"error": error_of(error)}


async def main() -> None:
    """Answer line after line until the input ends."""
    reader = asyncio.StreamReader(limit=_MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    verbs = Verbs()
    await verbs.connect(**json.loads(await reader.readline()))
    _write({"ok": {"language": "python"}})
    while line := await reader.readline():
        step = json.loads(line)
        if name := step.get("as"):
            verbs.begin(name, _answer(verbs, step))
            _write({"ok": None})
        elif step["do"] == "join":
            _write(await verbs.ended(**step["args"]))
        else:
            _write(await _answer(verbs, step))
    await verbs.reset()


def _write(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
