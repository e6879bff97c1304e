package taskwheel;

import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import taskwheel.v1.AppendLogsRequest;
import taskwheel.v1.CompleteTaskRunsRequest;
import taskwheel.v1.Hello;
import taskwheel.v1.WorkRequest;
import taskwheel.v1.WorkerServiceGrpc;

/**
 * Works runs of the handlers it has, until it is stopped.
 *
 * <p>The connection is kept: after a break the worker connects again, goes on with the runs it holds, and delivers the
 * results it could not deliver.
 */
public final class Worker implements AutoCloseable {
    private static final System.Logger LOG = System.getLogger("taskwheel.worker");

    private static final Duration CALL_TIMEOUT = Duration.ofSeconds(10);
    private static final double FIRST_DELAY = 0.2;
    private static final double LAST_DELAY = 10;

    /** A worker that stops has only its grace to bring home what it has. */
    private static final double STOPPING_DELAY = 0.5;

    /** Once the grace is over: for handlers to hear that they are interrupted, and for the last results to arrive. */
    private static final Duration AFTER_GRACE = Duration.ofSeconds(5);

    /** What servers and proxies that end make of a stream; anything else is a refusal. */
    private static final Set<Status.Code> BROKEN = Set.of(
            Status.Code.UNAVAILABLE,
            Status.Code.CANCELLED,
            Status.Code.INTERNAL,
            Status.Code.UNKNOWN,
            Status.Code.RESOURCE_EXHAUSTED);

    private final Transport transport;
    private final Duration grace;
    private final Hello hello;
    private final Signal changed = new Signal(this::stop);
    private final Outbox outbox = new Outbox(changed);
    private final RunExecutor executor;
    private final AtomicBoolean begun = new AtomicBoolean();
    private final AtomicBoolean stopping = new AtomicBoolean();
    private final CompletableFuture<Void> end = new CompletableFuture<>();
    private volatile boolean abandoned;
    private volatile WorkerStream stream;

    private Worker(Builder builder) {
        transport = new Transport(builder, CALL_TIMEOUT);
        grace = builder.grace;
        hello = Hello.newBuilder()
                .setWorkerId(builder.workerId)
                .addAllHandlers(builder.handlers.keySet())
                .setMaxConcurrentRuns(builder.maxConcurrentRuns)
                .build();
        executor = new RunExecutor(Map.copyOf(builder.handlers), builder.maxConcurrentRuns, outbox);
    }

    /** A builder of a worker for the server at TASKWHEEL_ADDRESS, an environment variable, else at localhost:7420. */
    public static Builder builder() {
        return builder(ConnectionBuilder.defaultAddress());
    }

    /** A builder of a worker for the server at an address. */
    public static Builder builder(String address) {
        return new Builder(address);
    }

    /** What a worker may be told. */
    public static final class Builder extends ConnectionBuilder<Builder> {
        private final Map<String, Handler> handlers = new LinkedHashMap<>();
        private int maxConcurrentRuns = 100;
        private Duration grace = Duration.ofSeconds(30);
        private String workerId = defaultId();

        private Builder(String address) {
            super(address);
        }

        /**
         * What works the runs of tasks whose handler has this name.
         *
         * @throws IllegalArgumentException the name has a handler already
         */
        public Builder handler(String name, Handler handler) {
            if (handlers.putIfAbsent(name, handler) != null) {
                throw new IllegalArgumentException("there is a handler " + name + " already");
            }
            return this;
        }

        /** How many runs it works on at a time, each in a thread of its own, 1 to 10,000. Default: 100. */
        public Builder maxConcurrentRuns(int maxConcurrentRuns) {
            this.maxConcurrentRuns = maxConcurrentRuns;
            return this;
        }

        /** How long runs may still take after stop; then their handlers are interrupted. Default: 30 seconds. */
        public Builder grace(Duration grace) {
            this.grace = grace;
            return this;
        }

        /** A name for it, which runs carry. Default: the host and the process id. */
        public Builder workerId(String workerId) {
            this.workerId = workerId;
            return this;
        }

        /**
         * The worker. Nothing is sent yet.
         *
         * @throws IllegalStateException it has no handlers
         */
        public Worker build() {
            if (handlers.isEmpty()) {
                throw new IllegalStateException("the worker has no handlers");
            }
            return new Worker(this);
        }

        @Override
        Builder self() {
            return this;
        }

        private static String defaultId() {
            String host;
            try {
                host = InetAddress.getLocalHost().getHostName();
            } catch (UnknownHostException nameless) {
                host = "localhost";
            }
            return host + ":" + ProcessHandle.current().pid();
        }
    }

    /**
     * Work until stop is called, the thread is interrupted, or the process is told to end, which waits until the runs
     * under way are brought home.
     *
     * @throws RpcException the server refuses the worker
     */
    public void run() {
        begin();
        Thread hook = new Thread(this::close, "taskwheel-stop");
        Runtime.getRuntime().addShutdownHook(hook);
        try {
            serve();
        } finally {
            try {
                Runtime.getRuntime().removeShutdownHook(hook);
            } catch (IllegalStateException ending) {
                // The process is about to end, and the hook at work.
            }
        }
    }

