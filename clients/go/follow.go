package taskwheel

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// How long one WaitTaskRun waits. Shorter than what proxies allow an idle call.
const maxWait = 30 * time.Second

// Tries to take a broken connection up again, about 30 s in all: a restart takes seconds, an outage should be heard of.
const maxTries = 10

// patience decides whether a connection that broke is taken up again: if it ever stood, and not for ever.
type patience struct {
	since    time.Time
	failures int
}

func (c *Client) newPatience() *patience {
	if c.stood.Load() {
		return &patience{time.Now(), 0}
	}
	return &patience{time.Now(), maxTries}
}

// answered tells that the connection stands.
func (p *patience) answered() { p.failures = 0 }

// after lets some time pass before the next try, or answers the error.
func (p *patience) after(ctx context.Context, err error) error {
	broken := codeOf(err) == codes.Unavailable || errors.Is(err, SubscriberTooSlow)
	if time.Since(p.since) > time.Second { // what is refused is refused at once
		p.answered()
	}
	if !broken || p.failures >= maxTries {
		return err
	}
	pause := min(100*time.Millisecond<<p.failures, 5*time.Second)
	if sleep(ctx, time.Duration(float64(pause)*(0.5+rand.Float64()/2))) != nil {
		return newError(ctx, status.FromContextError(ctx.Err()).Err())
	}
	p.failures++
	p.since = time.Now()
	return nil
}

// Wait answers a run once it is done, however it ended; a restart of the server meanwhile is waited out. It waits for
// the timeout of the request, which may be of any length; if that is unset, until the deadline of the context; without
// one, for DefaultWait.
//
// The error is a *RunNotDoneError if that time has passed; the run then goes on.
func (c *Client) Wait(ctx context.Context, request *pb.WaitTaskRunRequest) (*pb.TaskRun, error) {
	request = proto.CloneOf(request)
	deadline := time.Now().Add(lengthOf(ctx, request))
	pausing, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	patience := c.newPatience()
	for {
		left := min(max(time.Until(deadline), 0), maxWait)
		request.Timeout = durationpb.New(left)
		run, err := c.Runs.WaitTaskRun(ctx, request)
		over := time.Until(deadline) <= 0
		switch {
		case err != nil:
			if err := patience.after(pausing, err); err != nil {
				return nil, err
			}
			continue
		case run.GetDone():
			return run, nil
		case over:
			return nil, &RunNotDoneError{run}
		}
		patience.answered()
	}
}

// lengthOf is how long to wait.
func lengthOf(ctx context.Context, request *pb.WaitTaskRunRequest) time.Duration {
	if request.Timeout != nil {
		return request.GetTimeout().AsDuration()
	}
	if deadline, bounded := ctx.Deadline(); bounded {
		left := time.Until(deadline)
		return left - min(left/5, time.Second/2) // leaves time for the answer
	}
	return DefaultWait
}

// ListTasks iterates over all tasks that match the request, page by page as they are asked for; nil: over all tasks,
// newest first. An error ends it.
func (c *Client) ListTasks(ctx context.Context, request *pb.ListTasksRequest) iter.Seq2[*pb.Task, error] {
	request = copyOf(request)
	return items(func(token string) ([]*pb.Task, string, error) {
		request.PageToken = token
		page, err := c.Tasks.ListTasks(ctx, request)
		return page.GetTasks(), page.GetNextPageToken(), err
	})
}

// ListRuns iterates over all runs that match the request, page by page as they are asked for; nil: over all runs,
// newest first. They have neither payload nor result unless the view is FULL. An error ends it.
func (c *Client) ListRuns(ctx context.Context, request *pb.ListTaskRunsRequest) iter.Seq2[*pb.TaskRun, error] {
	request = copyOf(request)
	return items(func(token string) ([]*pb.TaskRun, string, error) {
		request.PageToken = token
		page, err := c.Runs.ListTaskRuns(ctx, request)
		return page.GetTaskRuns(), page.GetNextPageToken(), err
	})
}

// ListEvents iterates over all events that are kept and match the request, page by page; nil: over all of them, newest
// first. An error ends it.
func (c *Client) ListEvents(ctx context.Context, request *pb.ListEventsRequest) iter.Seq2[*pb.Event, error] {
	request = copyOf(request)
	return items(func(token string) ([]*pb.Event, string, error) {
		request.PageToken = token
		page, err := c.Events.ListEvents(ctx, request)
		return page.GetEvents(), page.GetNextPageToken(), err
	})
}

// copyOf is the caller's request to change, or an empty one for nil.
func copyOf[Request any, Message interface {
	*Request
	proto.Message
}](request Message) Message {
	if request == nil {
		return new(Request)
	}
	return proto.CloneOf(request)
}

