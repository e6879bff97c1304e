package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import taskwheel.v1.LogEntry;
import taskwheel.v1.TaskRun;
import taskwheel.v1.WorkRequest;
import taskwheel.v1.WorkResponse;
import taskwheel.v1.WorkerServiceGrpc;

/** The worker at a live server. */
@Timeout(90)
class WorkerTest {
    private static final Duration LONG = Duration.ofSeconds(60);

    private String address;
    private Client client;
    private String id;
    private Worker worker;
    private final BlockingQueue<Run> begun = new LinkedBlockingQueue<>();
    private final CountDownLatch gate = new CountDownLatch(1);

    @BeforeEach
    void connect() throws IOException {
        address = LiveServer.shared().address;
        client = Client.connect(address);
        id = LiveServer.freshTask(client);
    }

    @AfterEach
    void close() {
        gate.countDown();
        if (worker != null) {
            worker.close();
        }
        client.close();
    }

    private void start(Handler handler) {
        worker = builder(handler).build();
        worker.start();
    }

    private Worker.Builder builder(Handler handler) {
        return Worker.builder(address)
                .handler(id, handler)
                .maxConcurrentRuns(10)
                .grace(Duration.ofSeconds(10));
    }

    /** A handler that tells it has begun, and waits for the gate. */
    private Object waits(Run run) throws InterruptedException {
        begun.add(run);
        gate.await();
        return "through";
    }

    private TaskRun done(TaskRun run) {
        return client.waitFor(run.getName(), LONG);
    }

    @Test
    void aHandlerIsGivenTheRunAndItsReturnIsTheResult() {
        start(run -> Map.of("task", run.task(), "attempt", run.attempt(), "payload", run.payload()));
        Map<String, Object> expected =
                Map.of("task", "namespaces/default/tasks/" + id, "attempt", 1L, "payload", Map.of("n", List.of(1L)));
        assertEquals(expected, client.runWithResult(id, Map.of("n", List.of(1))));
    }

    static Stream<Arguments> errors() {
        Handler named = run -> {
            throw new HandlerException("MailboxFull", "no room");
        };
        Handler accident = run -> List.of().get(3);
        Handler nothing = run -> {
            throw new IllegalStateException();
        };
        return Stream.of(
                arguments(named, "taskwheel.HandlerException", "MailboxFull", "no room"),
                arguments(accident, "java.lang.ArrayIndexOutOfBoundsException", "ArrayIndexOutOfBoundsException", "3"),
                arguments(nothing, "java.lang.IllegalStateException", "IllegalStateException", ""),
                arguments(
                        (Handler) run -> Map.of("x", new Object()),
                        "taskwheel.UnsupportedValueException", "UnsupportedValue", "result.x: "),
                arguments((Handler) run -> "x".repeat(2 << 20), "system", "resultTooLarge", "more than 1 MiB"));
    }

    @ParameterizedTest
    @MethodSource("errors")
    void whatAHandlerThrowsIsTheErrorOfTheRun(Handler handler, String type, String name, String message) {
        start(handler);
        RunFailedException failed =
                assertThrows(RunFailedException.class, () -> client.runWithResult(id, Map.of()));
        assertEquals(type, failed.run().getError().getType());
        assertEquals(name, failed.run().getError().getName());
        assertTrue(failed.run().getError().getMessage().contains(message), failed::getMessage);
    }

    @Test
    void linesAndProgressArriveBeforeTheResult() {
        start(run -> {
            run.log().info("begun");
            run.log().write(LogEntry.Level.ERROR, "odd", Map.of("n", 1, "what", new StringBuilder("x")));
            run.progress(0.25);
            run.progress(0.75, "nearly");
            return null;
        });
        TaskRun run = done(client.task(id).run());
        assertEquals(0.75, run.getProgress().getRatio());
        assertEquals("nearly", run.getProgress().getMessage());
        List<String> lines = new ArrayList<>();
        try (Subscription<LogEntry> log = client.followLogs(run.getName())) {
            log.forEach(entry -> lines.add(entry.getLevel() + " " + entry.getMessage()));
        }
        assertEquals(List.of("INFO begun", "ERROR odd"), lines);
    }

    @Test
    void aCancelledRunIsInterruptedAndTheThreadWorksOnUninterrupted() throws InterruptedException {
        start(run -> run.payload().isEmpty() ? waits(run) : Thread.interrupted());
        TaskRun run = client.task(id).run();
        Run held = begun.take();
        assertFalse(held.cancelled());
        client.cancel(run.getName());
        assertEquals(TaskRun.State.CANCELLED, done(run).getState());
        assertTrue(held.cancelled());
        assertEquals(false, client.runWithResult(id, Map.of("n", 1)));
    }

