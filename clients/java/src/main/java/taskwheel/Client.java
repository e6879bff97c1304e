package taskwheel;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import taskwheel.v1.AdminServiceGrpc;
import taskwheel.v1.BatchRunTasksRequest;
import taskwheel.v1.CancelTaskRunRequest;
import taskwheel.v1.CreateTaskRequest;
import taskwheel.v1.Event;
import taskwheel.v1.EventServiceGrpc;
import taskwheel.v1.GetServerInfoRequest;
import taskwheel.v1.GetServerInfoResponse;
import taskwheel.v1.GetTaskRunRequest;
import taskwheel.v1.ListEventsRequest;
import taskwheel.v1.ListEventsResponse;
import taskwheel.v1.ListTaskRunsRequest;
import taskwheel.v1.ListTaskRunsResponse;
import taskwheel.v1.ListTasksRequest;
import taskwheel.v1.ListTasksResponse;
import taskwheel.v1.LogEntry;
import taskwheel.v1.PreviewScheduleRequest;
import taskwheel.v1.PreviewScheduleResponse;
import taskwheel.v1.RunTaskRequest;
import taskwheel.v1.StreamTaskRunLogsRequest;
import taskwheel.v1.Task;
import taskwheel.v1.TaskRun;
import taskwheel.v1.TaskRunServiceGrpc;
import taskwheel.v1.TaskServiceGrpc;
import taskwheel.v1.WaitTaskRunRequest;
import taskwheel.v1.WatchEventsRequest;
import taskwheel.v1.WorkerTarget;

/**
 * A connection to a taskwheel server. May be used by any number of threads.
 *
 * <p>Calls the transport could not deliver are repeated, up to 4 times within a second; all are safe to repeat, those
 * that start something by a request_id, which is made where none is given. Every method throws an {@link RpcException}
 * of the class that fits: {@link RpcException.DeadlineExceeded} after the time that a call may take, 10 seconds unless
 * the builder says otherwise. When the calling thread is interrupted, that is an RpcException of code CANCELLED, and
 * the thread stays interrupted.
 */
public final class Client implements AutoCloseable {
    private static final Duration BATCH_TIMEOUT = Duration.ofSeconds(30);

    /** How long one WaitTaskRun waits. Shorter than what proxies allow an idle call. */
    private static final Duration WAIT = Duration.ofSeconds(30);

    final Transport transport;
    private final RunCoalescer coalescer;
    private final boolean coalesce;

    private Client(Builder builder) {
        transport = new Transport(builder, builder.timeout);
        coalescer = new RunCoalescer(transport);
        coalesce = builder.coalesce;
    }

    /** A client of the server at TASKWHEEL_ADDRESS, an environment variable, else at localhost:7420; without TLS. */
    public static Client connect() {
        return connect(ConnectionBuilder.defaultAddress());
    }

    /** A client of the server at an address, such as {@code localhost:7420}; without TLS. */
    public static Client connect(String address) {
        return builder(address).build();
    }

    /** A builder of a client of the server at an address. */
    public static Builder builder(String address) {
        return new Builder(address);
    }

    /** What a client may be told. */
    public static final class Builder extends ConnectionBuilder<Builder> {
        private Duration timeout = Duration.ofSeconds(10);
        private boolean coalesce = true;

        private Builder(String address) {
            super(address);
        }

        /** How long a call without a time of its own may take. Default: 10 seconds. */
        public Builder timeout(Duration timeout) {
            this.timeout = timeout;
            return this;
        }

        /**
         * Whether runs that are started with a payload while others are on their way go together, in one BatchRunTasks,
         * as soon as those are answered. Each call keeps its own answer, error and deadline, and one that finds nothing
         * on its way goes at once. Default: true.
         */
        public Builder coalesce(boolean coalesce) {
            this.coalesce = coalesce;
            return this;
        }

        /** The client. Nothing is sent yet. */
        public Client build() {
            return new Client(this);
        }

        @Override
        Builder self() {
            return this;
        }
    }

    /** End the connection. Calls under way throw {@link RpcException.Unavailable}. */
    @Override
    public void close() {
        transport.close();
    }

    /** The task of this id, full name or uid, to act on. Nothing is sent yet. */
    public TaskHandle task(String name) {
        return new TaskHandle(this, name);
    }

