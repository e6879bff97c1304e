package taskwheel;

import io.grpc.MethodDescriptor;
import java.util.List;
import java.util.Queue;
import taskwheel.v1.Event;
import taskwheel.v1.EventServiceGrpc;
import taskwheel.v1.LogEntry;
import taskwheel.v1.StreamTaskRunLogsRequest;
import taskwheel.v1.StreamTaskRunLogsResponse;
import taskwheel.v1.TaskRunServiceGrpc;
import taskwheel.v1.WatchEventsRequest;
import taskwheel.v1.WatchEventsResponse;

/**
 * How far a subscription has come, and the call that goes on from there.
 *
 * @param <Q> the request
 * @param <R> the response
 * @param <T> the items in it
 */
abstract class Cursor<Q, R, T> {
    private final MethodDescriptor<Q, R> method;
    private final boolean endless;
    private ResponseReader<Q, R> reader;
    private boolean begun;
    private boolean ended;
    private boolean closed;

    Cursor(MethodDescriptor<Q, R> method, boolean endless) {
        this.method = method;
        this.endless = endless;
    }

    /** The request for what has not been received. */
    abstract Q request();

    /** Moves behind a response, and answers what is in it. */
    abstract List<T> pass(R response);

    /** Whether there was a response. */
    boolean begun() {
        return begun;
    }

    /** Whether there will be no more responses. */
    boolean ended() {
        return ended;
    }

    /** Whether there is a call under way. */
    boolean open() {
        return reader != null;
    }

    synchronized void open(Transport transport) {
        reader = new ResponseReader<>(transport.stream(method), request());
        if (closed) {
            reader.cancel();
        }
    }

    /** Cancels the call, and any later one. From any thread. */
    synchronized void close() {
        closed = true;
        if (reader != null) {
            reader.cancel();
        }
    }

    /**
     * Adds the items of the next response; false: there was none in time, or none is left.
     *
     * @throws RpcException the call has failed, and is under way no more
     */
    boolean receive(long nanoseconds, Queue<T> items) throws InterruptedException {
        R response;
        try {
            response = reader.next(nanoseconds);
        } catch (RpcException error) {
            reader = null;
            throw error;
        }
        if (response != null) {
            begun = true;
            items.addAll(pass(response));
        } else if (reader.ended()) {
            reader = null;
            ended = !endless;
        }
        return response != null;
    }

    /** Events after the sequence of the last response. */
    static Cursor<?, ?, Event> events(WatchEventsRequest request) {
        WatchEventsRequest.Builder next = request.toBuilder();
        return new Cursor<>(EventServiceGrpc.getWatchEventsMethod(), true) {
            @Override
            WatchEventsRequest request() {
                return next.build();
            }

            @Override
            List<Event> pass(WatchEventsResponse response) {
                next.setAfterSequence(response.getSequence());
                return response.getEventsList();
            }
        };
    }

    /** Lines after the last one, of the run that wrote it. */
    static Cursor<?, ?, LogEntry> logs(StreamTaskRunLogsRequest request) {
        StreamTaskRunLogsRequest.Builder next = request.toBuilder();
        return new Cursor<>(TaskRunServiceGrpc.getStreamTaskRunLogsMethod(), false) {
            @Override
            StreamTaskRunLogsRequest request() {
                return next.build();
            }

            @Override
            List<LogEntry> pass(StreamTaskRunLogsResponse response) {
                for (LogEntry entry : response.getEntriesList()) {
                    next.setName(entry.getRun()).setAfterSequence(entry.getSequence());
                }
                return response.getEntriesList();
            }
        };
    }
}
