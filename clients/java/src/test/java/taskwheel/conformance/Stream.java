package taskwheel.conformance;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import taskwheel.RpcException;
import taskwheel.Subscription;

/** A subscription that is read only as far as the runner asks. */
final class Stream {
    private final Subscription<?> items;
    private RpcException error;

    Stream(Subscription<?> items) {
        this.items = items;
    }

    /** The next items: so many, or as many as come in time or until the end. */
    List<Object> take(int count, Duration timeout) {
        long deadline = System.nanoTime() + timeout.toNanos();
        List<Object> taken = new ArrayList<>();
        while (taken.size() < count && error == null && !items.ended()) {
            try {
                Object item = items.poll(Duration.ofNanos(Math.max(deadline - System.nanoTime(), 0)));
                if (item != null) {
                    taken.add(item);
                } else if (System.nanoTime() - deadline >= 0) {
                    break;
                }
            } catch (RpcException failed) {
                error = failed;
            }
        }
        if (taken.isEmpty() && error != null) {
            throw error;
        }
        return taken;
    }

    void close() {
        items.close();
    }
}
