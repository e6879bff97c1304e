package taskwheel

import (
	"fmt"
	"strings"
	"testing"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// held are runs that an outbox holds, named 0, 1, and so on.
func held(out *outbox, count int) []*Run {
	runs := make([]*Run, count)
	for i := range runs {
		runs[i] = &Run{TaskRun: &pb.TaskRun{Name: fmt.Sprint(i), Attempt: 1}, out: out}
	}
	out.take(runs)
	return runs
}

func result(run *Run) *pb.RunResult { return &pb.RunResult{Run: run.GetName()} }

// names are those of the results in a frame.
func names(frame *pb.WorkRequest) string {
	var found []string
	for _, one := range frame.GetResults() {
		found = append(found, one.GetRun())
	}
	return strings.Join(found, " ")
}

func TestWhatIsNotAcknowledgedGoesFirstOnTheNextStreamInItsOrder(t *testing.T) {
	out := newOutbox()
	runs := held(out, 6)
	for _, run := range runs[:4] {
		out.put(run, result(run))
	}
	if got := names(out.frame()); got != "0 1 2 3" {
		t.Error(got)
	}
	out.acknowledge([]*pb.Acknowledgement{{Run: "1"}})
	out.put(runs[4], result(runs[4]))
	out.restore()
	if renewals := out.frame().GetRenewals(); len(renewals) != 2 {
		t.Error("not the leases of what is held:", renewals)
	}
	if got := names(out.frame()); got != "0 2 3 4" {
		t.Error(got)
	}
	if out.frame() != nil || out.delivered() || out.settled() {
		t.Error("there is something to send, or nothing to wait for")
	}
}

func TestAFrameHasAtMostAThousandItemsAndThreeMebibytes(t *testing.T) {
	out := newOutbox()
	for _, run := range held(out, 2500) {
		out.put(run, result(run))
	}
	for _, count := range []int{1000, 1000, 500} {
		if got := len(out.frame().GetResults()); got != count {
			t.Error(got)
		}
	}
	big := &pb.RunError{Stack: strings.Repeat("x", 1<<20)}
	for _, run := range held(out, 5) {
		out.put(run, &pb.RunResult{Run: run.GetName(), Outcome: &pb.RunResult_Error{Error: big}})
	}
	for _, count := range []int{2, 2, 1} {
		if got := len(out.frame().GetResults()); got != count {
			t.Error(got)
		}
	}
}

func TestNothingIsSentOfARunThatWasLost(t *testing.T) {
	out := newOutbox()
	runs := held(out, 2)
	for _, run := range runs {
		out.put(run, &pb.LogEntry{Message: "m"})
	}
	out.find(&pb.Cancellation{Run: "0", Attempt: 1}, true)
	out.put(runs[0], result(runs[0]))
	out.renew()
	if renewals := out.frame().GetRenewals(); len(renewals) != 1 || renewals[0].GetRun() != "1" {
		t.Error(renewals)
	}
	if frame := out.frame(); len(frame.GetLogs()) != 1 || frame.GetLogs()[0].GetRun() != "1" || names(frame) != "" {
		t.Error(frame)
	}
}

func TestTheLastProgressGoesBeforeTheResult(t *testing.T) {
	out := newOutbox()
	run := held(out, 1)[0]
	run.Progress(0.3, "a")
	run.Progress(2, strings.Repeat("é", 2000))
	out.put(run, result(run))
	progress := out.frame().GetRenewals()[0].GetProgress()
	if progress.GetRatio() != 1 || len([]rune(progress.GetMessage())) != 1024 || names(out.frame()) != "0" {
		t.Error(progress)
	}
}
