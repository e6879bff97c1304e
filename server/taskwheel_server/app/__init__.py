"""The process: settings, start-up, wiring and drain.

settings   what an operator decides          logs       how the server speaks
server     everything, started and stopped   watchdog   tells of a turn that hangs
serve      until a signal
"""

from taskwheel_server.app.serve import serve
from taskwheel_server.app.server import Server
from taskwheel_server.app.settings import Settings

__all__ = ["Server", "Settings", "serve"]
