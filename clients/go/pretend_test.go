package taskwheel

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// pretended is a server of tasks and workers that answers as a test says, and tells what it was asked.
type pretended struct {
	streams silent
	pb.UnimplementedTaskServiceServer
	pb.UnimplementedWorkerServiceServer
	runTask func(ctx context.Context, request *pb.RunTaskRequest) (*pb.TaskRun, error)
	batch   func(ctx context.Context, request *pb.BatchRunTasksRequest) ([]*pb.TaskRun, error)

	mu      sync.Mutex
	singles []*pb.RunTaskRequest
	batches []*pb.BatchRunTasksRequest
	claims  int
}

// silent does not answer who follows a log, and cuts short who watches; or does as it is told.
type silent struct {
	pb.UnimplementedTaskRunServiceServer
	pb.UnimplementedEventServiceServer
	watch func(*pb.WatchEventsRequest, pb.EventService_WatchEventsServer) error
	log   func(*pb.StreamTaskRunLogsRequest, pb.TaskRunService_StreamTaskRunLogsServer) error
}

func (s silent) StreamTaskRunLogs(request *pb.StreamTaskRunLogsRequest, stream pb.TaskRunService_StreamTaskRunLogsServer) error {
	if s.log != nil {
		return s.log(request, stream)
	}
	<-stream.Context().Done()
	return nil
}

func (s silent) WatchEvents(request *pb.WatchEventsRequest, stream pb.EventService_WatchEventsServer) error {
	if s.watch != nil {
		return s.watch(request, stream)
	}
	return status.Error(codes.Canceled, "")
}

func pretend(t *testing.T, p *pretended, opts ...Option) *Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	server := grpc.NewServer()
	pb.RegisterTaskServiceServer(server, p)
	pb.RegisterWorkerServiceServer(server, p)
	pb.RegisterTaskRunServiceServer(server, p.streams)
	pb.RegisterEventServiceServer(server, p.streams)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return connect(t, listener.Addr().String(), opts...)
}

func (p *pretended) RunTask(ctx context.Context, request *pb.RunTaskRequest) (*pb.TaskRun, error) {
	p.mu.Lock()
	p.singles = append(p.singles, request)
	p.mu.Unlock()
	if p.runTask != nil {
		return p.runTask(ctx, request)
	}
	return &pb.TaskRun{Name: "single-" + request.GetRequestId()}, nil
}

func (p *pretended) BatchRunTasks(ctx context.Context, request *pb.BatchRunTasksRequest) (*pb.BatchRunTasksResponse, error) {
	p.mu.Lock()
	p.batches = append(p.batches, request)
	p.mu.Unlock()
	if p.batch != nil {
		runs, err := p.batch(ctx, request)
		return &pb.BatchRunTasksResponse{TaskRuns: runs}, err
	}
	return &pb.BatchRunTasksResponse{TaskRuns: answers(request)}, nil
}

func answers(request *pb.BatchRunTasksRequest) []*pb.TaskRun {
	var runs []*pb.TaskRun
	for _, one := range request.GetRequests() {
		runs = append(runs, &pb.TaskRun{Name: "batched-" + one.GetRequestId()})
	}
	return runs
}

func (p *pretended) ClaimTaskRuns(context.Context, *pb.ClaimTaskRunsRequest) (*pb.ClaimTaskRunsResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims++
	return nil, status.Error(codes.Unavailable, "")
}

var anything = map[string]any{"n": 1}

func TestACallThatWasNotDeliveredIsRepeatedWithTheSameRequestID(t *testing.T) {
	server := &pretended{}
	server.runTask = func(_ context.Context, request *pb.RunTaskRequest) (*pb.TaskRun, error) {
		if len(server.singles) < 3 {
			return nil, status.Error(codes.Unavailable, "")
		}
		return &pb.TaskRun{}, nil
	}
	request := &pb.RunTaskRequest{Name: "x"}
	_, err := pretend(t, server).Tasks.RunTask(soon(t), request)
	check(t, err)
	id := server.singles[0].GetRequestId()
	if len(server.singles) != 3 || id == "" || id != server.singles[1].GetRequestId() || id != server.singles[2].GetRequestId() {
		t.Error(server.singles)
	}
	if request.GetRequestId() != "" {
		t.Error("the caller's request was changed")
	}
}

