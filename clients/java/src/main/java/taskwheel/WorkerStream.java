package taskwheel;

import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import taskwheel.v1.Acknowledgement;
import taskwheel.v1.Hello;
import taskwheel.v1.WorkRequest;
import taskwheel.v1.WorkResponse;
import taskwheel.v1.WorkerServiceGrpc;

/**
 * A Work stream, from hello to its end: brings assignments to the executor and takes frames from the outbox.
 *
 * <p>It ends when the server ends it; after goaway, once all that was reported is acknowledged; and when the executor
 * drains, once no run is left either. What the server sends is received by a thread of the connection, which never
 * waits; all that is sent is sent by the thread that calls {@link #work}.
 */
final class WorkerStream extends ClientCall.Listener<WorkResponse> {
    private static final System.Logger LOG = System.getLogger("taskwheel.worker");

    /** A server that was told there is no more ends the stream at once. */
    private static final long LAST_WORD = TimeUnit.SECONDS.toNanos(5);

    private final String address;
    private final Hello hello;
    private final Outbox outbox;
    private final RunExecutor executor;
    private final Signal changed;
    private final ClientCall<WorkRequest, WorkResponse> call;
    private volatile Duration renewal;
    private volatile boolean goaway;
    private volatile RpcFailure end;
    private volatile boolean abandoned;

    WorkerStream(Transport transport, Hello hello, Outbox outbox, RunExecutor executor, Signal changed) {
        this.address = transport.address;
        this.hello = hello;
        this.outbox = outbox;
        this.executor = executor;
        this.changed = changed;
        this.call = transport.directStream(WorkerServiceGrpc.getWorkMethod());
    }

    /** Whether the server has taken the worker on. */
    boolean welcomed() {
        return renewal != null;
    }

    /**
     * Works until the stream ends.
     *
     * @throws RpcException it breaks
     */
    void work() {
        outbox.restore();
        call.start(this, new Metadata());
        // What arrives is bounded by the room that the worker has for runs.
        call.request(Integer.MAX_VALUE);
        try {
            call.sendMessage(WorkRequest.newBuilder().setHello(hello).build());
            // A log entry is gone once it is written: not to a server that takes none.
            while (!welcomed() && !over() && !finished()) {
                changed.await(System.nanoTime() + LAST_WORD);
            }
            write();
        } finally {
            call.cancel("the worker has left the stream", null);
            long until = System.nanoTime() + LAST_WORD;
            while (end == null && System.nanoTime() - until < 0) {
                changed.await(until);
            }
        }
    }

    private void write() {
        boolean told = false;
        long renewAt = System.nanoTime();
        while (welcomed() && !over() && !finished()) {
            if (executor.draining() && !told) {
                told = true;
                call.sendMessage(WorkRequest.newBuilder().setDrain(true).build());
            }
            if (System.nanoTime() - renewAt >= 0) {
                renewAt = System.nanoTime() + renewal.toNanos();
                outbox.renew();
            }
            WorkRequest request = call.isReady() ? outbox.frame() : null;
            if (request == null) {
                changed.await(outbox.progressDue(renewAt));
            } else {
                call.sendMessage(request);
            }
        }
        if (!over() && welcomed()) {
            call.halfClose();
            long until = System.nanoTime() + LAST_WORD;
            while (!over() && System.nanoTime() - until < 0) {
                changed.await(until);
            }
        }
        if (end != null && end.code() != Status.Code.OK) {
            throw end.toException();
        }
    }

    private boolean over() {
        return end != null || abandoned;
    }

    private boolean finished() {
        return outbox.empty() && (goaway || (executor.draining() && outbox.idle()));
    }

    @Override
    public void onMessage(WorkResponse response) {
        if (response.hasWelcome()) {
            LOG.log(System.Logger.Level.INFO, "{0} is connected to {1}", hello.getWorkerId(), address);
            renewal = Times.duration(response.getWelcome().getLeaseDuration()).dividedBy(3);
            changed.give();
        }
        if (response.getAssignmentsCount() > 0) {
            executor.assign(response.getAssignmentsList());
        }
        for (Acknowledgement acknowledgement : response.getAcknowledgementsList()) {
            outbox.acknowledge(acknowledgement.getRun());
            if (acknowledgement.getStatus() == Acknowledgement.Status.LEASE_LOST) {
                String text = "{0}: the result came after its lease had ended";
                LOG.log(System.Logger.Level.WARNING, text, acknowledgement.getRun());
            }
        }
        response.getCancellationsList().forEach(executor::cancel);
        if (response.getGoaway()) {
            goaway = true;
        }
        if (goaway || executor.draining()) {
            changed.give();
        }
    }

    @Override
    public void onReady() {
        changed.give();
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
        end = RpcFailure.of(status, trailers);
        changed.give();
    }

    /** Ends the stream, whatever is under way. From any thread. */
    void abandon() {
        abandoned = true;
        changed.give();
    }
}
