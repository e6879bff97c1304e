package taskwheel.bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import taskwheel.Client;
import taskwheel.Json;
import taskwheel.RpcException;
import taskwheel.Worker;
import taskwheel.v1.RunTaskRequest;

/**
 * How fast the client and the worker are: a line of JSON with runs, seconds and the CPU seconds of this process.
 *
 * <pre>
 * bench.sh drain ADDRESS RUNS    a worker works runs that were there before
 * bench.sh call ADDRESS RUNS     32 threads start runs, one call each
 * </pre>
 */
public final class Bench {
    private static final int CALLERS = 32;
    private static final int ROOM = 2000;
    private static final String TASK = "java-bench";

    /** How many times as many runs go before the clock does: what is called most is compiled by then. */
    private static final int WARM_UP = 2;

    private Bench() {}

    /** Runs a mode. */
    public static void main(String[] arguments) throws InterruptedException {
        String address = arguments[1];
        int runs = Integer.parseInt(arguments[2]);
        try (Client client = Client.connect(address)) {
            try {
                client.createTask(TASK, TASK);
            } catch (RpcException.AlreadyExists there) {
                // From the last time.
            }
            switch (arguments[0]) {
                case "drain" -> drain(client, address, runs);
                case "call" -> call(client, runs);
                default -> throw new IllegalArgumentException("drain or call, not " + arguments[0]);
            }
        }
    }

    private static void drain(Client client, String address, int runs) throws InterruptedException {
        int warmUp = runs * WARM_UP;
        start(client, warmUp + runs);
        CountDownLatch done = new CountDownLatch(warmUp + runs);
        Meter meter = new Meter();
        AtomicInteger worked = new AtomicInteger();
        try (Worker worker = Worker.builder(address)
                .maxConcurrentRuns(ROOM)
                .handler(TASK, run -> {
                    if (worked.incrementAndGet() == warmUp) {
                        meter.start();
                    }
                    done.countDown();
                    return null;
                })
                .build()) {
            worker.start();
            done.await();
            meter.print("drain", runs);
        }
    }

    private static void call(Client client, int runs) throws InterruptedException {
        calls(client, runs * WARM_UP);
        Meter meter = new Meter();
        meter.start();
        calls(client, runs);
        meter.print("call", runs);
    }

    private static void calls(Client client, int runs) throws InterruptedException {
        AtomicInteger left = new AtomicInteger(runs);
        List<Thread> callers = new ArrayList<>();
        for (int index = 0; index < CALLERS; index++) {
            Thread caller = new Thread(() -> {
                while (left.decrementAndGet() >= 0) {
                    client.task(TASK).run(Map.of("to", "ann@example.org"));
                }
            });
            caller.start();
            callers.add(caller);
        }
        for (Thread caller : callers) {
            caller.join();
        }
    }

    private static void start(Client client, int runs) {
        RunTaskRequest request = RunTaskRequest.newBuilder()
                .setName(TASK)
                .setPayload(Json.toStruct(Map.of("to", "ann@example.org")))
                .build();
        List<RunTaskRequest> batch = new ArrayList<>();
        for (int index = 0; index < runs; index++) {
            batch.add(request);
            if (batch.size() == 1000 || index == runs - 1) {
                client.runMany(batch);
                batch.clear();
            }
        }
    }

    /** Time and CPU time since the start. */
    private static final class Meter {
        private final OperatingSystemMXBean process =
                (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        private volatile long begin;
        private volatile long cpu;

        void start() {
            begin = System.nanoTime();
            cpu = process.getProcessCpuTime();
        }

        void print(String mode, int runs) {
            double seconds = (System.nanoTime() - begin) / 1e9;
            double cpuSeconds = (process.getProcessCpuTime() - cpu) / 1e9;
            System.out.printf(
                    "{\"mode\": \"%s\", \"runs\": %d, \"seconds\": %.3f, \"cpu_seconds\": %.3f}%n",
                    mode, runs, seconds, cpuSeconds);
        }
    }
}
