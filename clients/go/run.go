package taskwheel

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// The bounds of one BatchRunTasks; a whole message may have 4 MiB.
const (
	batchRuns  = 1000
	batchBytes = 3 << 20
)

// RunOption sets a field of the request for a run.
type RunOption func(*pb.RunTaskRequest)

// WithPriority replaces the priority of the task; higher goes first.
func WithPriority(priority int32) RunOption {
	return func(r *pb.RunTaskRequest) { r.Priority = &priority }
}

// WithScheduleTime sets the earliest time at which the run may start.
func WithScheduleTime(instant time.Time) RunOption {
	return func(r *pb.RunTaskRequest) { r.ScheduleTime = timestamppb.New(instant) }
}

// WithTags adds tags to those of the task.
func WithTags(tags ...string) RunOption {
	return func(r *pb.RunTaskRequest) { r.Tags = append(r.Tags, tags...) }
}

// WithLabels adds labels to those of the task.
func WithLabels(labels map[string]string) RunOption {
	return func(r *pb.RunTaskRequest) { r.Labels = labels }
}

// WithRequestID makes the call safe to repeat by the caller: the same id answers the same run. One is made for each
// call when none is given.
func WithRequestID(id string) RunOption {
	return func(r *pb.RunTaskRequest) { r.RequestId = id }
}

// NewRunRequest makes the request for a run. See Run.
func NewRunRequest(task string, payload any, opts ...RunOption) (*pb.RunTaskRequest, error) {
	request := &pb.RunTaskRequest{Name: task}
	if payload != nil {
		object, err := Payload(payload)
		if err != nil {
			return nil, err
		}
		request.Input = &pb.RunTaskRequest_Payload{Payload: object}
	}
	for _, option := range opts {
		option(request)
	}
	if request.RequestId == "" {
		request.RequestId = mintRequestID()
	}
	return request, nil
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
// points to, as Decode does; nil leaves it out. Without a deadline of the context it waits for DefaultWait.
//
// The error is a *RunFailedError if the run ended otherwise than SUCCEEDED, and a *RunNotDoneError if the time has
// passed; the run then goes on.
func (c *Client) RunWithResult(ctx context.Context, task string, payload, result any, opts ...RunOption) error {
	ctx, cancel := withDefaultWait(ctx)
	defer cancel()
	run, err := c.Run(ctx, task, payload, opts...)
	if err != nil {
		return err
	}
	run, err = c.Wait(ctx, &pb.WaitTaskRunRequest{Name: run.GetName(), FollowRetries: true})
	if err != nil {
		return err
	}
	if run.GetState() != pb.TaskRun_SUCCEEDED {
		return &RunFailedError{run}
	}
	if result == nil {
		return nil
	}
	return Decode(run.GetResult(), result)
}
