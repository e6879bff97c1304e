"""How the server speaks: a line a fact on standard error, JSON unless a person watches."""

from __future__ import annotations

import logging
import sys

import structlog


def configure() -> None:
    """Set up structlog for the process."""
    person = sys.stderr.isatty()
    processors: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if person:
        # Its own tracebacks show local variables, and with them payloads.
        processors.append(structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=processors,
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # A connection that broke is told of by us; the library's traceback would come between the lines.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
