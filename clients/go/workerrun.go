package taskwheel

import (
	"context"
	"log/slog"
	"math"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

const maxProgressMessage = 1024

// Run is a run in the hands of its handler: the message of the API as it was assigned, and what the handler tells of
// it. All of it may be used by any number of goroutines.
type Run struct {
	*pb.TaskRun

	token string
	ctx   context.Context
	stop  context.CancelCauseFunc
	out   *outbox

	// Guarded by the outbox.
	lost       bool
	progressed *pb.Progress
}

// Bind stores the payload in the value that target points to, as Decode does. The generated GetPayload().AsMap() has
// it as a map.
func (r *Run) Bind(target any) error {
	return Decode(r.GetPayload(), target)
}

// Log writes to the log of the run, which callers can follow.
func (r *Run) Log() *slog.Logger {
	return slog.New(logHandler{run: r})
}

// Progress tells how far the run has come: the part of the work that is done, 0 to 1 (what lies outside is taken as the
// nearer of them), and what is being done, for people, up to 1,024 characters. It is sent at most ten times a second,
// the last one always.
func (r *Run) Progress(ratio float64, message string) {
	if math.IsNaN(ratio) {
		ratio = 0
	}
	if runes := []rune(clip(message, 4*maxProgressMessage)); len(runes) > maxProgressMessage {
		message = string(runes[:maxProgressMessage])
	}
	ratio = min(max(ratio, 0), 1)
	r.out.tellProgress(r, &pb.Progress{Ratio: ratio, Message: clip(message, 4*maxProgressMessage)})
}

func (r *Run) lease() *pb.Lease {
	return &pb.Lease{Run: r.GetName(), Attempt: r.GetAttempt(), LeaseToken: r.token}
}
