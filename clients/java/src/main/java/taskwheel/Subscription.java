package taskwheel;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Queue;
import java.util.concurrent.TimeUnit;

/**
 * Items that a server sends as they come to be: events, or lines of a log. A broken connection is taken up again where
 * it broke, so that each item is there once and in its order.
 *
 * <p>One thread at a time may read; any thread may {@link #close} it, which ends an iteration. {@link #poll} waits for
 * an item no longer than it is told. The iterator waits until there is an item, the log has ended, or an error is
 * thrown; a dead connection is noticed within 40 s.
 *
 * @param <T> the items
 */
public final class Subscription<T> implements Iterable<T>, AutoCloseable {
    private static final long WITHOUT_END = Long.MAX_VALUE;

    /** Between the end of a stream that has none and the next one: servers that end say so before they do. */
    private static final long PAUSE = 100_000_000;

    private final Transport transport;
    private final Cursor<?, ?, T> cursor;
    private final Patience patience;
    private final Queue<T> items = new ArrayDeque<>();
    private long openNotBefore = System.nanoTime();
    private volatile boolean closed;

    Subscription(Transport transport, Cursor<?, ?, T> cursor) {
        this.transport = transport;
        this.cursor = cursor;
        this.patience = new Patience(transport);
    }

    /**
     * The next item, or null if there was none in time or there is none any more, see {@link #ended}.
     *
     * @param timeout how long to wait; zero takes what has arrived
     * @throws RpcException the server refuses to send, or cannot be reached for half a minute
     */
    public T poll(Duration timeout) {
        return next(timeout.toNanos());
    }

    /** Whether there will be no more items: the log has ended, or this was closed. */
    public boolean ended() {
        return (cursor.ended() || closed) && items.isEmpty();
    }

    /** The items from here on. Errors are those of {@link #poll}. */
    @Override
    public Iterator<T> iterator() {
        return new Iterator<>() {
            private T next;

            @Override
            public boolean hasNext() {
                while (next == null && !ended()) {
                    next = Subscription.this.next(WITHOUT_END);
                }
                return next != null;
            }

            @Override
            public T next() {
                if (!hasNext()) {
                    throw new NoSuchElementException();
                }
                T item = next;
                next = null;
                return item;
            }
        };
    }

    /** End it, and let the server know. */
    @Override
    public void close() {
        closed = true;
        cursor.close();
    }

    /** Waits until the server has sent the first response, which tells that nothing after it is missed. */
    Subscription<T> begun() {
        long end = System.nanoTime() + transport.timeout.toNanos();
        try {
            while (!cursor.begun()) {
                long left = end - System.nanoTime();
                if (left <= 0) {
                    throw RpcFailure.tooLate().toException();
                }
                receive(left);
            }
            return this;
        } catch (RuntimeException error) {
            close();
            throw error;
        }
    }

    private T next(long nanoseconds) {
        long begin = System.nanoTime();
        long left = nanoseconds;
        while (items.isEmpty() && !ended()) {
            receive(left);
            left = nanoseconds - (System.nanoTime() - begin);
            if (left <= 0) {
                break;
            }
        }
        return items.poll();
    }

    /** Waits for one response, or for the time to connect again. */
    private void receive(long nanoseconds) {
        try {
            if (!cursor.open()) {
                long pause = openNotBefore - System.nanoTime();
                TimeUnit.NANOSECONDS.sleep(Math.min(pause, nanoseconds));
                if (pause > nanoseconds) {
                    return;
                }
                cursor.open(transport);
            }
            if (cursor.receive(nanoseconds, items)) {
                patience.answered();
            } else if (!cursor.open()) {
                openNotBefore = System.nanoTime() + PAUSE;
            }
        } catch (RpcException error) {
            if (!closed) {
                openNotBefore = System.nanoTime() + patience.after(error);
            }
        } catch (InterruptedException interrupt) {
            close();
            throw Promises.interrupted(interrupt);
        }
    }
}
