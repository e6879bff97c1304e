package taskwheel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

const (
	firstDelay = 200 * time.Millisecond
	lastDelay  = 10 * time.Second
	// A worker that stops has only its grace to bring home what it has.
	stoppingDelay = 500 * time.Millisecond
	// Once the grace is over: for handlers to hear that they are cancelled, and for the last results to arrive.
	afterGrace = 5 * time.Second
)

// Handler works on a run. What it returns, anything that encoding/json takes, is the result of the run; its error, or
// its panic, is the error of the run, see ErrorNamer.
//
// The context ends when the run is to stop: context.Cause then tells whether it is ErrRunCancelled, ErrLeaseLost or
// ErrWorkerStopped. A handler whose run was cancelled should return that error, or that of the context.
type Handler func(ctx context.Context, run *Run) (any, error)

// Why the context of a handler ends before the handler does. (LeaseLost is another thing: the Reason of a call that the
// server refuses.)
var (
	ErrRunCancelled  = errors.New("the run was cancelled")
	ErrLeaseLost     = errors.New("the run belongs to this worker no more: its lease was lost")
	ErrWorkerStopped = errors.New("the worker stopped")
)

// WorkerOptions are what a worker may be told; the zero value is fine.
type WorkerOptions struct {
	// MaxConcurrentRuns is how many runs it works on at a time, 1 to 10,000. Default: 100.
	MaxConcurrentRuns int32
	// ID is a name for it, which runs carry. Default: the host and the process id.
	ID string
	// Grace is how long runs may still take once the context of Run has ended; then their contexts end too. Default:
	// 30 seconds. Negative: none.
	Grace time.Duration
	// Logger is told of connections and of lost leases. Default: slog.Default().
	Logger *slog.Logger
}

// Worker works runs of the handlers it has, until it is stopped. The connection is kept: after a break it connects
// again, goes on with the runs it holds, and delivers the results that it could not deliver. Made by Client.NewWorker.
type Worker struct {
	client   *Client
	options  WorkerOptions
	handlers map[string]Handler
}

// NewWorker makes a worker that uses the client's connection. It has no handlers yet.
func (c *Client) NewWorker(options WorkerOptions) *Worker {
	host, _ := os.Hostname()
	options.MaxConcurrentRuns = cmp.Or(options.MaxConcurrentRuns, 100)
	options.ID = cmp.Or(options.ID, fmt.Sprintf("%s:%d", host, os.Getpid()))
	options.Grace = cmp.Or(options.Grace, 30*time.Second)
	options.Logger = cmp.Or(options.Logger, slog.Default())
	return &Worker{client: c, options: options, handlers: map[string]Handler{}}
}

// Handle registers a function for the runs of tasks whose handler has this name. It panics if the name has one
// already. To be called before Run.
func (w *Worker) Handle(name string, handler Handler) {
	if _, taken := w.handlers[name]; taken {
		panic(fmt.Sprintf("taskwheel: there is a handler %q already", name))
	}
	w.handlers[name] = handler
}

// Run works until the context ends. Then it begins nothing more, hands back what has not begun, and finishes what is
// under way, within the grace. It returns nil after that, and an error if the server refuses the worker, if the client is
// closed, or if there are no handlers.
func (w *Worker) Run(ctx context.Context) error {
	if len(w.handlers) == 0 {
		return errors.New("taskwheel: the worker has no handlers")
	}
	out := newOutbox()
	exec := newExecutor(w.handlers, int(w.options.MaxConcurrentRuns), out, w.options.Logger, context.WithoutCancel(ctx))
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- w.stayConnected(working, ctx, out, exec) }()
	err, over := within(ended, ctx.Done())
	if !over {
		exec.drain()
		err, over = within(ended, time.After(w.options.Grace))
	}
	exec.drain()
	exec.interrupt()
	if !over {
		err, over = within(ended, time.After(afterGrace))
	}
	cancel()
	if !over {
		<-ended
	}
	w.deliver(context.WithoutCancel(ctx), out)
	return err
}

// within waits for an error, until the limit at most.
func within[T any](ended <-chan error, limit <-chan T) (error, bool) {
	select {
	case err := <-ended:
		return err, true
	case <-limit:
		return nil, false
	}
}

func (w *Worker) stayConnected(working, stopping context.Context, out *outbox, exec *executor) error {
	hello := &pb.Hello{
		WorkerId:          w.options.ID,
		Handlers:          slices.Sorted(maps.Keys(w.handlers)),
		MaxConcurrentRuns: w.options.MaxConcurrentRuns,
	}
	over := func() bool { return stopping.Err() != nil && out.settled() }
	delay, told := firstDelay, false
	for !over() {
		s := &stream{client: w.client, hello: hello, out: out, exec: exec, logger: w.options.Logger}
		err := s.work(working)
		if working.Err() != nil {
			return nil
		}
		if err != nil {
			if !broken(err) || w.client.conn.GetState() == connectivity.Shutdown {
				return err
			}
			if s.welcomed || !told { // once an outage
				w.options.Logger.Warn("taskwheel: no connection, trying again", "worker", w.options.ID, "error", err)
			}
		}
		told = err != nil
		if s.welcomed {
			delay = firstDelay
		}
		pause := time.Duration(float64(delay) * (0.5 + rand.Float64()/2))
		if stopping.Err() == nil {
			sleep(stopping, pause)
		} else if !over() {
			sleep(working, min(pause, stoppingDelay))
		}
		delay = min(2*delay, lastDelay)
	}
	return nil
}

// broken tells what servers and proxies that end make of a stream; anything else is a refusal.
func broken(err error) bool {
	switch codeOf(err) {
	case codes.Unavailable, codes.Canceled, codes.Internal, codes.Unknown, codes.ResourceExhausted:
		return true
	}
	return false
}

// deliver says by single calls what the stream could not deliver before the worker ended; lines before results.
func (w *Worker) deliver(ctx context.Context, out *outbox) {
	out.restore()
	for frame := out.frame(); frame != nil; frame = out.frame() {
		var errs []error
		for _, lines := range frame.GetLogs() {
			_, err := w.client.Workers.AppendLogs(ctx, lines)
			errs = append(errs, err)
		}
		if len(frame.GetResults()) > 0 {
			_, err := w.client.Workers.CompleteTaskRuns(ctx, &pb.CompleteTaskRunsRequest{Results: frame.GetResults()})
			errs = append(errs, err)
		}
		for _, err := range errs {
			if err == nil {
				continue
			}
			w.options.Logger.Warn("taskwheel: what the worker had left could not be delivered", "error", err)
			if broken(err) || codeOf(err) == codes.DeadlineExceeded {
				return
			}
		}
	}
}
