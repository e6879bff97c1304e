package taskwheel;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import taskwheel.v1.BatchRunTasksRequest;
import taskwheel.v1.BatchRunTasksResponse;
import taskwheel.v1.RunTaskRequest;
import taskwheel.v1.TaskRun;
import taskwheel.v1.TaskServiceGrpc;

/**
 * Starts runs, those of concurrent callers together.
 *
 * <p>One call of RunTask costs client and server several times what an item of BatchRunTasks does. Calls that may share
 * a batch are a <em>lane</em>: those of one namespace that carry the same metadata, so that none goes in another's
 * name. A lane is
 *
 * <ul>
 *   <li>closed: nothing of it is on its way. The next call opens it, and goes at once and alone, as RunTask;
 *   <li>open: something is on its way. Calls wait for it to return and then go together, up to 1,000 runs and 3 MiB at
 *       a time; when none waits, the lane is closed.
 * </ul>
 *
 * <p>So a lone caller waits for nobody, and batches grow with the load. Each call keeps an outcome of its own:
 *
 * <ul>
 *   <li>A batch is refused whole for the fault of one run. Then all its calls go alone, each to its own answer or
 *       error. So does a call whose run a batch does not answer in full: one that is done already, as its request_id
 *       was used before. The request_id that every call has makes that safe, whatever became of the batch.
 *   <li>Only what says nothing about a single run, such as a server that cannot be reached, is the error of all.
 *   <li>A caller that gives up leaves the others alone; what has not been sent by then, is not.
 * </ul>
 *
 * <p>The price: a batch that is slow to return holds up the calls behind it, up to their own deadlines.
 */
final class RunCoalescer {
    private record Lane(String parent, Map<String, String> metadata) {}

    private record Call(RunTaskRequest request, long deadline, CompletableFuture<TaskRun> promise) {
        /** Whether the caller has neither given up nor run out of time. */
        boolean waitedFor() {
            return !promise.isDone() && deadline - System.nanoTime() > 0;
        }

        Duration left() {
            return Duration.ofNanos(deadline - System.nanoTime());
        }
    }

    private final Transport transport;

    /** The calls that wait, by open lane. Guarded by itself. */
    private final Map<Lane, List<Call>> lanes = new HashMap<>();

    RunCoalescer(Transport transport) {
        this.transport = transport;
    }

    /**
     * Starts a run, and answers the message that RunTask would; its error is an RpcException.
     *
     * @param request with payload and request_id; the payload that a task has by default is not in the answer to a
     *     batch
     */
    CompletableFuture<TaskRun> run(RunTaskRequest request) {
        Lane lane = new Lane(parent(request.getName()), transport.metadata());
        long deadline = System.nanoTime() + transport.timeout.toNanos();
        Call call = new Call(request, deadline, new CompletableFuture<>());
        if (!joins(lane, call)) {
            alone(lane, call).whenComplete((run, error) -> sendWaiting(lane));
        }
        return call.promise;
    }

    /** Lets a call wait in its lane; false: the lane was closed, and is open now. */
    private boolean joins(Lane lane, Call call) {
        synchronized (lanes) {
            List<Call> waiting = lanes.get(lane);
            if (waiting == null) {
                lanes.put(lane, new ArrayList<>());
                return false;
            }
            return waiting.add(call);
        }
    }

    /** What waits; if nothing does, the lane is closed. */
    private List<Call> take(Lane lane) {
        synchronized (lanes) {
            List<Call> calls = lanes.remove(lane);
            if (!calls.isEmpty()) {
                lanes.put(lane, new ArrayList<>());
            }
            return calls;
        }
    }

    private CompletableFuture<TaskRun> alone(Lane lane, Call call) {
        return transport
                .callAsync(TaskServiceGrpc.getRunTaskMethod(), call.request, call.left(), lane.metadata)
                .whenComplete((run, error) -> {
                    if (error == null) {
                        call.promise.complete(run);
                    } else {
                        call.promise.completeExceptionally(error);
                    }
                });
    }

    private void sendWaiting(Lane lane) {
        List<Call> calls = take(lane);
        if (calls.isEmpty()) {
            return;
        }
        CompletableFuture<Void> sent = CompletableFuture.completedFuture(null);
        for (List<Call> batch : Batches.of(calls, call -> call.request.getSerializedSize())) {
            sent = sent.thenCompose(before -> send(lane, batch));
        }
        sent.whenComplete((done, error) -> sendWaiting(lane));
    }

    private CompletableFuture<Void> send(Lane lane, List<Call> batch) {
        List<Call> calls = batch.stream().filter(Call::waitedFor).toList();
        if (calls.isEmpty()) {
            return CompletableFuture.completedFuture(null);
        }
        BatchRunTasksRequest.Builder request = BatchRunTasksRequest.newBuilder().setParent(lane.parent);
        calls.forEach(call -> request.addRequests(call.request));
        Duration left = calls.get(calls.size() - 1).left();
        return transport
                .callAsync(TaskServiceGrpc.getBatchRunTasksMethod(), request.build(), left, lane.metadata)
                .handle((answer, error) -> {
                    settle(lane, calls, answer, error);
                    return null;
                });
    }

    private void settle(Lane lane, List<Call> calls, BatchRunTasksResponse answer, Throwable error) {
        if (error instanceof RpcException.Unavailable
                || error instanceof RpcException.DeadlineExceeded
                || error instanceof RpcException.ResourceExhausted) {
            calls.forEach(call -> call.promise.completeExceptionally(((RpcException) error).copy()));
        } else if (error != null || answer.getTaskRunsCount() != calls.size()) {
            calls.forEach(call -> alone(lane, call));
        } else {
            for (int index = 0; index < calls.size(); index++) {
                Call call = calls.get(index);
                TaskRun run = answer.getTaskRuns(index);
                if (lacks(run, call.request)) {
                    alone(lane, call);
                } else {
                    call.promise.complete(run.toBuilder()
                            .setPayload(call.request.getPayload())
                            .build());
                }
            }
        }
    }

    /** The namespace of a task, by the name it is called. */
    private static String parent(String task) {
        if (!task.startsWith("namespaces/")) {
            return "";
        }
        String[] parts = task.split("/", 3);
        return parts[0] + "/" + parts[1];
    }

    /** Whether a run, in the answer to a batch, lacks what RunTask answers and the request does not tell. */
    private static boolean lacks(TaskRun run, RunTaskRequest request) {
        boolean asked = request.getTagsCount() + request.getLabelsCount() > 0;
        return run.getDone() || (asked && run.getTagsCount() + run.getLabelsCount() == 0);
    }
}
