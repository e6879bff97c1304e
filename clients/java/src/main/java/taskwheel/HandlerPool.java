package taskwheel;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;

/**
 * Threads for handlers, started as they are needed.
 *
 * <p>A pool of java.util.concurrent would wake or start a thread for each run. Here one thread is woken at a time: it
 * takes a run, wakes the next thread if more is queued, and goes on until nothing is. So quick handlers work in a few
 * threads without a switch for each, and slow ones still all at once.
 */
final class HandlerPool {
    private final int size;
    private final Consumer<Run> perform;
    private final Queue<Run> queue = new ConcurrentLinkedQueue<>();
    private final Semaphore permits = new Semaphore(0);
    private volatile boolean permitted;
    private volatile boolean closed;

    /** How many threads there are, and how many of them have nothing to do. Guarded by this. */
    private int started;

    private int idle;

    /**
     * A pool without a thread yet.
     *
     * @param size how many threads there are at most
     * @param perform what to do with a run; must not throw
     */
    HandlerPool(int size, Consumer<Run> perform) {
        this.size = size;
        this.perform = perform;
    }

    /** Queues runs. */
    void submit(Collection<Run> runs) {
        queue.addAll(runs);
        wakeOne();
    }

    /** Takes back what no thread has begun. */
    List<Run> withdraw() {
        List<Run> runs = new ArrayList<>();
        for (Run run = queue.poll(); run != null; run = queue.poll()) {
            runs.add(run);
        }
        return runs;
    }

    /** Lets threads end as they become idle. */
    synchronized void close() {
        closed = true;
        permits.release(started);
    }

    private synchronized void wakeOne() {
        if (permitted || closed || queue.isEmpty()) {
            return;
        }
        permitted = true;
        if (idle == 0 && started < size) {
            idle++;
            started++;
            Thread thread = new Thread(this::work, "taskwheel-" + started);
            thread.setDaemon(true);
            thread.start();
        }
        permits.release();
    }

    private void work() {
        while (true) {
            permits.acquireUninterruptibly();
            synchronized (this) {
                idle--;
                permitted = false;
            }
            for (Run run = queue.poll(); run != null; run = queue.poll()) {
                if (!permitted && !queue.isEmpty()) {
                    wakeOne();
                }
                perform.accept(run);
            }
            synchronized (this) {
                idle++;
                if (closed) {
                    return;
                }
            }
        }
    }
}
