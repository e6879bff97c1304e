"""What waits for news: one feed per process, on the event loop.

    feed      wakes them after each commit; entered by WatchEvents, WaitTaskRun and log follow
    tail      the newest events of a namespace, read and encoded once for all who watch
    watcher   one subscriber: its place, its pace, its end
    batch     events in a row with their encoded messages
    signals   who waits for a run

The stored events and logs are the truth. What the feed is notified of only wakes it, so that it is all one whether the
news comes from this process or another.
"""

from taskwheel_server.feed.batch import Codec
from taskwheel_server.feed.feed import Feed
from taskwheel_server.feed.signals import Signal

__all__ = ["Codec", "Feed", "Signal"]
