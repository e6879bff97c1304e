"""The command line, `taskwheel`. What a command needs is imported when it runs."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command, and exit with its code; see taskwheel.cli.exits.

    Args:
        arguments: what follows the name of the program; default that of the process.
    """
    # Read when the library loads: it would say in lines of its own what we say in ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from taskwheel.cli.app import app

    try:
        app(arguments, prog_name="taskwheel")
    except Exception as error:
        from taskwheel import Error
        from taskwheel.cli import exits

        if not isinstance(error, Error):
            raise
        exits.tell(error)
        sys.exit(exits.exit_code(error))
    sys.exit(0)
