"""Who can take work right now: streams with credit and single calls that wait. Owned by the wheel's thread."""

from taskwheel_server.workers.registry import Demand, Registry, Session, Stop, Taker

__all__ = ["Demand", "Registry", "Session", "Stop", "Taker"]
