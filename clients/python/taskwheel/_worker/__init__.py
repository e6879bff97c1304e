"""The worker: handlers, and the stream that brings them runs.

worker runs the reconnect loop over stream, which is one Work stream; executor starts what it brings, as a task of
the loop or in a thread of pool; outbox keeps what is to be sent, and results until they are acknowledged.
"""
