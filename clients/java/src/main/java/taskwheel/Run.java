package taskwheel;

import java.util.List;
import java.util.Map;
import taskwheel.v1.Assignment;
import taskwheel.v1.Lease;
import taskwheel.v1.Progress;
import taskwheel.v1.RunResult;
import taskwheel.v1.TaskRun;

/** A run in the hands of its handler. All of it may be used from any thread. */
public final class Run {
    private static final int MAX_PROGRESS_MESSAGE = 1024;

    private final TaskRun message;
    private final String leaseToken;
    private final Outbox outbox;
    private final RunLog log;

    /** The thread that works it. Guarded by this, so that no interrupt meets the next run of the thread. */
    private Thread thread;

    private volatile boolean cancelled;
    private volatile boolean lost;
    private volatile Progress progress;

    Run(Assignment assignment, Outbox outbox) {
        this.message = assignment.getRun();
        this.leaseToken = assignment.getLeaseToken();
        this.outbox = outbox;
        this.log = new RunLog(this, outbox);
    }

    /** Its full name. */
    public String name() {
        return message.getName();
    }

    /** Its identity. */
    public String uid() {
        return message.getUid();
    }

    /** The full name of its task at admission. */
    public String task() {
        return message.getTask();
    }

    /** The name of its handler. */
    public String handler() {
        return message.getHandler();
    }

    /** The number of the attempt, from 1. */
    public int attempt() {
        return message.getAttempt();
    }

    /** What the handler is given; empty when there is nothing. */
    public Map<String, Object> payload() {
        return Json.fromStruct(message.getPayload());
    }

    /** Its tags. */
    public List<String> tags() {
        return message.getTagsList();
    }

    /** Its labels. */
    public Map<String, String> labels() {
        return message.getLabelsMap();
    }

    /** All that the run carried when it was assigned. */
    public TaskRun message() {
        return message;
    }

    /** Writes lines that callers can follow. */
    public RunLog log() {
        return log;
    }

    /** Whether the handler is to stop: the run was cancelled, or belongs to this worker no more. */
    public boolean cancelled() {
        return cancelled;
    }

    /**
     * Stop the handler if it is to stop.
     *
     * @throws RunCancelledException it is; let it pass
     */
    public void throwIfCancelled() {
        if (cancelled) {
            throw new RunCancelledException(name());
        }
    }

    /** As {@link #progress(double, String)}, without a message. */
    public void progress(double ratio) {
        progress(ratio, "");
    }

    /**
     * Tell how far the run has come; sent at most ten times a second, the last one always.
     *
     * @param ratio the part of the work that is done, 0 to 1
     * @param message what is being done, for people; cut to 1,024 characters
     * @throws IllegalArgumentException the ratio is outside 0 to 1
     */
    public void progress(double ratio, String message) {
        if (!(ratio >= 0 && ratio <= 1)) {
            throw new IllegalArgumentException("progress is 0 to 1, not " + ratio);
        }
        int end = Math.min(message.length(), MAX_PROGRESS_MESSAGE);
        String text = Text.clip(message.substring(0, end), 4 * MAX_PROGRESS_MESSAGE);
        progress = Progress.newBuilder().setRatio(ratio).setMessage(text).build();
        outbox.tellProgress(this);
    }

    /** Whether the lease has ended, so that nothing of the run is sent any more. */
    boolean lost() {
        return lost;
    }

    /** Lets the handler stop, and drops what it reports. */
    void lose() {
        lost = true;
        cancel();
    }

    /** Lets the handler stop. */
    synchronized void cancel() {
        cancelled = true;
        interrupt();
    }

    /** Interrupts the handler, if it is at work. */
    synchronized void interrupt() {
        if (thread != null) {
            thread.interrupt();
        }
    }

    /** Begins the work in this thread. */
    synchronized void begin() {
        thread = Thread.currentThread();
    }

    /** Ends the work in this thread, which is not interrupted any more. */
    synchronized void end() {
        thread = null;
        Thread.interrupted();
    }

    /** The lease, with the last progress. */
    Lease lease() {
        Lease.Builder lease = Lease.newBuilder()
                .setRun(name())
                .setAttempt(attempt())
                .setLeaseToken(leaseToken);
        if (progress != null) {
            lease.setProgress(progress);
        }
        return lease.build();
    }

    /** A report without an outcome. */
    RunResult.Builder report() {
        return RunResult.newBuilder().setRun(name()).setAttempt(attempt()).setLeaseToken(leaseToken);
    }

    String leaseToken() {
        return leaseToken;
    }
}
