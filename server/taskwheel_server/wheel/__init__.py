"""The wheel: one thread, one transaction a turn; the only place where time and state move.

mailbox   what callers ask for, bounded
turn      one transaction and what it gathers
edits     tasks created, changed, deleted
admit     new runs
settle    results, hand-backs, cancellations      leases   renewals, log lines
timers    runs whose deadline has come            slots    tasks whose slot has come, backfill
release   held runs                               claim    ready runs to workers
sweep     retention and deleted tasks
wheel     the thread: drain, turn, replay by halves, deliver
"""

from taskwheel_server.wheel.wheel import Wheel

__all__ = ["Wheel"]
