package taskwheel;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** The connection to a server: calls that block, calls that answer a future, and streams. */
final class Transport implements AutoCloseable {
    private static final int MIB = 1 << 20;
    private static final long FIRST_PAUSE_MS = 50;
    private static final long LAST_PAUSE_MS = 5_000;

    private static final Map<String, ?> RETRY = Map.of(
            "maxAttempts",
            4.0,
            "initialBackoff",
            "0.05s",
            "maxBackoff",
            "1s",
            "backoffMultiplier",
            2.0,
            "retryableStatusCodes",
            // The last is what netty makes of a connection that closes while it is written to.
            List.of("UNAVAILABLE", "CANCELLED", "UNKNOWN"));

    /**
     * Every call but these is safe to repeat: it changes nothing, or changes to a given state, or has a request_id.
     * Streams are taken up again where they ended, by those who read them; to claim twice is another thing than to do
     * so once. A last line that is there twice is better than none.
     */
    private static final Map<String, ?> SERVICE_CONFIG = Map.of(
            "methodConfig",
            List.of(
                    Map.of("name", List.of(Map.of()), "retryPolicy", RETRY),
                    Map.of(
                            "name",
                            List.of(
                                    method("taskwheel.v1.EventService", "WatchEvents"),
                                    method("taskwheel.v1.TaskRunService", "StreamTaskRunLogs"),
                                    method("taskwheel.v1.WorkerService", "Work"),
                                    method("taskwheel.v1.WorkerService", "ClaimTaskRuns")))));

    final String address;
    final Duration timeout;
    private final Supplier<Map<String, String>> metadata;
    private final ManagedChannel channel;
    private long pause = FIRST_PAUSE_MS;
    private volatile boolean answered;

    Transport(ConnectionBuilder<?> options, Duration timeout) {
        this.address = options.address;
        this.timeout = timeout;
        this.metadata = options.metadata;
        ManagedChannelBuilder<?> builder = Grpc.newChannelBuilder(address, options.credentials)
                .defaultServiceConfig(SERVICE_CONFIG)
                // A dead peer is noticed within 40 s, also on an idle stream.
                .keepAliveTime(30, TimeUnit.SECONDS)
                .keepAliveTimeout(10, TimeUnit.SECONDS)
                .keepAliveWithoutCalls(true)
                // A page ends at 3 MiB, but its last item may be a run with 1 MiB of payload and 1 MiB of result.
                .maxInboundMessageSize(16 * MIB);
        if (options.serverName != null) {
            builder.overrideAuthority(options.serverName);
        }
        this.channel = builder.build();
        reconnect();
    }

    private static Map<String, String> method(String service, String name) {
        return Map.of("service", service, "method", name);
    }

    /** Connects anew soon while there is no connection. gRPC itself would take up to two minutes. */
    private void reconnect() {
        ConnectivityState state = channel.getState(false);
        if (state == ConnectivityState.SHUTDOWN) {
            return;
        }
        if (state == ConnectivityState.TRANSIENT_FAILURE) {
            channel.resetConnectBackoff();
            later(pause);
            pause = Math.min(2 * pause, LAST_PAUSE_MS);
        } else {
            pause = state == ConnectivityState.READY ? FIRST_PAUSE_MS : pause;
            channel.notifyWhenStateChanged(state, () -> later(pause));
        }
    }

    private void later(long milliseconds) {
        Executor delayed = CompletableFuture.delayedExecutor(milliseconds, TimeUnit.MILLISECONDS);
        delayed.execute(this::reconnect);
    }

    /** Whether the server ever did. */
    boolean answered() {
        return answered;
    }

    /** What goes with the next call. */
    Map<String, String> metadata() {
        return metadata.get();
    }

    /** The answer to one request, within the default time. Throws RpcException. */
    <Q, R> R call(MethodDescriptor<Q, R> method, Q request) {
        return call(method, request, timeout);
    }

    /** The answer to one request, within a given time. Throws RpcException. */
    <Q, R> R call(MethodDescriptor<Q, R> method, Q request, Duration within) {
        try {
            R answer = ClientCalls.blockingUnaryCall(as(metadata()), method, options(within), request);
            answered = true;
            return answer;
        } catch (StatusRuntimeException thrown) {
            throw RpcFailure.of(thrown).toException();
        }
    }

    /** The answer to one request that is to be; its error is an RpcException. */
    <Q, R> CompletableFuture<R> callAsync(
            MethodDescriptor<Q, R> method, Q request, Duration within, Map<String, String> sent) {
        CompletableFuture<R> promise = new CompletableFuture<>();
        ClientCall<Q, R> call;
        try {
            call = as(sent).newCall(method, options(within));
        } catch (IllegalArgumentException unsendable) { // what goes with it
            return CompletableFuture.failedFuture(unsendable);
        }
        ClientCalls.asyncUnaryCall(call, request, new StreamObserver<R>() {
            private R received;

            @Override
            public void onNext(R answer) {
                received = answer;
            }

            @Override
            public void onError(Throwable thrown) {
                promise.completeExceptionally(
                        RpcFailure.of((StatusRuntimeException) thrown).toException());
            }

            @Override
            public void onCompleted() {
                answered = true;
                promise.complete(received);
            }
        });
        return promise;
    }

    /** A stream, not started yet. */
    <Q, R> ClientCall<Q, R> stream(MethodDescriptor<Q, R> method) {
        return as(metadata()).newCall(method, bounded());
    }

    /** A stream whose listener is called by the thread of the connection, and so must not wait. */
    <Q, R> ClientCall<Q, R> directStream(MethodDescriptor<Q, R> method) {
        return as(metadata()).newCall(method, bounded().withExecutor(Runnable::run));
    }

    private Channel as(Map<String, String> sent) {
        if (sent.isEmpty()) {
            return channel;
        }
        Metadata headers = new Metadata();
        sent.forEach((name, value) -> headers.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), value));
        return ClientInterceptors.intercept(channel, MetadataUtils.newAttachHeadersInterceptor(headers));
    }

    private static CallOptions options(Duration within) {
        return bounded().withDeadlineAfter(Math.max(within.toNanos(), 1), TimeUnit.NANOSECONDS);
    }

    /** What the server takes: more is refused before it is sent. */
    private static CallOptions bounded() {
        return CallOptions.DEFAULT.withMaxOutboundMessageSize(4 * MIB);
    }

    @Override
    public void close() {
        channel.shutdownNow();
    }
}
