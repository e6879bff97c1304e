package taskwheel;

import java.util.concurrent.ThreadLocalRandom;

/** Decides whether a connection that broke is taken up again: if it ever stood, and not for ever. */
final class Patience {
    /** About 30 s in all: a restart takes seconds, an outage should be heard of. */
    private static final int TRIES = 10;

    private static final long SECOND = 1_000_000_000L;

    private long since = System.nanoTime();
    private int failures = TRIES;

    /** The connection stands. */
    void answered() {
        failures = 0;
    }

    /** How long to wait before the next try, in nanoseconds; or throws the error. */
    long after(RpcException error) {
        boolean broken =
                error instanceof RpcException.Unavailable || error.reason().equals("SUBSCRIBER_TOO_SLOW");
        // What is refused is refused at once.
        if (System.nanoTime() - since > SECOND) {
            answered();
        }
        if (!broken || failures >= TRIES) {
            throw error;
        }
        double pause = Math.min(0.1 * Math.pow(2, failures), 5) * ThreadLocalRandom.current().nextDouble(0.5, 1);
        failures++;
        since = System.nanoTime();
        return (long) (pause * SECOND);
    }
}
