package taskwheel;

import com.google.protobuf.Message;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicLong;
import taskwheel.v1.AppendLogsRequest;
import taskwheel.v1.Lease;
import taskwheel.v1.LogEntry;
import taskwheel.v1.RunResult;
import taskwheel.v1.WorkRequest;

/**
 * What a worker has to send, and what it has sent that is not acknowledged.
 *
 * <p>Handlers put things in from any thread; one writer takes frames out. The order of things is kept, since the log of
 * a run must not arrive after its result. A result leaves what is not acknowledged only when the server has stored it,
 * so that a broken stream loses none: {@link #restore} puts what was under way back in front.
 */
final class Outbox {
    /** The bounds of one request; a whole message may have 4 MiB. */
    private static final int MAX_ITEMS = 1000;

    private static final int MAX_BYTES = 3 << 20;

    /** Names and tokens beside what an item weighs itself. */
    private static final int OVERHEAD = 200;

    private static final long PROGRESS_INTERVAL = 100_000_000;
    private static final long NEVER = Long.MAX_VALUE;

    /** A result, a log entry, or a lease to hand back. */
    private record Item(Run run, Message message) {}

    /** The runs of this worker that have no result on its way yet, by name. */
    private final Map<String, Run> held = new ConcurrentHashMap<>();

    private final Map<String, Item> unacknowledged = new ConcurrentHashMap<>();
    private final Deque<Item> queue = new ConcurrentLinkedDeque<>();
    private final Map<String, Run> renewals = new ConcurrentHashMap<>();
    private final Map<String, Run> progressed = new ConcurrentHashMap<>();
    private final AtomicLong progressDue = new AtomicLong(NEVER);
    private final Signal changed;

    Outbox(Signal changed) {
        this.changed = changed;
    }

    /** Holds a run; answers the one that is held under the same name, if any. */
    Run hold(Run run) {
        return held.put(run.name(), run);
    }

    /** The run that is held under this name, or null. */
    Run held(String name) {
        return held.get(name);
    }

    /** All runs that are held. */
    Iterable<Run> held() {
        return held.values();
    }

    /** Holds a run no more. */
    void drop(Run run) {
        held.remove(run.name(), run);
    }

    /** Whether no run is held. */
    boolean idle() {
        return held.isEmpty();
    }

    /** Whether all has been sent, and acknowledged where that is due. */
    boolean empty() {
        return queue.isEmpty() && renewals.isEmpty() && unacknowledged.isEmpty();
    }

    /** Sends a result, a log entry, or a lease to hand back. From any thread. */
    void put(Run run, Message message) {
        if (message instanceof RunResult && progressed.containsKey(run.name())) {
            renewals.put(run.name(), run);
        }
        queue.add(new Item(run, message));
        changed.give();
    }

    /** Sends the progress of a run, soon. From any thread. */
    void tellProgress(Run run) {
        progressed.put(run.name(), run);
        if (progressDue.compareAndSet(NEVER, System.nanoTime() + PROGRESS_INTERVAL)) {
            changed.give();
        }
    }

    /** When there is progress to send, by {@link System#nanoTime}; {@code otherwise} if there is none. */
    long progressDue(long otherwise) {
        long due = progressDue.get();
        return due == NEVER || due - otherwise > 0 ? otherwise : due;
    }

    /** Renews all leases. */
    void renew() {
        renewals.putAll(held);
    }

    /** Begins anew on another stream: what is not acknowledged goes first, and all leases are renewed. */
    void restore() {
        unacknowledged.values().forEach(queue::addFirst);
        unacknowledged.clear();
        renew();
    }

    /** The result or the release of a run is stored, or came too late. */
    void acknowledge(String name) {
        unacknowledged.remove(name);
    }

    /**
     * The next request to send; null when there is nothing.
     *
     * <p>Renewals go by themselves, before what is queued: the last progress of a run must not come after its result.
     */
    WorkRequest frame() {
        if (progressDue.get() - System.nanoTime() <= 0 && progressDue.get() != NEVER) {
            progressDue.set(NEVER);
            renewals.putAll(progressed);
        }
        if (!renewals.isEmpty()) {
            return renewalFrame();
        }
        WorkRequest.Builder request = WorkRequest.newBuilder();
        Map<String, AppendLogsRequest.Builder> logs = new LinkedHashMap<>();
        int items = 0;
        int size = 0;
        for (Item item = queue.peek(); item != null && items < MAX_ITEMS; item = queue.peek()) {
            Run run = item.run;
            boolean reported = item.message instanceof RunResult;
            size += item.message.getSerializedSize() + OVERHEAD;
            if (items > 0 && size > MAX_BYTES || reported && renewals.containsKey(run.name())) {
                break;
            }
            queue.poll();
            if (run.lost()) {
                continue;
            }
            items++;
            if (item.message instanceof LogEntry entry) {
                logs.computeIfAbsent(run.name(), name -> lines(run)).addEntries(entry);
                continue;
            }
            drop(run);
            unacknowledged.put(run.name(), item);
            if (item.message instanceof RunResult result) {
                request.addResults(result);
            } else {
                request.addReleases((Lease) item.message);
            }
        }
        logs.values().forEach(request::addLogs);
        if (items == 0) {
            return renewals.isEmpty() ? null : renewalFrame();
        }
        return request.build();
    }

    private static AppendLogsRequest.Builder lines(Run run) {
        return AppendLogsRequest.newBuilder()
                .setRun(run.name())
                .setAttempt(run.attempt())
                .setLeaseToken(run.leaseToken());
    }

    private WorkRequest renewalFrame() {
        List<Lease> leases = new ArrayList<>();
        for (Run run : renewals.values()) {
            renewals.remove(run.name());
            progressed.remove(run.name());
            leases.add(run.lease());
            if (leases.size() == MAX_ITEMS) {
                break;
            }
        }
        return WorkRequest.newBuilder().addAllRenewals(leases).build();
    }
}
