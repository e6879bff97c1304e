package taskwheel

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// The bounds of one BatchRunTasks; a whole message may have 4 MiB.
const (
	batchRuns  = 1000
	batchBytes = 3 << 20
)

// RunOption sets a field of the request for a run, or how long to wait for it.
type RunOption func(*runCall)

type runCall struct {
	request *pb.RunTaskRequest
	wait    *durationpb.Duration
}

// WithPriority replaces the priority of the task; higher goes first.
func WithPriority(priority int32) RunOption {
	return func(c *runCall) { c.request.Priority = &priority }
}

// WithScheduleTime sets the earliest time at which the run may start.
func WithScheduleTime(instant time.Time) RunOption {
	return func(c *runCall) { c.request.ScheduleTime = timestamppb.New(instant) }
}

// WithTags adds tags to those of the task.
func WithTags(tags ...string) RunOption {
	return func(c *runCall) { c.request.Tags = append(c.request.Tags, tags...) }
}

// WithLabels adds labels to those of the task.
func WithLabels(labels map[string]string) RunOption {
	return func(c *runCall) { c.request.Labels = labels }
}

// WithRequestID makes the call safe to repeat by the caller: the same id answers the same run. One is made for each
// call when none is given.
func WithRequestID(id string) RunOption {
	return func(c *runCall) { c.request.RequestId = id }
}

// WithWait sets how long RunWithResult waits. Default: until the deadline of the context; without one, for DefaultWait.
func WithWait(length time.Duration) RunOption {
	return func(c *runCall) { c.wait = durationpb.New(length) }
}

// NewRunRequest makes the request for a run. See Run.
func NewRunRequest(task string, payload any, opts ...RunOption) (*pb.RunTaskRequest, error) {
	call, err := newRunCall(task, payload, opts)
	return call.request, err
}

func newRunCall(task string, payload any, opts []RunOption) (call runCall, err error) {
	request := &pb.RunTaskRequest{Name: task}
	if payload != nil {
		object, err := Payload(payload)
		if err != nil {
			return call, err
		}
		request.Input = &pb.RunTaskRequest_Payload{Payload: object}
	}
	call.request = request
	for _, option := range opts {
		option(&call)
	}
	if request.RequestId == "" {
		request.RequestId = mintRequestID()
	}
	return call, nil
}

// Run starts a run of a task, and answers it as it was admitted. Runs with a payload that concurrent callers start
// share a call of the server, see WithCoalescing.
//
// The task is known by its id, its full name or its uid. The payload is what the handler is given: nil for that of the
// task, or what function Payload takes.
//
// The error is an *UnsupportedValueError if the payload is not JSON, else an *Error.
func (c *Client) Run(ctx context.Context, task string, payload any, opts ...RunOption) (*pb.TaskRun, error) {
	request, err := NewRunRequest(task, payload, opts...)
	if err != nil {
		return nil, err
	}
	return c.start(ctx, request)
}

func (c *Client) start(ctx context.Context, request *pb.RunTaskRequest) (*pb.TaskRun, error) {
	if c.coalescer == nil || request.Input == nil {
		return c.Tasks.RunTask(ctx, request)
	}
	return c.coalescer.run(ctx, request)
}

// RunMany starts several runs, of one task or several, and answers them in the same order, without payload.
//
// Up to 1,000 runs and 3 MiB go into one transaction; more are split, and then earlier ones stand when a later one is
// at fault: they are answered beside the error.
func (c *Client) RunMany(ctx context.Context, requests []*pb.RunTaskRequest) ([]*pb.TaskRun, error) {
	runs := make([]*pb.TaskRun, 0, len(requests))
	for len(requests) > 0 {
		size := batchSize(requests, func(r *pb.RunTaskRequest) *pb.RunTaskRequest { return r })
		answer, err := c.Tasks.BatchRunTasks(ctx, &pb.BatchRunTasksRequest{Requests: requests[:size]})
		if err != nil {
			return runs, err
		}
		runs, requests = append(runs, answer.GetTaskRuns()...), requests[size:]
	}
	return runs, nil
}

// batchSize is how many of the items fit into one batch, at least 1.
func batchSize[Item any](items []Item, request func(Item) *pb.RunTaskRequest) int {
	bytes := 0
	for i, item := range items {
		bytes += proto.Size(request(item)) + 8
		if i == batchRuns || i > 0 && bytes > batchBytes {
			return i
		}
	}
	return len(items)
}

// RunWithResult runs a task, waits for its last attempt, and stores what the handler returned in the value that result
// points to, as Decode does; nil leaves it out. How long it waits is told at WithWait.
//
// The error is a *RunFailedError if the run ended otherwise than SUCCEEDED, and a *RunNotDoneError if the time has
// passed; the run then goes on.
func (c *Client) RunWithResult(ctx context.Context, task string, payload, result any, opts ...RunOption) error {
	call, err := newRunCall(task, payload, opts)
	if err != nil {
		return err
	}
	started, err := c.start(ctx, call.request)
	if err != nil {
		return err
	}
	wait := &pb.WaitTaskRunRequest{Name: started.GetName(), FollowRetries: true, Timeout: call.wait}
	run, err := c.Wait(ctx, wait)
	var unanswered *Error
	switch {
	case errors.As(err, &unanswered) && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &RunNotDoneError{started}
	case err != nil:
		return err
	case run.GetState() != pb.TaskRun_SUCCEEDED:
		return &RunFailedError{run}
	case result == nil:
		return nil
	}
	return Decode(run.GetResult(), result)
}