    /**
     * Create a task that runs on demand.
     *
     * @param taskId 1 to 128 letters, digits, {@code _} or {@code -}
     * @param handler the name of the handler that works its runs
     * @throws RpcException.AlreadyExists there is a task of this id
     */
    public Task createTask(String taskId, String handler) {
        WorkerTarget worker = WorkerTarget.newBuilder().setHandler(handler).build();
        return createTask(taskId, Task.newBuilder().setWorker(worker).build());
    }

    /** Create a task with these fields; the worker is required. As {@link #createTask(String, String)}. */
    public Task createTask(String taskId, Task task) {
        return createTask(
                CreateTaskRequest.newBuilder().setTaskId(taskId).setTask(task).build());
    }

    /** Create a task. A request_id is made if there is none. */
    public Task createTask(CreateTaskRequest request) {
        return transport.call(
                TaskServiceGrpc.getCreateTaskMethod(),
                request.toBuilder()
                        .setRequestId(RequestIds.orMade(request.getRequestId()))
                        .build());
    }

    /** All tasks that the request matches, newest first by default, asked for page by page as they are read. */
    public Iterable<Task> listTasks(ListTasksRequest request) {
        return () -> new Pages<>(
                token -> transport.call(
                        TaskServiceGrpc.getListTasksMethod(),
                        request.toBuilder().setPageToken(token).build()),
                ListTasksResponse::getTasksList,
                ListTasksResponse::getNextPageToken);
    }

    /** All runs that the request matches, such as by a filter; as {@link #listTasks}. */
    public Iterable<TaskRun> listRuns(ListTaskRunsRequest request) {
        return () -> new Pages<>(
                token -> transport.call(
                        TaskRunServiceGrpc.getListTaskRunsMethod(),
                        request.toBuilder().setPageToken(token).build()),
                ListTaskRunsResponse::getTaskRunsList,
                ListTaskRunsResponse::getNextPageToken);
    }

    /** All events that are kept and the request matches; as {@link #listTasks}. */
    public Iterable<Event> listEvents(ListEventsRequest request) {
        return () -> new Pages<>(
                token -> transport.call(
                        EventServiceGrpc.getListEventsMethod(),
                        request.toBuilder().setPageToken(token).build()),
                ListEventsResponse::getEventsList,
                ListEventsResponse::getNextPageToken);
    }

    /**
     * Start a run of a task, and answer it as it was admitted; a request_id is made if there is none.
     *
     * @throws RpcException.AlreadyExists the request_id was used with another task or payload
     */
    public TaskRun run(RunTaskRequest request) {
        RunTaskRequest whole = whole(request);
        if (coalesces(whole)) {
            return Promises.await(coalescer.run(whole), transport.timeout);
        }
        return transport.call(TaskServiceGrpc.getRunTaskMethod(), whole);
    }

    /** As {@link #run(RunTaskRequest)}, without a thread that waits; the future's error is the RpcException. */
    public CompletableFuture<TaskRun> runAsync(RunTaskRequest request) {
        RunTaskRequest whole = whole(request);
        if (coalesces(whole)) {
            return Promises.within(coalescer.run(whole), transport.timeout);
        }
        return transport.callAsync(
                TaskServiceGrpc.getRunTaskMethod(), whole, transport.timeout, transport.metadata());
    }

    private boolean coalesces(RunTaskRequest request) {
        return coalesce && request.hasPayload() && !request.getValidateOnly();
    }

    private static RunTaskRequest whole(RunTaskRequest request) {
        return request.toBuilder()
                .setRequestId(RequestIds.orMade(request.getRequestId()))
                .build();
    }

    /**
     * Start several runs, of one task or several, and answer them in the same order, without payload.
     *
     * <p>Up to 1,000 runs and 3 MiB go into one transaction, which may take 30 seconds; more are split, and then
     * earlier ones stand when a later one is at fault.
     */
    public List<TaskRun> runMany(List<RunTaskRequest> requests) {
        List<RunTaskRequest> whole = requests.stream().map(Client::whole).toList();
        List<TaskRun> runs = new ArrayList<>(whole.size());
        for (List<RunTaskRequest> batch : Batches.of(whole, RunTaskRequest::getSerializedSize)) {
            BatchRunTasksRequest request =
                    BatchRunTasksRequest.newBuilder().addAllRequests(batch).build();
            runs.addAll(transport
                    .call(TaskServiceGrpc.getBatchRunTasksMethod(), request, BATCH_TIMEOUT)
                    .getTaskRunsList());
        }
        return runs;
    }

