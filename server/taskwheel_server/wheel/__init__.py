"""The wheel: one thread, one transaction a turn; the only place where time and state move.

mailbox   what callers ask for, bounded           commands  what they can ask for
turn      one transaction and what it gathers     outcome   what it hands out after its commit
edits     tasks created, changed, deleted
admit     new runs                                ending    how runs end, and their next attempts
settle    results, renewals, cancellations        logs      lines of runs
timers    runs whose deadline has come            slots     tasks whose slot has come, backfill
tick      both, row by row after a failure
release   held runs                               claim     ready runs to workers
record    events, in order, last of all           sweep     retention and deleted tasks
wheel     the thread: drain, turn, replay by halves, deliver
"""

from taskwheel_server.wheel.wheel import Wheel

__all__ = ["Wheel"]