    @Test
    void aHandlerThatThrowsWhenAskedToStopIsCancelledToo() throws InterruptedException {
        start(run -> {
            begun.add(run);
            while (true) {
                run.throwIfCancelled();
                Thread.onSpinWait();
            }
        });
        TaskRun run = client.task(id).run();
        begun.take();
        client.cancel(run.getName());
        assertEquals(TaskRun.State.CANCELLED, done(run).getState());
    }

    @Test
    void aDrainFinishesWhatIsUnderWayAndHandsBackTheRest() throws Exception {
        worker = builder(this::waits).maxConcurrentRuns(1).build();
        CompletableFuture<Void> end = worker.start();
        TaskRun first = client.task(id).run();
        begun.take();
        TaskRun second = client.task(id).run();
        worker.stop();
        gate.countDown();
        end.get(30, TimeUnit.SECONDS);
        assertEquals("through", Json.fromValue(done(first).getResult()));
        assertEquals(TaskRun.State.PENDING, client.getRun(second.getName()).getState());
    }

    @Test
    void onceTheGraceIsOverHandlersAreInterruptedAndTheirRunsFail() throws Exception {
        worker = builder(this::waits).grace(Duration.ofMillis(100)).build();
        CompletableFuture<Void> end = worker.start();
        TaskRun run = client.task(id).run();
        begun.take();
        worker.stop();
        end.get(30, TimeUnit.SECONDS);
        assertEquals("WorkerStopped", done(run).getError().getName());
    }

    @Test
    void moreRunsThanThreadsAllEnd() {
        start(run -> run.payload().get("n"));
        List<CompletableFuture<TaskRun>> runs = new ArrayList<>();
        for (int index = 0; index < 500; index++) {
            runs.add(client.task(id).runAsync(Map.of("n", index)));
        }
        for (int index = 0; index < 500; index++) {
            assertEquals((long) index, Json.fromValue(done(runs.get(index).join()).getResult()));
        }
    }

    @Test
    void aResultSurvivesAServerThatIsKilled() throws Exception {
        try (LiveServer server = LiveServer.begin();
                Client own = Client.connect(server.address)) {
            own.createTask(id, id);
            worker = Worker.builder(server.address).handler(id, this::waits).build();
            worker.start();
            TaskRun run = own.task(id).run();
            begun.take();
            server.kill();
            gate.countDown();
            server.start();
            TaskRun done = own.waitFor(run.getName(), LONG);
            assertEquals("through", Json.fromValue(done.getResult()));
            assertEquals(1, done.getAttempt());
            worker.close();
        }
    }

    @Test
    void aWorkerThatIsRefusedSaysWhy() {
        worker = builder(run -> null).maxConcurrentRuns(20_000).build();
        CompletableFuture<Void> end = worker.start();
        ExecutionException refused =
                assertThrows(ExecutionException.class, () -> end.get(30, TimeUnit.SECONDS));
        assertInstanceOf(RpcException.InvalidArgument.class, refused.getCause());
    }

    @Test
    void aWorkerThatNobodyTakesOnCanBeStopped() throws Exception {
        CountDownLatch called = new CountDownLatch(1);
        WorkerServiceGrpc.WorkerServiceImplBase silent = new WorkerServiceGrpc.WorkerServiceImplBase() {
            @Override
            public StreamObserver<WorkRequest> work(StreamObserver<WorkResponse> answer) {
                called.countDown();
                return new StreamObserver<>() {
                    @Override
                    public void onNext(WorkRequest request) {}

                    @Override
                    public void onError(Throwable error) {}

                    @Override
                    public void onCompleted() {}
                };
            }
        };
        try (FakeServer server = new FakeServer(silent)) {
            Worker idle = Worker.builder(server.address()).handler(id, run -> null).build();
            CompletableFuture<Void> end = idle.start();
            called.await();
            idle.stop();
            end.get(20, TimeUnit.SECONDS);
        }
    }

    @Test
    void aWorkerNeedsHandlersOfDifferentNames() {
        assertThrows(IllegalStateException.class, () -> Worker.builder(address).build());
        assertThrows(IllegalArgumentException.class, () -> builder(run -> null).handler(id, run -> null));
    }
}