    /** Run a task, and answer what the handler returned; as {@link TaskHandle#runWithResult(Map)}. */
    public Object runWithResult(String task, Map<String, ?> payload) {
        return task(task).runWithResult(payload);
    }

    /**
     * A run as it is now, known by its name or uid.
     *
     * @throws RpcException.NotFound there is none, or it is no longer kept
     */
    public TaskRun getRun(String run) {
        return getRun(GetTaskRunRequest.newBuilder().setName(run).build());
    }

    /** A run as it is now, or its last attempt; as {@link #getRun(String)}. */
    public TaskRun getRun(GetTaskRunRequest request) {
        return transport.call(TaskRunServiceGrpc.getGetTaskRunMethod(), request);
    }

    /**
     * A run once it is done, however it ended; a restart of the server meanwhile is waited out. A run that is RETRIED
     * is done.
     *
     * @param run its name or uid
     * @param timeout how long to wait
     * @throws RunNotDoneException the time has passed; the run goes on
     */
    public TaskRun waitFor(String run, Duration timeout) {
        return waitFor(WaitTaskRunRequest.newBuilder().setName(run).build(), timeout);
    }

    /** A run once it is done, or its last attempt; as {@link #waitFor(String, Duration)}. */
    public TaskRun waitFor(WaitTaskRunRequest request, Duration timeout) {
        long end = System.nanoTime() + timeout.toNanos();
        Patience patience = new Patience(transport);
        while (true) {
            Duration left = Duration.ofNanos(Math.max(0, Math.min(WAIT.toNanos(), end - System.nanoTime())));
            try {
                TaskRun run = transport.call(
                        TaskRunServiceGrpc.getWaitTaskRunMethod(),
                        request.toBuilder().setTimeout(Times.duration(left)).build(),
                        left.plus(transport.timeout));
                patience.answered();
                if (run.getDone()) {
                    return run;
                }
                if (end - System.nanoTime() <= 0) {
                    throw new RunNotDoneException(run);
                }
            } catch (RpcException.Unavailable error) {
                Promises.sleep(patience.after(error, end));
            }
        }
    }

    /** Cancel a run, known by its name or uid: for certain if it is PENDING, else by asking its worker. */
    public TaskRun cancel(String run) {
        return cancel(CancelTaskRunRequest.newBuilder().setName(run).build());
    }

    /**
     * Cancel a run.
     *
     * @throws RpcException.FailedPrecondition it has ended otherwise, or it has started and pending_only is set
     */
    public TaskRun cancel(CancelTaskRunRequest request) {
        return transport.call(TaskRunServiceGrpc.getCancelTaskRunMethod(), request);
    }

    /**
     * The latest status of what was triggered, its retries followed; empty when it is unknown, or older than runs are
     * kept, 7 days.
     *
     * @param id the uid or name of a run; or the id, uid or name of a task, for its latest run
     */
    public Optional<TaskRun> getTaskStatus(String id) {
        return new TaskStatus(this).of(id, "");
    }

    /**
     * Events as they happen, in order and each once. The call answers once the watch stands, so that nothing done after
     * it is missed.
     *
     * @param request which events, and after which sequence: default from now on, 0 with the oldest event that is kept
     * @throws RpcException.OutOfRange events after after_sequence are no longer kept, or it lies ahead
     */
    public Subscription<Event> watchEvents(WatchEventsRequest request) {
        return new Subscription<>(transport, Cursor.events(request)).begun();
    }

    /** What a run wrote and, until it is done, what it writes. */
    public Subscription<LogEntry> followLogs(String run) {
        return followLogs(StreamTaskRunLogsRequest.newBuilder()
                .setName(run)
                .setFollow(true)
                .build());
    }

    /** What a run wrote, from a sequence or a level on; the request says whether to follow what it writes. */
    public Subscription<LogEntry> followLogs(StreamTaskRunLogsRequest request) {
        return new Subscription<>(transport, Cursor.logs(request));
    }

    /** The next slots of a schedule that is not stored, or of a task, and what it means in English. */
    public PreviewScheduleResponse preview(PreviewScheduleRequest request) {
        return transport.call(TaskServiceGrpc.getPreviewScheduleMethod(), request);
    }

    /** What the server is and what it allows. */
    public GetServerInfoResponse serverInfo() {
        return transport.call(AdminServiceGrpc.getGetServerInfoMethod(), GetServerInfoRequest.getDefaultInstance());
    }
}