// items iterates over what pages hold; page answers that of a token and the token of the next one.
func items[Item any](page func(token string) ([]Item, string, error)) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for token := ""; ; {
			found, next, err := page(token)
			if err != nil {
				var none Item
				yield(none, err)
				return
			}
			for _, item := range found {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}

// WatchEvents iterates over events as they happen, in order and each once; a broken connection is taken up again where
// it broke. It answers once the watch stands, so that nothing done after it is missed, and may be iterated over once.
// It ends with the context, with the loop, or with an error; nil as the request means all events from now on.
//
// The error is of the code OutOfRange if events after the request's after_sequence are no longer kept, or if it lies
// ahead.
func (c *Client) WatchEvents(ctx context.Context, request *pb.WatchEventsRequest) (iter.Seq2[*pb.Event, error], error) {
	request = copyOf(request)
	stream := &follower[pb.WatchEventsResponse]{
		ctx: ctx,
		open: func(ctx context.Context) (grpc.ServerStreamingClient[pb.WatchEventsResponse], error) {
			return c.Events.WatchEvents(ctx, request)
		},
		advance:  func(response *pb.WatchEventsResponse) { request.AfterSequence = &response.Sequence },
		patience: c.newPatience(),
		endless:  true,
		first:    c.timeout,
	}
	response, err := stream.read()
	if err != nil {
		return nil, err
	}
	return func(yield func(*pb.Event, error) bool) {
		defer stream.close()
		for ; err == nil; response, err = stream.read() {
			for _, event := range response.GetEvents() {
				if !yield(event, nil) {
					return
				}
			}
		}
		yield(nil, err)
	}, nil
}

// FollowLogs iterates over what a run wrote and, if the request says follow, over what it writes until it is done; a
// broken connection is taken up again where it broke. It ends then, with the context, with the loop, or with an error.
func (c *Client) FollowLogs(ctx context.Context, request *pb.StreamTaskRunLogsRequest) iter.Seq2[*pb.LogEntry, error] {
	return func(yield func(*pb.LogEntry, error) bool) {
		request := copyOf(request) // moves on, and each loop begins with the first entry
		stream := &follower[pb.StreamTaskRunLogsResponse]{
			ctx: ctx,
			open: func(ctx context.Context) (grpc.ServerStreamingClient[pb.StreamTaskRunLogsResponse], error) {
				return c.Runs.StreamTaskRunLogs(ctx, request)
			},
			advance: func(response *pb.StreamTaskRunLogsResponse) {
				for _, entry := range response.GetEntries() {
					request.Name, request.AfterSequence = entry.GetRun(), entry.GetSequence()
				}
			},
			patience: c.newPatience(),
		}
		if !request.GetFollow() {
			stream.first, stream.next = c.timeout, c.timeout
		}
		defer stream.close()
		for {
			response, err := stream.read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, entry := range response.GetEntries() {
				if !yield(entry, nil) {
					return
				}
			}
		}
	}
}

// follower reads a stream that is opened again, where it ended, when it breaks.
type follower[Response any] struct {
	ctx      context.Context
	open     func(context.Context) (grpc.ServerStreamingClient[Response], error)
	advance  func(*Response) // moves the request on to what follows the response
	patience *patience
	endless  bool          // whether its end is that of a server, not of what there is to read
	first    time.Duration // the time for the first response of a stream; 0: any
	next     time.Duration // the time for each of the others

	stream    grpc.ServerStreamingClient[Response]
	streamCtx context.Context
	cancel    context.CancelCauseFunc
}

// errSilence is of a server that does not answer in time.
var errSilence = status.Error(codes.DeadlineExceeded, "the server has not answered in time")

// read is the next response, or io.EOF at its end.
func (f *follower[Response]) read() (*Response, error) {
	for {
		response, err := f.receive()
		if err == nil {
			f.patience.answered()
			f.advance(response)
			return response, nil
		}
		f.close()
		if errors.Is(err, io.EOF) {
			if !f.endless {
				return nil, err
			}
			err = newError(f.ctx, status.Error(codes.Unavailable, "the server has ended the stream"))
		}
		if err := f.patience.after(f.ctx, err); err != nil {
			return nil, err
		}
	}
}

func (f *follower[Response]) receive() (*Response, error) {
	limit, begun := f.next, f.stream != nil
	if !begun {
		limit = f.first
		f.streamCtx, f.cancel = context.WithCancelCause(f.ctx)
	}
	if limit > 0 {
		defer time.AfterFunc(limit, func() { f.cancel(errSilence) }).Stop()
	}
	var response *Response
	var err error
	if !begun {
		f.stream, err = f.open(f.streamCtx)
	}
	if err == nil {
		response, err = f.stream.Recv()
	}
	if err != nil && context.Cause(f.streamCtx) == errSilence {
		err = newError(f.ctx, errSilence)
	}
	return response, err
}

func (f *follower[Response]) close() {
	if f.cancel != nil {
		f.cancel(nil)
	}
	f.stream = nil
}
