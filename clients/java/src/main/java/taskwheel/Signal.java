package taskwheel;

import java.util.concurrent.locks.LockSupport;

/** Wakes one thread, from any other. */
final class Signal {
    private final Runnable interrupted;
    private volatile boolean given;
    private volatile Thread waiting;

    /**
     * A signal that is not given yet.
     *
     * @param interrupted what to do when the thread that waits is interrupted, which it then is no more
     */
    Signal(Runnable interrupted) {
        this.interrupted = interrupted;
    }

    /** Wakes the thread that waits, or the next one to do so. */
    void give() {
        if (!given) {
            given = true;
            LockSupport.unpark(waiting);
        }
    }

    /** Waits until the signal is given, or a time of {@link System#nanoTime} has come; and takes it. */
    void await(long until) {
        waiting = Thread.currentThread();
        long left = until - System.nanoTime();
        while (!given && left > 0) {
            LockSupport.parkNanos(this, left);
            if (Thread.interrupted()) {
                interrupted.run();
            }
            left = until - System.nanoTime();
        }
        given = false;
    }
}
