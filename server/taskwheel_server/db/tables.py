"""The schema. Columns are named as the fields of `model`; times are µs since the epoch UTC, enums are their numbers.

No foreign keys on runs: they outlive their task, and retention deletes in slices.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    func,
    text,
)

from taskwheel_server.db.dialect.types import string

# One more with each change; `migrations` leads there.
SCHEMA_VERSION = 3
# Rows that are written again and again: pages with room for the next state, and a vacuum before half of it is dead.
_BUSY = {"fillfactor": 80, "autovacuum_vacuum_scale_factor": 0.02, "autovacuum_analyze_scale_factor": 0.02}

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("key", string(64), primary_key=True),
    Column("value", string(), nullable=False),
)

namespaces = Table(
    "namespaces",
    metadata,
    Column("name", string(63), primary_key=True),
    # The number of the newest event; taken last in a turn, it is the ordering lock.
    Column("sequence", BigInteger, nullable=False, server_default="0"),
    # The newest event that retention has deleted.
    Column("compacted_sequence", BigInteger, nullable=False, server_default="0"),
    Column("create_time", BigInteger, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("uid", string(36), primary_key=True),
    Column("namespace", string(63), nullable=False),
    Column("task_id", string(128), nullable=False),
    Column("handler", string(128), nullable=False),
    Column("display_name", string(), nullable=False),
    Column("description", string(), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("schedules", string(), nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("pause_reason", string(), nullable=False),
    Column("pause_actor", string(), nullable=False),
    Column("pause_time", BigInteger),
    Column("payload", LargeBinary),
    Column("priority", Integer, nullable=False),
    Column("tags", string(), nullable=False),
    Column("labels", string(), nullable=False),
    Column("retry_policy", string(), nullable=False),
    Column("overlap_policy", SmallInteger, nullable=False),
    Column("misfire_mode", SmallInteger, nullable=False),
    Column("catchup_window", BigInteger, nullable=False),
    Column("max_catchup_runs", Integer, nullable=False),
    Column("run_timeout", BigInteger),
    Column("start_deadline", BigInteger),
    Column("max_concurrent_runs", Integer, nullable=False),
    Column("running", Integer, nullable=False),
    Column("anchor_time", BigInteger, nullable=False),
    Column("next_time", BigInteger),
    Column("creator_application", string(), nullable=False),
    Column("creator_user", string(), nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Column("delete_time", BigInteger),
    Column("request_id", string(128)),
    Column("request_digest", LargeBinary),
    postgresql_with=_BUSY,
)
# For the hint when a name is not found: the same but for its case.
Index("tasks_folded_id", tasks.c.namespace, func.lower(tasks.c.task_id))
_live = text("delete_time IS NULL")
Index("tasks_task_id", tasks.c.namespace, tasks.c.task_id, unique=True, sqlite_where=_live, postgresql_where=_live)
_due = text("next_time IS NOT NULL")
Index("tasks_next_time", tasks.c.next_time, tasks.c.uid, sqlite_where=_due, postgresql_where=_due)
_dead = text("delete_time IS NOT NULL")
Index("tasks_deleted", tasks.c.delete_time, sqlite_where=_dead, postgresql_where=_dead)
_requested = text("request_id IS NOT NULL")
Index(
    "tasks_request_id",
    tasks.c.namespace,
    tasks.c.request_id,
    unique=True,
    sqlite_where=_requested,
    postgresql_where=_requested,
)

runs = Table(
    "runs",
    metadata,
    Column("uid", string(36), primary_key=True),
    Column("namespace", string(63), nullable=False),
    Column("task_uid", string(36), nullable=False),
    Column("task_id", string(128), nullable=False),
    Column("handler", string(128), nullable=False),
    Column("state", SmallInteger, nullable=False),
    Column("state_reason", string()),
    Column("state_change_time", BigInteger, nullable=False),
    Column("trigger", SmallInteger, nullable=False),
    Column("scheduled_time", BigInteger),
    Column("backfill", string(128), nullable=False, server_default=""),
    Column("first_scheduled_time", BigInteger),
    Column("skipped_count", BigInteger, nullable=False, server_default="0"),
    Column("schedule_time", BigInteger, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("start_time", BigInteger),
    Column("end_time", BigInteger),
    Column("update_time", BigInteger, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("root_run", string(36)),
    Column("retry_for_runs", string(), nullable=False, server_default=""),
    Column("retried_by_run", string(36)),
    Column("payload", LargeBinary),
    Column("result", LargeBinary),
    Column("error_type", string()),
    Column("error_name", string()),
    Column("error_message", string()),
    Column("error_stack", string()),
    Column("tags", string(), nullable=False, server_default=""),
    Column("labels", string(), nullable=False, server_default=""),
    Column("creator_application", string(), nullable=False, server_default=""),
    Column("creator_user", string(), nullable=False, server_default=""),
    Column("worker", string()),
    Column("progress_ratio", Double),
    Column("progress_message", string()),
    Column("log_count", BigInteger, nullable=False, server_default="0"),
    Column("log_bytes", BigInteger, nullable=False, server_default="0"),
    Column("request_id", string(128)),
    Column("request_digest", LargeBinary),
    Column("run_timeout", BigInteger),
    Column("start_deadline", BigInteger),
    Column("retry_policy", string(), nullable=False, server_default=""),
    Column("lease_token", string(36)),
    Column("lease_expire_time", BigInteger),
    Column("deadline", BigInteger),
    postgresql_with=_BUSY,
)
# The claim reads this one in order. Its predicate must be a literal for the planner to use it.
_ready = text("state = 3")
Index(
    "runs_ready",
    runs.c.namespace,
    runs.c.handler,
    runs.c.priority.desc(),
    runs.c.schedule_time,
    runs.c.uid,
    sqlite_where=_ready,
    postgresql_where=_ready,
)
_held = text("state = 2")
# Naming the column that the predicate fixes lets the planner see that this index is narrower than `runs_pending`.
Index(
    "runs_held",
    runs.c.task_uid,
    runs.c.state,
    runs.c.state_reason,
    runs.c.priority.desc(),
    runs.c.schedule_time,
    runs.c.uid,
    sqlite_where=_held,
    postgresql_where=_held,
)
_timed = text("deadline IS NOT NULL")
Index("runs_deadline", runs.c.deadline, sqlite_where=_timed, postgresql_where=_timed)
# A run's way through its life, in three indexes: on PostgreSQL an update writes into every index that holds the row,
# changed or not, and an index that meets one row again and again costs several times as much to keep in order.
_pending = text("state <= 3")
Index("runs_pending", runs.c.task_uid, runs.c.uid, sqlite_where=_pending, postgresql_where=_pending)
_leased = text("state IN (4, 5)")
Index("runs_leased", runs.c.task_uid, runs.c.uid, sqlite_where=_leased, postgresql_where=_leased)
_ended = text("end_time IS NOT NULL")
Index("runs_end_time", runs.c.end_time, sqlite_where=_ended, postgresql_where=_ended)
Index("runs_ended", runs.c.task_uid, runs.c.uid, sqlite_where=_ended, postgresql_where=_ended)
_slot = text("attempt = 1 AND scheduled_time IS NOT NULL")
Index(
    "runs_slot",
    runs.c.task_uid,
    runs.c.scheduled_time,
    runs.c.backfill,
    unique=True,
    sqlite_where=_slot,
    postgresql_where=_slot,
)

# Whose run a request id has brought about: here it is written once, an index of `runs` would meet it again and again.
requests = Table(
    "requests",
    metadata,
    Column("namespace", string(63), primary_key=True),
    Column("request_id", string(128), primary_key=True),
    Column("run_uid", string(36), nullable=False),
    sqlite_with_rowid=False,
)

# Tags (key '') and labels of tasks and runs, for filters only: the rows themselves carry them as JSON.
labels = Table(
    "labels",
    metadata,
    Column("key", string(64), primary_key=True),
    Column("value", string(256), primary_key=True),
    Column("owner", string(36), primary_key=True),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    metadata,
    Column("namespace", string(63), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("type", SmallInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("run_uid", string(36)),
    Column("task_uid", string(36)),
    Column("reason", string()),
    Column("worker", string()),
    Column("detail", string()),
    sqlite_with_rowid=False,
)

logs = Table(
    "logs",
    metadata,
    Column("run_uid", string(36), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("stream", SmallInteger, nullable=False),
    Column("message", string(), nullable=False),
    Column("fields", LargeBinary),
    sqlite_with_rowid=False,
)