    /**
     * Work in a thread of its own, until stop or {@link #close} is called.
     *
     * @return completed when the worker has ended, with an RpcException if the server refuses it
     */
    public CompletableFuture<Void> start() {
        begin();
        Runnable work = () -> {
            try {
                serve();
            } catch (RpcException refused) {
                LOG.log(System.Logger.Level.ERROR, "the worker has ended: {0}", refused.getMessage());
            }
        };
        new Thread(work, "taskwheel-worker").start();
        return end;
    }

    /**
     * Finish what is under way and hand back what has not begun; called again, interrupt the handlers at once. Does not
     * wait. From any thread.
     */
    public void stop() {
        if (stopping.compareAndSet(false, true)) {
            executor.drain();
            changed.give();
            later(grace, this::hurry);
        } else {
            hurry();
        }
    }

    /** Stop, and wait until the worker has ended: its grace and a few seconds more at most. */
    @Override
    public void close() {
        if (!stopping.get()) {
            stop();
        }
        if (!begun.get()) {
            transport.close();
            return;
        }
        try {
            end.get(grace.plus(AFTER_GRACE).plus(CALL_TIMEOUT).toMillis(), TimeUnit.MILLISECONDS);
        } catch (ExecutionException | TimeoutException toldElsewhere) {
            // By run, or by what start answered; or the last calls take long, and end by themselves.
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
        }
    }

    private void hurry() {
        executor.interrupt();
        later(AFTER_GRACE, this::abandon);
    }

    private void abandon() {
        abandoned = true;
        WorkerStream current = stream;
        if (current != null) {
            current.abandon();
        }
        changed.give();
    }

    private static void later(Duration delay, Runnable step) {
        CompletableFuture.delayedExecutor(delay.toMillis(), TimeUnit.MILLISECONDS)
                .execute(step);
    }

    private void begin() {
        if (!begun.compareAndSet(false, true)) {
            throw new IllegalStateException("a worker works once");
        }
    }

    private void serve() {
        try (transport) {
            try {
                stayConnected();
            } finally {
                executor.close();
                deliver();
            }
            end.complete(null);
        } catch (Throwable refused) {
            end.completeExceptionally(refused);
            throw refused;
        }
    }

    private void stayConnected() {
        double delay = FIRST_DELAY;
        boolean told = false;
        while (!over()) {
            WorkerStream current = new WorkerStream(transport, hello, outbox, executor, changed);
            stream = current;
            if (abandoned) { // before it could hear of it
                return;
            }
            try {
                current.work();
                told = false;
            } catch (RpcException error) {
                if (!BROKEN.contains(error.code())) {
                    throw error;
                }
                if (current.welcomed() || !told) { // once an outage
                    LOG.log(
                            System.Logger.Level.WARNING,
                            "no connection to {0}, trying again: {1}",
                            transport.address,
                            error.getMessage());
                }
                told = true;
            }
            if (current.welcomed()) {
                delay = FIRST_DELAY;
            }
            pause(delay * ThreadLocalRandom.current().nextDouble(0.5, 1));
            delay = Math.min(2 * delay, LAST_DELAY);
        }
    }

    private boolean over() {
        return abandoned || (stopping.get() && outbox.idle() && outbox.empty());
    }

    /** Lets time pass, less of it when the worker is to stop. */
    private void pause(double seconds) {
        long begin = System.nanoTime();
        while (!over()) {
            double length = stopping.get() ? Math.min(seconds, STOPPING_DELAY) : seconds;
            long until = begin + (long) (length * 1e9);
            if (System.nanoTime() - until >= 0) {
                return;
            }
            changed.await(until);
        }
    }

    /**
     * Says by single calls what the stream could not deliver before the worker ended; lines before results. A line that
     * is lost is no reason to lose a result.
     */
    private void deliver() {
        outbox.restore();
        boolean reached = true;
        for (WorkRequest frame = outbox.frame(); reached && frame != null; frame = outbox.frame()) {
            for (AppendLogsRequest lines : frame.getLogsList()) {
                reached &= deliver(WorkerServiceGrpc.getAppendLogsMethod(), lines);
            }
            if (frame.getResultsCount() > 0) {
                CompleteTaskRunsRequest results = CompleteTaskRunsRequest.newBuilder()
                        .addAllResults(frame.getResultsList())
                        .build();
                reached &= deliver(WorkerServiceGrpc.getCompleteTaskRunsMethod(), results);
            }
        }
    }

    /** Whether the server has been reached, whatever it answered. */
    private <Q> boolean deliver(MethodDescriptor<Q, ?> method, Q request) {
        try {
            transport.call(method, request);
            return true;
        } catch (RpcException error) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    "what the worker had left could not be delivered: {0}",
                    error.getMessage());
            return !BROKEN.contains(error.code()) && error.code() != Status.Code.DEADLINE_EXCEEDED;
        }
    }
}
