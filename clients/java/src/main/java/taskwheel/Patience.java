package taskwheel;

import java.util.concurrent.ThreadLocalRandom;

/** Decides whether a connection that broke is taken up again: if it ever stood, and not past a deadline. */
final class Patience {
    /** About 30 s in all: a restart takes seconds, an outage should be heard of. */
    private static final int TRIES = 10;

    private static final double LONGEST = 5;
    private static final double SECOND = 1e9;

    private long since = System.nanoTime();
    private int failures;

    Patience(Transport transport) {
        failures = transport.answered() ? 0 : TRIES;
    }

    /** The connection stands. */
    void answered() {
        failures = 0;
    }

    /** As {@link #after(RpcException, long)}, without a deadline. */
    long after(RpcException error) {
        return after(error, System.nanoTime() + (long) (LONGEST * SECOND));
    }

    /**
     * How long to wait before the next try, in nanoseconds; or throws the error.
     *
     * @param deadline by {@link System#nanoTime}
     */
    long after(RpcException error, long deadline) {
        boolean broken =
                error instanceof RpcException.Unavailable || error.reason().equals("SUBSCRIBER_TOO_SLOW");
        long now = System.nanoTime();
        if (now - since > SECOND) { // what is refused is refused at once
            answered();
        }
        double left = (deadline - now) / SECOND;
        if (!broken || failures >= TRIES || left <= 0) {
            throw error;
        }
        double pause = Math.min(Math.min(0.1 * Math.pow(2, failures), LONGEST), left);
        failures++;
        since = now;
        return (long) (pause * ThreadLocalRandom.current().nextDouble(0.5, 1) * SECOND);
    }
}
