"""The process: settings, start-up, wiring and drain.

settings   what an operator decides          logs       how the server speaks
server     everything, started and stopped   watchdog   tells of a turn that hangs
serve      until a signal
"""

import os

# Read when the library loads: it would say in its own lines what we say in ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from taskwheel_server.app.serve import serve
from taskwheel_server.app.server import Server
from taskwheel_server.app.settings import Settings

__all__ = ["Server", "Settings", "serve"]