func TestAfterTheLastTryTheErrorIsThatOfTheServer(t *testing.T) {
	busy, err := status.New(codes.Unavailable, "the store is busy").WithDetails(
		&errdetails.ErrorInfo{Reason: string(StoreBusy), Metadata: map[string]string{"store": "sqlite"}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)},
	)
	check(t, err)
	server := &pretended{runTask: func(context.Context, *pb.RunTaskRequest) (*pb.TaskRun, error) { return nil, busy.Err() }}
	_, err = pretend(t, server).Run(soon(t), "x", nil)
	var told *Error
	if !errors.As(err, &told) || len(server.singles) != 4 || err.Error() != "the store is busy [STORE_BUSY]" ||
		told.Metadata["store"] != "sqlite" || told.RetryAfter != time.Second || len(status.Convert(err).Details()) != 2 {
		t.Error(err, len(server.singles), told)
	}
}

func TestAStreamThatAServerCutsShortIsUnavailable(t *testing.T) {
	if _, err := pretend(t, &pretended{}).WatchEvents(soon(t), nil); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}

func TestAWatchThatAServerEndsIsTakenUpAgain(t *testing.T) {
	var asked atomic.Int64
	client := pretend(t, &pretended{streams: silent{
		watch: func(request *pb.WatchEventsRequest, stream pb.EventService_WatchEventsServer) error {
			asked.Add(1)
			next := request.GetAfterSequence() + 1
			return stream.Send(&pb.WatchEventsResponse{Sequence: next, Events: []*pb.Event{{Sequence: next}}})
		},
	}})
	_, err := client.Tasks.RunTask(soon(t), &pb.RunTaskRequest{Name: "x"}) // it has stood
	check(t, err)
	events, err := client.WatchEvents(soon(t), nil)
	check(t, err)
	var seen []int64
	for event, err := range events {
		check(t, err)
		if seen = append(seen, event.GetSequence()); len(seen) == 3 {
			break
		}
	}
	if !slices.Equal(seen, []int64{1, 2, 3}) || asked.Load() != 3 {
		t.Error(seen, asked.Load())
	}
}

func TestAnEmptyPieceOfALogIsNone(t *testing.T) {
	client := pretend(t, &pretended{streams: silent{
		log: func(_ *pb.StreamTaskRunLogsRequest, stream pb.TaskRunService_StreamTaskRunLogsServer) error {
			return stream.Send(&pb.StreamTaskRunLogsResponse{})
		},
	}})
	for entry, err := range client.FollowLogs(soon(t), &pb.StreamTaskRunLogsRequest{Name: "x"}) {
		t.Error(entry, err)
	}
}

func TestASilentServerIsNotWaitedFor(t *testing.T) {
	client := pretend(t, &pretended{}, WithTimeout(200*time.Millisecond))
	for _, err := range client.FollowLogs(context.Background(), &pb.StreamTaskRunLogsRequest{Name: "x"}) {
		if status.Code(err) != codes.DeadlineExceeded {
			t.Error(err)
		}
	}
}

func TestAClaimIsNotRepeated(t *testing.T) {
	server := &pretended{}
	_, err := pretend(t, server).Workers.ClaimTaskRuns(soon(t), &pb.ClaimTaskRunsRequest{})
	if status.Code(err) != codes.Unavailable || server.claims != 1 {
		t.Error(err, server.claims)
	}
}

func TestACallWithoutADeadlineHasOne(t *testing.T) {
	var left atomic.Int64
	server := &pretended{runTask: func(ctx context.Context, _ *pb.RunTaskRequest) (*pb.TaskRun, error) {
		deadline, _ := ctx.Deadline()
		left.Store(int64(time.Until(deadline)))
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	_, err := pretend(t, server, WithTimeout(300*time.Millisecond)).Run(context.Background(), "x", nil)
	if !errors.Is(err, context.DeadlineExceeded) || status.Code(err) != codes.DeadlineExceeded {
		t.Error(err)
	}
	if left := time.Duration(left.Load()); left <= 0 || left > 300*time.Millisecond {
		t.Error(left)
	}
}

func TestCredentialsGoWithEachCall(t *testing.T) {
	var sent metadata.MD
	server := &pretended{runTask: func(ctx context.Context, _ *pb.RunTaskRequest) (*pb.TaskRun, error) {
		sent, _ = metadata.FromIncomingContext(ctx)
		return &pb.TaskRun{}, nil
	}}
	client := pretend(t, server, WithAPIKey("k1"), WithMetadata(map[string]string{"x-team": "blue"}))
	_, err := client.Run(metadata.AppendToOutgoingContext(soon(t), "x-call", "1"), "x", nil)
	check(t, err)
	for name, value := range map[string]string{"authorization": "Bearer k1", "x-team": "blue", "x-call": "1"} {
		if got := sent.Get(name); len(got) != 1 || got[0] != value {
			t.Error(name, got)
		}
	}
}
