package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import taskwheel.v1.Assignment;
import taskwheel.v1.LogEntry;
import taskwheel.v1.RunResult;
import taskwheel.v1.TaskRun;
import taskwheel.v1.WorkRequest;

/** What is sent, in which order, and what again. */
class OutboxTest {
    private final Outbox outbox = new Outbox(new Signal(() -> {}));

    private Run held(String name) {
        Assignment assignment = Assignment.newBuilder()
                .setRun(TaskRun.newBuilder().setName(name).setAttempt(1))
                .setLeaseToken("token-" + name)
                .build();
        Run run = new Run(assignment, outbox);
        outbox.hold(run);
        return run;
    }

    private void report(Run run) {
        outbox.put(run, Outcome.succeeded(run, run.name()));
    }

    private static List<String> results(WorkRequest request) {
        return request.getResultsList().stream().map(RunResult::getRun).toList();
    }

    @Test
    void linesGoBeforeTheResultAndBothByRun() {
        Run a = held("a");
        Run b = held("b");
        a.log().info("1");
        b.log().info("2");
        a.log().info("3");
        report(a);
        WorkRequest request = outbox.frame();
        assertEquals(2, request.getLogsCount());
        assertEquals(
                List.of("1", "3"),
                request.getLogs(0).getEntriesList().stream().map(LogEntry::getMessage).toList());
        assertEquals("token-a", request.getLogs(0).getLeaseToken());
        assertEquals(List.of("a"), results(request));
        assertNull(outbox.frame());
    }

    @Test
    void theLastProgressGoesBeforeTheResultAndAlone() {
        Run run = held("a");
        run.progress(0.5);
        run.progress(1);
        report(run);
        WorkRequest first = outbox.frame();
        assertEquals(1, first.getRenewals(0).getProgress().getRatio());
        assertEquals(0, first.getResultsCount());
        assertEquals(List.of("a"), results(outbox.frame()));
    }

    @Test
    void onANewStreamWhatIsNotAcknowledgedGoesAgainAndWhatIsHeldIsRenewed() {
        Run a = held("a");
        Run b = held("b");
        held("c");
        report(a);
        report(b);
        assertEquals(List.of("a", "b"), results(outbox.frame()));
        outbox.acknowledge("a");
        outbox.restore();
        assertEquals(
                List.of("c"),
                outbox.frame().getRenewalsList().stream().map(lease -> lease.getRun()).toList());
        assertEquals(List.of("b"), results(outbox.frame()));
        assertFalse(outbox.empty());
        outbox.acknowledge("b");
        assertTrue(outbox.empty());
        assertFalse(outbox.idle());
    }

    @Test
    void nothingIsSentOfARunWhoseLeaseIsLost() {
        Run run = held("a");
        run.log().info("line");
        run.lose();
        report(run);
        assertNull(outbox.frame());
        assertTrue(outbox.empty());
    }

    @Test
    void aLeaseThatIsHandedBackIsHeldNoMore() {
        Run run = held("a");
        outbox.put(run, run.lease());
        assertEquals("a", outbox.frame().getReleases(0).getRun());
        assertTrue(outbox.idle());
    }

    @Test
    void aFrameEndsAt1000ItemsAndAt3MiB() {
        for (int index = 0; index < 1001; index++) {
            report(held("run-" + index));
        }
        assertEquals(1000, outbox.frame().getResultsCount());
        assertEquals(1, outbox.frame().getResultsCount());
        List<Integer> counts = new ArrayList<>();
        for (int index = 0; index < 5; index++) {
            Run run = held("large-" + index);
            outbox.put(run, Outcome.succeeded(run, "x".repeat((1 << 20) - 1000)));
        }
        for (WorkRequest request = outbox.frame(); request != null; request = outbox.frame()) {
            counts.add(request.getResultsCount());
        }
        assertEquals(List.of(3, 2), counts);
    }

    @Test
    void leasesAreRenewed1000AtATime() {
        for (int index = 0; index < 1500; index++) {
            held("run-" + index);
        }
        outbox.renew();
        assertEquals(1000, outbox.frame().getRenewalsCount());
        assertEquals(500, outbox.frame().getRenewalsCount());
        assertNull(outbox.frame());
    }
}
