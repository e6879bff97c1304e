"""What a database must bring: opening, transactions, and hot statements over many rows as fixed text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from sqlalchemy import Connection, Engine, Table
from sqlalchemy.engine import URL

# Reading connections.
READERS = 4

Columns = tuple[str, ...]
Derived = tuple[tuple[str, str], ...]


class StaleTurn(Exception):
    """A fenced write met a row that has moved since this transaction read it: repeat it."""


def reason_of(error: BaseException | None) -> str:
    """Return a failure in the driver's words, in one line."""
    return " ".join(str(getattr(error, "orig", error)).split())


class Channel(Protocol):
    """A connection on which servers tell each other something. Raises the dialect's failures."""

    def wait(self, timeout: float, interrupted: int) -> list[str]:
        """Return what has been told, after `timeout` seconds or as soon as the file `interrupted` can be read."""

    def tell(self, text: str) -> None:
        """Tell all who listen, oneself too."""


class Closeable(Protocol):
    """What is held as long as the server lives."""

    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class Question:
    """A statement whose answer comes along with that of others.

    Args:
        statement: one fixed statement of ours.
        values: what its `?` stand for, in order.

    Attributes:
        rows: the answer, once it has come: of what a transaction begins with, at its beginning; else with the next
            statement that is waited for, at the latest with the commit.
    """

    statement: str
    values: tuple[Any, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batch:
    """A statement that is executed for many rows at a time.

    Args:
        text: as the driver takes it, or what it is made of.
        encoders: of a driver that is given columns instead of rows: one for each column.
        types: of those columns.
        source: the word that goes before them.
    """

    text: str
    encoders: tuple[Callable[[Sequence[Any]], Any], ...] = ()
    types: tuple[str, ...] = ()
    source: str = ""


class Dialect(ABC):
    """One kind of database.

    Statements reach it as PostgreSQL reads them, with `?` for values and `= ANY(?)` for a list: a dialect that says
    something otherwise, or has no need of it (locks of rows), translates.
    """

    name: ClassVar[str]
    """As the URL has it."""
    exclusive: ClassVar[bool]
    """Whether one server at a time can use a database."""
    failures: ClassVar[tuple[type[Exception], ...]]
    """What the driver raises when the database does not answer."""
    conflicts: ClassVar[tuple[type[Exception], ...]] = ()
    """What it raises when another server was faster: the transaction is to be repeated."""

    @abstractmethod
    def check(self, url: URL) -> URL:
        """Return the URL to open, or raise InvalidArgument naming `database_url`."""

    @abstractmethod
    def exists(self, url: URL) -> bool:
        """Tell whether there is such a database: to connect to one that is not there must not make it."""

    @abstractmethod
    def lock(self, url: URL) -> Closeable | None:
        """Keep a second server off a database that stands only one. Raises InvalidArgument or FailedPrecondition."""

    @abstractmethod
    def writer(self, url: URL, *, pooled: bool) -> Engine:
        """Return the engine of the one writing connection: each commit is on the disk before it is acknowledged.

        Args:
            url: of the database.
            pooled: whether a pooler may be between, that gives each transaction another connection.
        """

    @abstractmethod
    def reader(self, url: URL, *, pooled: bool) -> Engine:
        """Return the engine of the READERS reading connections: one snapshot a transaction; they cannot write.

        Args: as for `writer`.
        """

    @abstractmethod
    def begin(self, connection: Connection, questions: Sequence[Question]) -> int | None:
        """Begin the writing transaction, and have `questions` answered.

        Returns:
            The database's instant (µs) if it has a clock of its own.
        """

    @abstractmethod
    def commit(self, connection: Connection) -> None:
        """Commit the writing transaction. Raises StaleTurn, or one of `conflicts`, for what was posted in it."""

    @abstractmethod
    def roll_back(self, connection: Connection) -> None:
        """Roll the writing transaction back."""

    @abstractmethod
    def wait_for_turns(self, driver: Any) -> None:
        """Wait until the writing transactions of other servers have ended, and keep them from beginning others."""

    @abstractmethod
    def tell(self, driver: Any, text: str) -> None:
        """Have all who listen told something when the transaction commits."""

    @abstractmethod
    def interrupt(self, driver: Any) -> None:
        """Make the statement that another thread executes on the driver's connection fail, if there is one."""

    @abstractmethod
    def lock_schema(self, connection: Connection) -> None:
        """Keep every other server from changing the schema until the writing transaction ends."""

    @abstractmethod
    def execute(self, driver: Any, statement: str, values: Sequence[Any]) -> Any:
        """Execute one statement on the driver's connection; return its cursor."""

    @abstractmethod
    def execute_batch(self, driver: Any, batch: Batch, rows: Sequence[Sequence[Any]]) -> Any:
        """Execute a statement for many rows on the driver's connection; return a cursor that knows how many matched."""

    @abstractmethod
    def post(self, connection: Connection, statement: str | Batch, values: Sequence[Any], expected: int | None) -> None:
        """Execute a statement of the writing transaction whose answer need not be waited for.

        Args:
            connection: in its writing transaction.
            statement: for one row, or for many.
            values: of the row, or the rows.
            expected: how many rows it must change, else the transaction ends with StaleTurn, or one of `conflicts`: at
                once, or at any later statement, at the latest instead of the commit.
        """

    @abstractmethod
    def ask(self, connection: Connection, question: Question) -> None:
        """Have a question answered in the writing transaction, whose answer need not be waited for."""

    @abstractmethod
    def await_answers(self, connection: Connection) -> None:
        """Wait for the answers to all that was posted and asked."""

    @abstractmethod
    def stream(self, driver: Any, statement: str, values: Sequence[Any], chunk: int) -> Iterator[Sequence[Any]]:
        """Yield the rows of a statement, at most `chunk` read ahead."""

    @abstractmethod
    def insert(self, table: Table, columns: Columns, *, free: bool = False, derived: Derived = ()) -> Batch:
        """Return the statement that inserts rows.

        Args:
            table: where.
            columns: that each row has.
            free: no unique key holds any of them: nothing is passed over.
            derived: columns that get something other than the row's value: an expression with the row's values by
                number, the first one `{0}`.
        """

    @abstractmethod
    def update(self, table: Table, columns: Columns, keys: Columns, guard: str) -> Batch:
        """Return the statement that sets `columns` where `keys` match and `guard` holds."""

    @abstractmethod
    def delete(self, table: Table, keys: Columns) -> Batch:
        """Return the statement that deletes where `keys` match."""


class SharedDialect(Dialect):
    """A kind of database that any number of servers use at once, and through which they tell each other things."""

    exclusive = False

    @abstractmethod
    def listen(self, url: URL) -> AbstractContextManager[Channel]:
        """Listen to what is told, on a connection of its own."""
