package taskwheel;

import com.google.protobuf.FieldMask;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import taskwheel.v1.BackfillTaskRequest;
import taskwheel.v1.DeleteTaskRequest;
import taskwheel.v1.GetTaskRequest;
import taskwheel.v1.PauseTaskRequest;
import taskwheel.v1.PreviewScheduleRequest;
import taskwheel.v1.PreviewScheduleResponse;
import taskwheel.v1.RenameTaskRequest;
import taskwheel.v1.ResumeTaskRequest;
import taskwheel.v1.RunTaskRequest;
import taskwheel.v1.Task;
import taskwheel.v1.TaskRun;
import taskwheel.v1.TaskServiceGrpc;
import taskwheel.v1.UpdateTaskRequest;
import taskwheel.v1.WaitTaskRunRequest;

/**
 * One task of a server. Made by {@link Client#task}; every method throws {@link RpcException.NotFound} when there is no
 * such task.
 */
public final class TaskHandle {
    /** A backfill inserts up to 10,000 runs before it answers. */
    private static final Duration BACKFILL_TIMEOUT = Duration.ofSeconds(60);

    private static final Duration RESULT_TIMEOUT = Duration.ofSeconds(60);

    private final Client client;
    private final String name;

    TaskHandle(Client client, String name) {
        this.client = client;
        this.name = name;
    }

    /** The id, full name or uid by which the task is known here. */
    public String name() {
        return name;
    }

    /** Start a run with the payload of the task, and answer it as it was admitted. */
    public TaskRun run() {
        return run(RunTaskRequest.newBuilder());
    }

    /**
     * Start a run, and answer it as it was admitted. Runs that concurrent callers start with a payload share a call of
     * the server, see {@link Client.Builder#coalesce}.
     *
     * @param payload what the handler is given, a JSON object, see {@link Json}
     * @throws UnsupportedValueException the payload is not JSON
     */
    public TaskRun run(Map<String, ?> payload) {
        return run(RunTaskRequest.newBuilder().setPayload(Json.toStruct(payload)));
    }

    /** Start a run with a priority, a time, tags and the like; the name is this task's. */
    public TaskRun run(RunTaskRequest.Builder request) {
        return client.run(request.setName(name).build());
    }

    /** As {@link #run(Map)}, without a thread that waits. */
    public CompletableFuture<TaskRun> runAsync(Map<String, ?> payload) {
        return client.runAsync(RunTaskRequest.newBuilder()
                .setName(name)
                .setPayload(Json.toStruct(payload))
                .build());
    }

    /** As {@link #runWithResult(Map, Duration)}, with 60 seconds. */
    public Object runWithResult(Map<String, ?> payload) {
        return runWithResult(payload, RESULT_TIMEOUT);
    }

    /**
     * Run it, wait for its last attempt, and answer what the handler returned.
     *
     * @param payload what the handler is given; null: the payload of the task
     * @param timeout how long to wait
     * @return a JSON value, see {@link Json}
     * @throws RunFailedException it ended otherwise than SUCCEEDED
     * @throws RunNotDoneException the time has passed; the run goes on
     */
    public Object runWithResult(Map<String, ?> payload, Duration timeout) {
        TaskRun run = payload == null ? run() : run(payload);
        WaitTaskRunRequest request = WaitTaskRunRequest.newBuilder()
                .setName(run.getName())
                .setFollowRetries(true)
                .build();
        TaskRun done = client.waitFor(request, timeout);
        if (done.getState() != TaskRun.State.SUCCEEDED) {
            throw new RunFailedException(done);
        }
        return Json.fromValue(done.getResult());
    }

    /** The task as it is now. */
    public Task get() {
        return client.transport.call(
                TaskServiceGrpc.getGetTaskMethod(),
                GetTaskRequest.newBuilder().setName(name).build());
    }

    /**
     * Set fields. Later runs have them; runs there already do not.
     *
     * @param task the fields to set, and the etag if it is to be checked
     * @param paths the fields, such as {@code schedules} or {@code worker.handler}; one that {@code task} lacks is
     *     cleared. None: those that {@code task} has
     * @throws RpcException.Aborted the etag is not current any more
     */
    public Task update(Task task, String... paths) {
        UpdateTaskRequest.Builder request =
                UpdateTaskRequest.newBuilder().setTask(task);
        if (paths.length > 0) {
            request.setUpdateMask(FieldMask.newBuilder().addAllPaths(Arrays.asList(paths)));
        }
        return update(request);
    }

    /** Set fields, or only check them; the name is this task's. As {@link #update(Task, String...)}. */
    public Task update(UpdateTaskRequest.Builder request) {
        request.getTaskBuilder().setName(name);
        return client.transport.call(TaskServiceGrpc.getUpdateTaskMethod(), request.build());
    }

    /** Stop its schedules; its runs go on. The reason is for people. */
    public Task pause(String reason) {
        return client.transport.call(
                TaskServiceGrpc.getPauseTaskMethod(),
                PauseTaskRequest.newBuilder().setName(name).setReason(reason).build());
    }

    /** Start its schedules again, from now on. */
    public Task resume() {
        return client.transport.call(
                TaskServiceGrpc.getResumeTaskMethod(),
                ResumeTaskRequest.newBuilder().setName(name).build());
    }

    /** Delete it. Its PENDING runs are cancelled; the others are kept as long as any. */
    public void delete() {
        delete(DeleteTaskRequest.newBuilder());
    }

    /** Delete it, if the etag is current, or if it is there at all; the name is this task's. */
    public void delete(DeleteTaskRequest.Builder request) {
        client.transport.call(
                TaskServiceGrpc.getDeleteTaskMethod(), request.setName(name).build());
    }

    /**
     * Give it another id. This handle knows it by the old one.
     *
     * @throws RpcException.AlreadyExists there is a task of that id
     */
    public Task rename(String newTaskId) {
        return client.transport.call(
                TaskServiceGrpc.getRenameTaskMethod(),
                RenameTaskRequest.newBuilder()
                        .setName(name)
                        .setNewTaskId(newTaskId)
                        .build());
    }

    /** Its next slots, and what its schedules mean in English. */
    public PreviewScheduleResponse preview(int count) {
        return client.preview(PreviewScheduleRequest.newBuilder()
                .setTask(name)
                .setCount(count)
                .build());
    }

    /** As {@link #backfill(BackfillTaskRequest.Builder)}, with all the runs of a range. */
    public List<TaskRun> backfill(Instant startTime, Instant endTime) {
        return backfill(BackfillTaskRequest.newBuilder()
                .setStartTime(Times.timestamp(startTime))
                .setEndTime(Times.timestamp(endTime)));
    }

    /**
     * Start the runs of all slots from start_time until before end_time, as if they were due now. It may take a minute.
     *
     * @param request the range; the name is this task's, and a request_id is made if there is none
     * @return the runs, with name, uid, state, state_reason, trigger and scheduled_time alone
     * @throws RpcException.InvalidArgument the range has more than 10,000 slots
     * @throws RpcException.FailedPrecondition the task has no schedules
     */
    public List<TaskRun> backfill(BackfillTaskRequest.Builder request) {
        request.setName(name).setRequestId(RequestIds.orMade(request.getRequestId()));
        return client.transport
                .call(TaskServiceGrpc.getBackfillTaskMethod(), request.build(), BACKFILL_TIMEOUT)
                .getTaskRunsList();
    }

    /** The latest status of one of its runs; empty when it has no such run, or it is too old. */
    public Optional<TaskRun> getTaskStatus(String run) {
        return new TaskStatus(client).of(run, name);
    }
}
