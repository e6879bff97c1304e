package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import taskwheel.v1.CancelTaskRunRequest;
import taskwheel.v1.ListTaskRunsRequest;
import taskwheel.v1.RunTaskRequest;
import taskwheel.v1.Task;
import taskwheel.v1.TaskRun;

/** The client at a live server. */
@Timeout(60)
class ClientTest {
    private Client client;
    private String id;

    @BeforeEach
    void connect() throws IOException {
        client = Client.connect(LiveServer.shared().address);
        id = LiveServer.freshTask(client);
    }

    @AfterEach
    void close() {
        client.close();
    }

    @Test
    void aTaskIsKnownByIdNameAndUid() {
        Task task = client.task(id).get();
        for (String name : List.of("tasks/" + id, task.getName(), task.getUid())) {
            assertEquals(task, client.task(name).get());
        }
        client.task(id).rename(id + "-2");
        assertThrows(RpcException.NotFound.class, () -> client.task(id).get());
        client.task(id + "-2").delete();
    }

    @Test
    void anUpdateSetsWhatItNames() {
        Task task = client.task(id).update(Task.newBuilder().setPriority(5).build(), "priority", "description");
        assertEquals(5, task.getPriority());
        assertEquals(id, task.getWorker().getHandler());
        RpcException.Aborted stale = assertThrows(
                RpcException.Aborted.class,
                () -> client.task(id).update(Task.newBuilder().setEtag("\"old\"").setPriority(6).build()));
        assertEquals("ETAG_MISMATCH", stale.reason());
    }

    @Test
    void aRunIsAdmittedPendingAndKnownByItsUid() {
        TaskRun run = client.task(id).run(Map.of("n", 1));
        assertEquals(TaskRun.State.PENDING, run.getState());
        assertEquals(Map.of("n", 1L), Json.fromStruct(run.getPayload()));
        assertEquals(run.getName(), client.getRun(run.getUid()).getName());
    }

    @Test
    void theSameRequestIdIsTheSameRunAndAnotherPayloadIsRefused() {
        RunTaskRequest request = RunTaskRequest.newBuilder()
                .setName(id)
                .setPayload(Json.toStruct(Map.of("n", 1)))
                .setRequestId(id)
                .build();
        assertEquals(client.run(request).getUid(), client.run(request).getUid());
        RunTaskRequest other =
                request.toBuilder().setPayload(Json.toStruct(Map.of("n", 2))).build();
        RpcException.AlreadyExists reused =
                assertThrows(RpcException.AlreadyExists.class, () -> client.run(other));
        assertEquals("REQUEST_ID_REUSED", reused.reason());
    }

    @Test
    void concurrentRunsEachGetTheirOwn() {
        List<CompletableFuture<TaskRun>> promises = new ArrayList<>();
        for (int index = 0; index < 100; index++) {
            promises.add(client.task(id).runAsync(Map.of("n", index)));
        }
        Set<String> names = new HashSet<>();
        for (int index = 0; index < 100; index++) {
            TaskRun run = promises.get(index).join();
            assertEquals(Map.of("n", (long) index), Json.fromStruct(run.getPayload()));
            names.add(run.getName());
        }
        assertEquals(100, names.size());
    }

    @Test
    void aRunOfNoTaskIsNotFoundWhetherItGoesAloneOrWithOthers() {
        List<CompletableFuture<TaskRun>> promises = new ArrayList<>();
        for (int index = 0; index < 10; index++) {
            promises.add(client.task(index == 7 ? "no-such-task" : id).runAsync(Map.of("n", index)));
        }
        ExecutionException failed = assertThrows(ExecutionException.class, () -> promises.get(7).get());
        RpcException.NotFound missing = assertInstanceOf(RpcException.NotFound.class, failed.getCause());
        assertEquals("TASK_NOT_FOUND", missing.reason());
        promises.remove(7);
        promises.forEach(CompletableFuture::join);
    }

    @Test
    void aWaitThatEndsTellsThatTheRunGoesOn() {
        TaskRun run = client.task(id).run();
        RunNotDoneException late = assertThrows(
                RunNotDoneException.class, () -> client.waitFor(run.getName(), Duration.ofMillis(20)));
        assertEquals(run.getName(), late.run().getName());
    }

    @Test
    void aPendingRunIsCancelledOnceAndForAll() {
        TaskRun run = client.task(id).run();
        TaskRun cancelled = client.cancel(CancelTaskRunRequest.newBuilder()
                .setName(run.getName())
                .setReason("not needed")
                .build());
        assertEquals("not needed", cancelled.getStateReason());
        assertEquals(cancelled, client.waitFor(run.getName(), Duration.ofSeconds(10)));
    }

    @Test
    void aListIsReadOverItsPages() {
        List<TaskRun> runs = client.runMany(
                List.of(RunTaskRequest.newBuilder().setName(id).build(),
                        RunTaskRequest.newBuilder().setName(id).build(),
                        RunTaskRequest.newBuilder().setName(id).build()));
        List<String> listed = new ArrayList<>();
        ListTaskRunsRequest request = ListTaskRunsRequest.newBuilder()
                .setFilter("task = " + id)
                .setOrderBy("create_time")
                .setPageSize(1)
                .build();
        client.listRuns(request).forEach(run -> listed.add(run.getName()));
        assertEquals(runs.stream().map(TaskRun::getName).toList(), listed);
    }

    @Test
    void theStatusIsThatOfTheLatestRunAndEmptyForWhatIsUnknown() {
        assertEquals(Optional.empty(), client.getTaskStatus(id));
        TaskRun run = client.task(id).run();
        assertEquals(Optional.of(run.getName()), client.getTaskStatus(id).map(TaskRun::getName));
        assertEquals(Optional.of(run.getName()), client.getTaskStatus(run.getUid()).map(TaskRun::getName));
        assertEquals(Optional.empty(), client.getTaskStatus("nobody-knows"));
        assertEquals(Optional.empty(), client.task("other").getTaskStatus(run.getUid()));
    }

    @Test
    void aFieldAtFaultIsNamed() {
        Task task = Task.newBuilder().addSchedules(Schedules.cron("61 * * * *")).build();
        RpcException.InvalidArgument error = assertThrows(
                RpcException.InvalidArgument.class, () -> client.task(id).update(task));
        assertTrue(error.fields().containsKey("task.schedules[0].cron"), error.fields()::toString);
    }

    @Test
    void aRequestBeyond4MiBIsTooLarge() {
        Map<String, String> payload = Map.of("text", "x".repeat(5 << 20));
        assertThrows(RpcException.RequestTooLarge.class, () -> client.task(id).run(payload));
    }

    @Test
    void anInterruptEndsAWaitAndStaysToBeSeen() {
        TaskRun run = client.task(id).run();
        Thread.currentThread().interrupt();
        RpcException error =
                assertThrows(RpcException.class, () -> client.waitFor(run.getName(), Duration.ofSeconds(30)));
        assertSame(Status.Code.CANCELLED, error.code());
        assertTrue(Thread.interrupted());
    }
}
