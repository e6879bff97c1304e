package taskwheel;

import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/**
 * The responses of one call of a server-streaming rpc, read by a thread that waits for them.
 *
 * @param <Q> the request
 * @param <R> the response
 */
final class ResponseReader<Q, R> extends ClientCall.Listener<R> {
    /** How many responses may have arrived before they are read; what is beyond stays with the server. */
    private static final int AHEAD = 2;

    /** How a call ended: with OK and no error, or with one. */
    private record End(RpcException error) {}

    private final ClientCall<Q, R> call;
    private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();

    ResponseReader(ClientCall<Q, R> call, Q request) {
        this.call = call;
        call.start(this, new Metadata());
        call.request(AHEAD);
        call.sendMessage(request);
        call.halfClose();
    }

    @Override
    public void onMessage(R response) {
        arrived.add(response);
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
        arrived.add(new End(status.isOk() ? null : RpcFailure.of(status, trailers).toException()));
    }

    /**
     * The next response; null when there was none in time, or there is none any more.
     *
     * @throws RpcException the call has failed
     */
    @SuppressWarnings("unchecked")
    R next(long nanoseconds) throws InterruptedException {
        Object next = arrived.poll(nanoseconds, TimeUnit.NANOSECONDS);
        if (next instanceof End end) {
            arrived.add(end);
            if (end.error != null) {
                throw end.error.copy();
            }
            return null;
        }
        if (next != null) {
            call.request(1);
        }
        return (R) next;
    }

    /** Whether the server has ended the call, and all it sent was read. */
    boolean ended() {
        return arrived.peek() instanceof End;
    }

    void cancel() {
        call.cancel("no longer read", null);
    }
}
