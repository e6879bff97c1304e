package taskwheel

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// A batch waits for the callers of the one before for reunion at most, and only while they keep coming: a pause ends the
// wait.
const (
	reunion = 500 * time.Microsecond
	pause   = 50 * time.Microsecond
)

// coalescer starts runs, those of concurrent callers together.
//
// One call of RunTask costs client and server several times what an item of BatchRunTasks does. Calls that may share a
// batch are a lane: those of one namespace whose contexts carry the same metadata, so that none goes in another's name.
// A lane is
//
//   - closed: nothing of it is on its way. The next call opens it, and goes at once and alone, as RunTask;
//   - open: something is on its way, or has just been answered to callers who may be back in a moment. Calls wait and
//     then go together, up to 1,000 runs and 3 MiB at a time; when none waits, the lane is closed.
//
// So a lone caller waits for nobody, and batches grow with the load. Each call keeps an outcome of its own. A batch is
// refused whole for the fault of one run: then all its calls go alone, each to its own answer or error, and so does a
// call whose run a batch does not answer in full; its request_id makes that safe. Only what says nothing about a single
// run, such as a server that cannot be reached, is the error of all. A caller that gives up leaves the others alone.
//
// The price: a batch that is slow to return holds up the calls behind it, up to their own deadlines.
type coalescer struct {
	tasks   pb.TaskServiceClient
	timeout time.Duration

	mu    sync.Mutex
	lanes map[lane][]*call // what waits, by open lane
}

type lane struct{ parent, metadata string }

// call is a run that waits for its batch.
type call struct {
	ctx     context.Context
	request *pb.RunTaskRequest
	outcome chan outcome // has room for the only one
}

// outcome without run and error means: go alone.
type outcome struct {
	run *pb.TaskRun
	err error
}

func newCoalescer(tasks pb.TaskServiceClient, timeout time.Duration) *coalescer {
	return &coalescer{tasks: tasks, timeout: timeout, lanes: map[lane][]*call{}}
}

// run starts a run with payload and request_id, and answers what RunTask would.
func (c *coalescer) run(ctx context.Context, request *pb.RunTaskRequest) (*pb.TaskRun, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	own := lane{parentOf(request.GetName()), textOf(ctx)}
	mine := c.join(ctx, own, request)
	if mine == nil {
		defer c.goOn(own)
		return c.tasks.RunTask(ctx, request)
	}
	select {
	case done := <-mine.outcome:
		if done.run == nil && done.err == nil {
			return c.tasks.RunTask(ctx, request)
		}
		return done.run, done.err
	case <-ctx.Done():
		return nil, newError(ctx, status.FromContextError(ctx.Err()).Err())
	}
}

// join waits in a lane; nil: it was closed, and is open now.
func (c *coalescer) join(ctx context.Context, own lane, request *pb.RunTaskRequest) *call {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, open := c.lanes[own]
	if !open {
		c.lanes[own] = nil
		return nil
	}
	mine := &call{ctx, request, make(chan outcome, 1)}
	c.lanes[own] = append(waiting, mine)
	return mine
}

// take takes what waits; if nothing does, it closes the lane.
func (c *coalescer) take(own lane) []*call {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.lanes[own]
	if len(calls) == 0 {
		delete(c.lanes, own)
	} else {
		c.lanes[own] = nil
	}
	return calls
}

// goOn closes the lane, or sends what has come to wait.
func (c *coalescer) goOn(own lane) {
	if calls := c.take(own); len(calls) > 0 {
		go c.sendAll(own, calls)
	}
}

func (c *coalescer) sendAll(own lane, calls []*call) {
	for ; len(calls) > 0; calls = c.take(own) {
		crowd := 0
		for len(calls) > 0 {
			size := batchSize(calls, func(one *call) *pb.RunTaskRequest { return one.request })
			crowd = c.send(own, slices.DeleteFunc(calls[:size:size], func(one *call) bool { return one.ctx.Err() != nil }))
			calls = calls[size:]
		}
		c.gather(own, crowd)
	}
}

// gather gives callers that have just been answered, who often have the next run at hand, a moment to join those that
// wait already: without it, two halves of a crowd go by turns.
func (c *coalescer) gather(own lane, crowd int) {
	now := time.Now()
	end, last := now.Add(reunion), now
	for before := c.waiting(own); before < crowd && now.Before(end) && now.Sub(last) < pause; now = time.Now() {
		runtime.Gosched()
		if waiting := c.waiting(own); waiting != before {
			before, last = waiting, now
		}
	}
}

func (c *coalescer) waiting(own lane) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.lanes[own])
}

// send answers calls as one batch; crowd is how many callers the lane may have soon, those that wait included.
func (c *coalescer) send(own lane, calls []*call) (crowd int) {
	if len(calls) == 0 {
		return 0
	}
	// The batch has as long as the most patient of its callers; the others give up on their own.
	patient := slices.MaxFunc(calls, func(a, b *call) int { return deadlineOf(a).Compare(deadlineOf(b)) })
	ctx, cancel := context.WithDeadline(context.WithoutCancel(patient.ctx), deadlineOf(patient))
	defer cancel()
	batch := &pb.BatchRunTasksRequest{Parent: own.parent, Requests: make([]*pb.RunTaskRequest, len(calls))}
	for i, one := range calls {
		batch.Requests[i] = one.request
	}
	answer, err := c.tasks.BatchRunTasks(ctx, batch)
	switch codeOf(err) {
	case codes.OK:
		crowd = c.waiting(own) + len(calls)
		for i, one := range calls {
			one.outcome <- whole(one.request, answer.GetTaskRuns(), i)
		}
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		for _, one := range calls {
			one.outcome <- outcome{err: err}
		}
	default: // whatever it is, each call meets its own error alone
		for _, one := range calls {
			one.outcome <- outcome{}
		}
	}
	return crowd
}

func deadlineOf(one *call) time.Time {
	deadline, _ := one.ctx.Deadline()
	return deadline
}

// whole is a run in the answer to a batch as RunTask answers it, if it does not lack what the request does not tell.
func whole(request *pb.RunTaskRequest, runs []*pb.TaskRun, i int) outcome {
	if i >= len(runs) || runs[i].GetDone() {
		return outcome{}
	}
	run := runs[i]
	if len(request.Tags)+len(request.Labels) > 0 && len(run.Tags)+len(run.Labels) == 0 {
		return outcome{}
	}
	run.Input = &pb.TaskRun_Payload{Payload: request.GetPayload()}
	return outcome{run: run}
}

// parentOf is the namespace of a task, by the name it is called.
func parentOf(task string) string {
	if parts := strings.SplitN(task, "/", 3); len(parts) == 3 && parts[0] == "namespaces" {
		return parts[0] + "/" + parts[1]
	}
	return ""
}

// textOf is the metadata that a context carries, as text to compare.
func textOf(ctx context.Context) string {
	sent, _ := metadata.FromOutgoingContext(ctx)
	if len(sent) == 0 {
		return ""
	}
	return fmt.Sprintf("%q", map[string][]string(sent)) // sorted, and quoted: a value may hold any bytes
}
