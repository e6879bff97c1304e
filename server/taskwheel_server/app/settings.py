"""What an operator decides, by flag or by variable of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from taskwheel_server.clock import DAY, HOUR, MINUTE, SECOND
from taskwheel_server.errors import InvalidArgument, clip

DEFAULT_LISTEN = "127.0.0.1:7420"
DEFAULT_DATABASE_URL = "sqlite:///taskwheel.db"
DEFAULT_LEASE = "30s"
# Shorter ones would be lost to an ordinary hiccup of the network.
MIN_LEASE = SECOND
MAX_LEASE = HOUR
RETENTION = 7 * DAY

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)?")
_UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": MINUTE, "h": HOUR}


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a server.

    Args:
        listen: `HOST:PORT` of the API; port 0 takes a free one.
        database_url: SQLAlchemy URL, such as `sqlite:///taskwheel.db` or `postgresql+psycopg://user@host/taskwheel`.
        direct_database_url: the same PostgreSQL database, to hear other servers, where `database_url` goes through a
            pooler in transaction mode; empty: it does not.
        lease: how long a lease lasts unless it is renewed, µs.
        tls_cert: file of the certificate, PEM; with it the API is served with TLS.
        tls_key: file of the certificate's key, PEM.
        tls_client_ca: file of the CAs whose certificates callers must have, PEM; empty: callers need none.
        retention: how long ended runs, their logs and events are kept, µs.
    """

    listen: str = DEFAULT_LISTEN
    database_url: str = DEFAULT_DATABASE_URL
    direct_database_url: str = ""
    lease: int = 30 * SECOND
    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    retention: int = RETENTION

    @classmethod
    def read(cls, environment: Mapping[str, str], **flags: str | None) -> Settings:
        """Return the settings of the flags, else of TASKWHEEL_* variables, else the defaults.

        Raises:
            InvalidArgument: a value cannot be read; the field is the flag's name.
        """

        def given(name: str, default: str = "") -> str:
            flag = flags.get(name)
            # An empty flag is a variable that somebody forgot to set: never a reason to start on another database.
            return (environment.get(f"TASKWHEEL_{name.upper()}") or default) if flag is None else flag

        return cls(
            listen=given("listen", DEFAULT_LISTEN),
            database_url=given("database_url", DEFAULT_DATABASE_URL),
            direct_database_url=given("direct_database_url"),
            lease=_lease(given("lease", DEFAULT_LEASE)),
            tls_cert=given("tls_cert"),
            tls_key=given("tls_key"),
            tls_client_ca=given("tls_client_ca"),
        )


def _lease(text: str) -> int:
    match = _DURATION.fullmatch(text)
    if not match:
        raise InvalidArgument("lease", f"must be a duration such as 30s, 500ms or 2m: '{clip(text)}'")
    lease = round(float(match[1]) * _UNITS[match[2] or "s"])
    if not MIN_LEASE <= lease <= MAX_LEASE:
        raise InvalidArgument("lease", "must be between 1s and 1h")
    return lease
