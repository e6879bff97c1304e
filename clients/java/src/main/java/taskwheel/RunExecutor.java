package taskwheel;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import taskwheel.v1.Assignment;
import taskwheel.v1.Cancellation;
import taskwheel.v1.RunResult;

/**
 * Holds the runs of a worker from their assignment to their result.
 *
 * <p>After a reconnect the server may assign while runs of the last stream are still at work. So the bound is kept here
 * too: what exceeds it waits, under its lease.
 */
final class RunExecutor {
    private static final System.Logger LOG = System.getLogger("taskwheel.worker");

    private final Map<String, Handler> handlers;
    private final Outbox outbox;
    private final HandlerPool pool;
    private volatile boolean draining;
    private volatile boolean stopping;

    /**
     * An executor that has nothing to do yet.
     *
     * @param handlers what to call, by name
     * @param size how many runs are at work at a time
     * @param outbox where results go
     */
    RunExecutor(Map<String, Handler> handlers, int size, Outbox outbox) {
        this.handlers = handlers;
        this.outbox = outbox;
        this.pool = new HandlerPool(size, this::perform);
    }

    /** Whether nothing more is begun. */
    boolean draining() {
        return draining;
    }

    /** Starts runs, or hands them back when draining. */
    void assign(List<Assignment> assignments) {
        List<Run> runs = new ArrayList<>(assignments.size());
        for (Assignment assignment : assignments) {
            Run run = new Run(assignment, outbox);
            Run stale = outbox.hold(run);
            if (stale != null) { // its lease ended while the stream was broken
                lose(stale);
            }
            runs.add(run);
        }
        pool.submit(runs);
        if (draining) {
            release();
        }
    }

    /** Lets a run stop; what it reports is dropped if its lease is lost. */
    void cancel(Cancellation cancellation) {
        Run run = outbox.held(cancellation.getRun());
        if (run == null || run.attempt() != cancellation.getAttempt()) {
            return;
        }
        if (cancellation.getReason() == Cancellation.Reason.CANCEL_REQUESTED) {
            run.cancel();
        } else {
            outbox.drop(run);
            lose(run);
        }
    }

    private static void lose(Run run) {
        LOG.log(System.Logger.Level.WARNING, "{0} belongs to this worker no more: its lease was lost", run.name());
        run.lose();
    }

    /** Begins nothing more, and hands back what has not begun. */
    void drain() {
        draining = true;
        release();
    }

    /** Interrupts the handlers. One that heeds it ends as FAILED with WorkerStopped. */
    void interrupt() {
        stopping = true;
        outbox.held().forEach(Run::interrupt);
    }

    /** Ends what can be ended; handlers that heed no interrupt are left to end with the process. */
    void close() {
        drain();
        interrupt();
        pool.close();
    }

    private void release() {
        pool.withdraw().forEach(run -> outbox.put(run, run.lease()));
    }

    private void perform(Run run) {
        RunResult report;
        try {
            run.begin();
            run.throwIfCancelled();
            report = Outcome.succeeded(run, handlers.get(run.handler()).handle(run));
        } catch (Throwable error) { // the report tells it; the thread goes on
            report = Outcome.thrown(run, error, stopping);
        }
        run.end();
        outbox.put(run, report);
    }
}
