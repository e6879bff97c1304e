package taskwheel.conformance;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;

/** What handlers wait for, by name. */
final class Gates {
    private final Map<String, CountDownLatch> gates = new ConcurrentHashMap<>();
    private volatile boolean allOpen;

    /** Lets through who waits here, now and later. */
    void open(String name) {
        gate(name).countDown();
    }

    /** Lets everybody through. */
    void openAll() {
        allOpen = true;
        gates.values().forEach(CountDownLatch::countDown);
    }

    /** Returns once the gate is open. */
    void await(String name) throws InterruptedException {
        gate(name).await();
    }

    /** Returns once the gate is open, whatever interrupts come. */
    void awaitStubbornly(String name) {
        while (true) {
            try {
                await(name);
                return;
            } catch (InterruptedException ignored) {
                // Stubborn.
            }
        }
    }

    private CountDownLatch gate(String name) {
        CountDownLatch gate = gates.computeIfAbsent(name, key -> new CountDownLatch(1));
        if (allOpen) {
            gate.countDown();
        }
        return gate;
    }
}
