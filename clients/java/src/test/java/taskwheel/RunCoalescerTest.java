package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import taskwheel.v1.BatchRunTasksRequest;
import taskwheel.v1.BatchRunTasksResponse;
import taskwheel.v1.RunTaskRequest;
import taskwheel.v1.TaskRun;
import taskwheel.v1.TaskServiceGrpc;

/** Which calls of concurrent callers go together, and what becomes of each. */
@Timeout(30)
class RunCoalescerTest {
    /** Answers when it is told to. */
    private static final class Tasks extends TaskServiceGrpc.TaskServiceImplBase {
        final BlockingQueue<Runnable> alone = new LinkedBlockingQueue<>();
        final BlockingQueue<BatchRunTasksRequest> batches = new LinkedBlockingQueue<>();
        Status refusal = Status.OK;
        boolean done;
        boolean silent;

        @Override
        public void runTask(RunTaskRequest request, StreamObserver<TaskRun> answer) {
            alone.add(() -> {
                if (request.getName().equals("missing")) {
                    answer.onError(Status.NOT_FOUND.asRuntimeException());
                    return;
                }
                answer.onNext(run(request).toBuilder().setHandler("alone").build());
                answer.onCompleted();
            });
        }

        @Override
        public void batchRunTasks(BatchRunTasksRequest request, StreamObserver<BatchRunTasksResponse> answer) {
            batches.add(request);
            if (silent) {
                return;
            }
            if (!refusal.isOk()) {
                answer.onError(refusal.asRuntimeException());
                return;
            }
            BatchRunTasksResponse.Builder response = BatchRunTasksResponse.newBuilder();
            request.getRequestsList().forEach(each -> response.addTaskRuns(run(each)));
            answer.onNext(response.build());
            answer.onCompleted();
        }

        private TaskRun run(RunTaskRequest request) {
            return TaskRun.newBuilder()
                    .setName(request.getName())
                    .setRequestId(request.getRequestId())
                    .setDone(done)
                    .build();
        }
    }

    private final Tasks tasks = new Tasks();

    /** Starts one run, which stays on its way; then these; then lets the first return. */
    private List<CompletableFuture<TaskRun>> together(Client client, String... names) throws InterruptedException {
        List<CompletableFuture<TaskRun>> promises = new ArrayList<>();
        promises.add(client.task("first").runAsync(Map.of()));
        Runnable first = tasks.alone.take();
        for (String name : names) {
            promises.add(client.task(name).runAsync(Map.of("of", name)));
        }
        first.run();
        return promises;
    }

    private static List<String> names(BatchRunTasksRequest request) {
        return request.getRequestsList().stream().map(RunTaskRequest::getName).toList();
    }

    @Test
    void whatComesWhileOneIsOnItsWayGoesTogetherWithItsOwnPayload() throws Exception {
        try (FakeServer server = new FakeServer(tasks);
                Client client = Client.connect(server.address())) {
            List<CompletableFuture<TaskRun>> promises = together(client, "a", "b", "c");
            assertEquals("alone", promises.get(0).join().getHandler());
            assertEquals(List.of("a", "b", "c"), names(tasks.batches.take()));
            TaskRun b = promises.get(2).join();
            assertEquals(Map.of("of", "b"), Json.fromStruct(b.getPayload()));
        }
    }

    @Test
    void whenOneIsAtFaultEachGoesAloneToItsOwnOutcome() throws Exception {
        tasks.refusal = Status.NOT_FOUND;
        try (FakeServer server = new FakeServer(tasks);
                Client client = Client.connect(server.address())) {
            List<CompletableFuture<TaskRun>> promises = together(client, "a", "missing");
            tasks.alone.take().run();
            tasks.alone.take().run();
            assertEquals("a", promises.get(1).join().getName());
            CompletionException error = assertThrows(CompletionException.class, () -> promises.get(2).join());
            assertInstanceOf(RpcException.NotFound.class, error.getCause());
        }
    }

    @Test
    void aRunThatIsDoneAlreadyIsAskedForAlone() throws Exception {
        tasks.done = true;
        try (FakeServer server = new FakeServer(tasks);
                Client client = Client.connect(server.address())) {
            List<CompletableFuture<TaskRun>> promises = together(client, "a");
            tasks.alone.take().run();
            assertEquals("alone", promises.get(1).join().getHandler());
        }
    }

    @Test
    void whatSaysNothingOfASingleRunIsTheErrorOfAll() throws Exception {
        tasks.refusal = Status.RESOURCE_EXHAUSTED;
        try (FakeServer server = new FakeServer(tasks);
                Client client = Client.connect(server.address())) {
            List<CompletableFuture<TaskRun>> promises = together(client, "a", "b");
            for (CompletableFuture<TaskRun> promise : promises.subList(1, 3)) {
                CompletionException error = assertThrows(CompletionException.class, promise::join);
                assertInstanceOf(RpcException.ResourceExhausted.class, error.getCause());
            }
        }
    }

    @Test
    void nobodyGoesInTheNameOfAnotherOrIntoAnotherNamespace() throws Exception {
        AtomicReference<String> key = new AtomicReference<>("one");
        try (FakeServer server = new FakeServer(tasks);
                Client client = Client.builder(server.address())
                        .metadata(() -> Map.of("authorization", key.get()))
                        .build()) {
            List<CompletableFuture<TaskRun>> promises = new ArrayList<>();
            promises.add(client.task("first").runAsync(Map.of()));
            key.set("two");
            promises.add(client.task("second").runAsync(Map.of()));
            promises.add(client.task("namespaces/other/tasks/third").runAsync(Map.of()));
            for (int index = 0; index < 3; index++) {
                tasks.alone.take().run();
            }
            promises.forEach(CompletableFuture::join);
            assertEquals(0, tasks.batches.size());
        }
    }

    @Test
    void whatCannotBeSentHoldsUpNobody() throws IOException {
        try (FakeServer server = new FakeServer(tasks);
                Client client = Client.builder(server.address())
                        .metadata(Map.of("not a name", "x"))
                        .build()) {
            assertThrows(IllegalArgumentException.class, () -> client.task("a").run(Map.of()));
            assertThrows(IllegalArgumentException.class, () -> client.task("b").run(Map.of()));
        }
    }

    @Test
    void withoutCoalescingEachGoesAlone() throws Exception {
        try (FakeServer server = new FakeServer(tasks);
                Client client =
                        Client.builder(server.address()).coalesce(false).build()) {
            List<CompletableFuture<TaskRun>> promises = together(client, "a", "b");
            tasks.alone.take().run();
            tasks.alone.take().run();
            promises.forEach(CompletableFuture::join);
            assertEquals(0, tasks.batches.size());
        }
    }

    @Test
    void aCallerThatWaitsInVainHasADeadline() throws IOException, InterruptedException {
        tasks.silent = true;
        try (FakeServer server = new FakeServer(tasks);
                Client client = Client.builder(server.address())
                        .timeout(Duration.ofMillis(300))
                        .build()) {
            CompletableFuture<TaskRun> first = client.task("first").runAsync(Map.of());
            tasks.alone.take();
            assertThrows(RpcException.DeadlineExceeded.class, () -> client.task("second").run(Map.of()));
            assertThrows(CompletionException.class, first::join);
        }
    }
}
