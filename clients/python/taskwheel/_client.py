"""The client for callers that block: the coroutines of `AsyncClient`, run without an event loop."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from taskwheel._async_client import AsyncClient
from taskwheel._async_task import AsyncTaskHandle
from taskwheel._coalesce import RunCoalescer
from taskwheel._transport import DEFAULT_TIMEOUT, Metadata, Transport, run_blocking

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]) -> Callable[Concatenate[Any, P], T]:
    """The same method for callers that block."""

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return run_blocking(method(self._core, *args, **kwargs))

    return call


def _blocking_items(
    method: Callable[Concatenate[Any, P], AsyncGenerator[T, None]],
) -> Callable[Concatenate[Any, P], Generator[T, None, None]]:
    """The same method for callers that block, where it yields items."""

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return _drain(method(self._core, *args, **kwargs))

    return call


def _blocking_stream(
    method: Callable[Concatenate[Any, P], Coroutine[Any, Any, AsyncGenerator[T, None]]],
) -> Callable[Concatenate[Any, P], Generator[T, None, None]]:
    """The same method for callers that block, where it answers a stream that stands already."""

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
        return _drain(run_blocking(method(self._core, *args, **kwargs)))

    return call


def _drain(items: Any) -> Generator[Any, None, None]:
    try:
        while True:
            yield run_blocking(anext(items))
    except StopAsyncIteration:
        return
    finally:
        run_blocking(items.aclose())


class _Core(AsyncClient):
    """An AsyncClient whose coroutines never suspend."""

    def __init__(self, address: str | None, **options: Any) -> None:
        super().__init__(address, **options)
        self._transport = Transport(address, **self._options)
        self._coalescer = RunCoalescer(self._transport)


class TaskHandle:
    """One task of a server. Made by Client.task; every method raises NotFound when there is no such task."""

    def __init__(self, core: AsyncTaskHandle) -> None:
        self._core = core

    @property
    def name(self) -> str:
        """The id, full name or uid by which the task is known here."""
        return self._core.name

    run = _blocking(AsyncTaskHandle.run)
    run_with_result = _blocking(AsyncTaskHandle.run_with_result)
    get = _blocking(AsyncTaskHandle.get)
    update = _blocking(AsyncTaskHandle.update)
    pause = _blocking(AsyncTaskHandle.pause)
    resume = _blocking(AsyncTaskHandle.resume)
    delete = _blocking(AsyncTaskHandle.delete)
    rename = _blocking(AsyncTaskHandle.rename)
    preview = _blocking(AsyncTaskHandle.preview)
    backfill = _blocking(AsyncTaskHandle.backfill)
    runs = _blocking_items(AsyncTaskHandle.runs)
    get_task_status = _blocking(AsyncTaskHandle.get_task_status)


class Client:
    """A connection to a taskwheel server. May be used by any number of threads.

    Calls the transport could not deliver are repeated, up to 4 times within a second; all are safe to repeat. Every
    method raises an RpcError of the class that fits, see taskwheel.RpcError. What the methods do, take and raise is
    told at AsyncClient.

    Args:
        address: host and port; default the environment variable TASKWHEEL_ADDRESS, else localhost:7420.
        credentials: of the channel, such as grpc.ssl_channel_credentials(); default none, without TLS.
        server_name: the name in the server's certificate; default the host of the address.
        metadata: sent with each call, such as [("authorization", "Bearer …")], or a function that is asked each time.
        timeout: seconds until a call without a timeout of its own is DeadlineExceeded.
        coalesce: whether runs that several threads start at a time go together, see AsyncClient.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str | None = None,
        metadata: Metadata = (),
        timeout: float = DEFAULT_TIMEOUT,
        coalesce: bool = True,
    ) -> None:
        self._core = _Core(
            address,
            credentials=credentials,
            server_name=server_name,
            metadata=metadata,
            timeout=timeout,
            coalesce=coalesce,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def task(self, name: str) -> TaskHandle:
        """The task of this id, full name or uid, to act on. Nothing is sent yet."""
        return TaskHandle(self._core.task(name))

    create_task = _blocking(AsyncClient.create_task)
    list_tasks = _blocking_items(AsyncClient.list_tasks)
    list_runs = _blocking_items(AsyncClient.list_runs)
    list_events = _blocking_items(AsyncClient.list_events)
    run_many = _blocking(AsyncClient.run_many)
    run_with_result = _blocking(AsyncClient.run_with_result)
    get_run = _blocking(AsyncClient.get_run)
    wait = _blocking(AsyncClient.wait)
    cancel = _blocking(AsyncClient.cancel)
    get_task_status = _blocking(AsyncClient.get_task_status)
    watch_events = _blocking_stream(AsyncClient.watch_events)
    follow_logs = _blocking_items(AsyncClient.follow_logs)
    preview = _blocking(AsyncClient.preview)
    server_info = _blocking(AsyncClient.server_info)
    close = _blocking(AsyncClient.close)
