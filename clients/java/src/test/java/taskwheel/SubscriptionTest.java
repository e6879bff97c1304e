package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import taskwheel.v1.Event;
import taskwheel.v1.EventServiceGrpc;
import taskwheel.v1.LogEntry;
import taskwheel.v1.StreamTaskRunLogsRequest;
import taskwheel.v1.StreamTaskRunLogsResponse;
import taskwheel.v1.TaskRunServiceGrpc;
import taskwheel.v1.WatchEventsRequest;
import taskwheel.v1.WatchEventsResponse;

/** Streams that break, and are taken up again where they broke. */
@Timeout(30)
class SubscriptionTest {
    private static final Duration LONG = Duration.ofSeconds(10);

    private record Call<Q, R>(Q request, StreamObserver<R> answer) {}

    private final BlockingQueue<Call<WatchEventsRequest, WatchEventsResponse>> watches = new LinkedBlockingQueue<>();
    private final BlockingQueue<Call<StreamTaskRunLogsRequest, StreamTaskRunLogsResponse>> follows =
            new LinkedBlockingQueue<>();
    private FakeServer server;
    private Client client;

    @BeforeEach
    void begin() throws IOException {
        EventServiceGrpc.EventServiceImplBase events = new EventServiceGrpc.EventServiceImplBase() {
            @Override
            public void watchEvents(WatchEventsRequest request, StreamObserver<WatchEventsResponse> answer) {
                watches.add(new Call<>(request, answer));
            }
        };
        TaskRunServiceGrpc.TaskRunServiceImplBase runs = new TaskRunServiceGrpc.TaskRunServiceImplBase() {
            @Override
            public void streamTaskRunLogs(
                    StreamTaskRunLogsRequest request, StreamObserver<StreamTaskRunLogsResponse> answer) {
                follows.add(new Call<>(request, answer));
            }
        };
        server = new FakeServer(events, runs);
        client = Client.builder(server.address()).timeout(LONG).build();
    }

    @AfterEach
    void end() {
        client.close();
        server.close();
    }

    private static WatchEventsResponse upTo(long sequence, long... events) {
        WatchEventsResponse.Builder response = WatchEventsResponse.newBuilder().setSequence(sequence);
        for (long event : events) {
            response.addEvents(Event.newBuilder().setSequence(event).setType("of_tomorrow"));
        }
        return response.build();
    }

    private CompletableFuture<Subscription<Event>> watch(WatchEventsRequest request) {
        return CompletableFuture.supplyAsync(() -> client.watchEvents(request));
    }

    @Test
    void aWatchGoesOnAfterTheLastResponseWhateverBrokeIt() throws Exception {
        var watching = watch(WatchEventsRequest.newBuilder().setFilter("f").build());
        var first = watches.take();
        assertFalse(first.request.hasAfterSequence());
        first.answer.onNext(upTo(5));
        try (Subscription<Event> events = watching.join()) {
            first.answer.onNext(upTo(9, 6, 8));
            assertEquals(6, events.poll(LONG).getSequence());
            assertEquals(8, events.poll(LONG).getSequence());
            first.answer.onError(Status.UNAVAILABLE.asRuntimeException());
            var later = CompletableFuture.supplyAsync(() -> events.poll(LONG).getSequence());
            var second = watches.take();
            assertEquals(9, second.request.getAfterSequence());
            assertEquals("f", second.request.getFilter());
            second.answer.onCompleted();
            watches.take().answer.onNext(upTo(12, 11));
            assertEquals(11, later.join());
        }
    }

    @Test
    void aWatchThatIsRefusedIsRefusedAtOnce() throws Exception {
        var watching = watch(WatchEventsRequest.newBuilder().setAfterSequence(99).build());
        watches.take().answer.onError(Status.OUT_OF_RANGE.asRuntimeException());
        Exception error = assertThrows(Exception.class, watching::join);
        assertTrue(error.getCause() instanceof RpcException.OutOfRange);
    }

    @Test
    void aPollWithoutAnEventAnswersInItsTimeAndACloseEndsTheIteration() throws Exception {
        var watching = watch(WatchEventsRequest.getDefaultInstance());
        var call = watches.take();
        call.answer.onNext(upTo(1));
        Subscription<Event> events = watching.join();
        assertNull(events.poll(Duration.ofMillis(10)));
        assertNull(events.poll(Duration.ZERO));
        Iterator<Event> iterator = events.iterator();
        var more = CompletableFuture.supplyAsync(iterator::hasNext);
        events.close();
        assertFalse(more.join());
        assertTrue(events.ended());
    }

    @Test
    void aLogGoesOnInTheRunOfItsLastEntryAndEnds() throws Exception {
        Subscription<LogEntry> log = client.followLogs("runs/one");
        List<String> read = new ArrayList<>();
        var reading = CompletableFuture.runAsync(() -> log.forEach(entry -> read.add(entry.getMessage())));
        var first = follows.take();
        assertTrue(first.request.getFollow());
        first.answer.onNext(lines("runs/two", 1, "a", "b"));
        first.answer.onError(Status.UNAVAILABLE.asRuntimeException());
        var second = follows.take();
        assertEquals("runs/two", second.request.getName());
        assertEquals(2, second.request.getAfterSequence());
        second.answer.onNext(lines("runs/two", 3, "c"));
        second.answer.onCompleted();
        reading.join();
        assertEquals(List.of("a", "b", "c"), read);
        assertTrue(log.ended());
    }

    private static StreamTaskRunLogsResponse lines(String run, int sequence, String... messages) {
        StreamTaskRunLogsResponse.Builder response = StreamTaskRunLogsResponse.newBuilder();
        for (String message : messages) {
            response.addEntries(
                    LogEntry.newBuilder().setRun(run).setSequence(sequence++).setMessage(message).setLevelValue(77));
        }
        return response.build();
    }
}
