package taskwheel

import (
	"context"
	"log/slog"
	"sync"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// executor holds the runs of a worker from their assignment to their result.
//
// After a reconnect the server may assign while runs of the last stream are still at work. So the bound is kept here
// too: what exceeds it waits, under its lease.
type executor struct {
	handlers map[string]Handler
	size     int
	out      *outbox
	logger   *slog.Logger
	base     context.Context // what the contexts of handlers are made of; it does not end

	mu       sync.Mutex
	waiting  []*Run
	atWork   int
	draining bool
}

func newExecutor(
	handlers map[string]Handler, size int, out *outbox, logger *slog.Logger, base context.Context,
) *executor {
	return &executor{handlers: handlers, size: size, out: out, logger: logger, base: base}
}

// assign starts runs, or hands them back when draining.
func (e *executor) assign(assignments []*pb.Assignment) {
	runs := make([]*Run, len(assignments))
	for i, assignment := range assignments {
		ctx, stop := context.WithCancelCause(e.base)
		runs[i] = &Run{TaskRun: assignment.GetRun(), token: assignment.GetLeaseToken(), ctx: ctx, stop: stop, out: e.out}
	}
	for _, run := range e.out.take(runs) {
		e.lose(run)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, run := range runs {
		switch {
		case e.draining:
			e.out.put(run, run.lease())
		case e.atWork < e.size:
			e.atWork++
			go e.work(run)
		default:
			e.waiting = append(e.waiting, run)
		}
	}
}

func (e *executor) work(run *Run) {
	report := &pb.RunResult{Run: run.GetName(), Attempt: run.GetAttempt(), LeaseToken: run.token}
	defer e.finish(run, report)
	result, err := perform(run.ctx, run, e.handlers[run.GetHandler()])
	setOutcome(report, result, err, context.Cause(run.ctx))
}

// finish reports a run, and begins one that waits.
func (e *executor) finish(run *Run, report *pb.RunResult) {
	if report.Outcome == nil {
		setOutcome(report, nil, errGoexit, nil)
	}
	run.stop(context.Canceled)
	e.out.put(run, report)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting) == 0 {
		e.atWork--
		return
	}
	next := e.waiting[0]
	e.waiting = e.waiting[1:]
	go e.work(next)
}

// cancel lets a run stop; what it reports is dropped if its lease is lost.
func (e *executor) cancel(cancellation *pb.Cancellation) {
	lost := cancellation.GetReason() != pb.Cancellation_CANCEL_REQUESTED
	run := e.out.find(cancellation, lost)
	switch {
	case run == nil:
	case lost:
		e.lose(run)
	default:
		run.stop(ErrRunCancelled)
	}
}

func (e *executor) lose(run *Run) {
	e.logger.Warn("taskwheel: a lease was lost", "run", run.GetName())
	run.stop(ErrLeaseLost)
}

// drain begins nothing more, and hands back what has not begun.
func (e *executor) drain() {
	e.mu.Lock()
	e.draining = true
	for _, run := range e.waiting {
		e.out.put(run, run.lease())
	}
	e.waiting = nil
	e.mu.Unlock()
	e.out.wake()
}

func (e *executor) isDraining() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.draining
}

// interrupt ends the contexts of all handlers. Those that heed it end as FAILED with the name WorkerStopped.
func (e *executor) interrupt() {
	for _, run := range e.out.all() {
		run.stop(ErrWorkerStopped)
	}
}
