package taskwheel

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// concurrently starts runs that come to wait, one after the other, while the first one, which goes alone, is on its way.
func concurrently(t *testing.T, client *Client, server *pretended, ctxs []context.Context) ([]*pb.TaskRun, []error) {
	t.Helper()
	arrived, release := make(chan struct{}), make(chan struct{})
	var first sync.Once
	after := server.runTask
	server.runTask = func(ctx context.Context, request *pb.RunTaskRequest) (*pb.TaskRun, error) {
		first.Do(func() { close(arrived); <-release })
		if after != nil {
			return after(ctx, request)
		}
		return &pb.TaskRun{Name: "single-" + request.GetRequestId()}, nil
	}
	runs, errs := make([]*pb.TaskRun, len(ctxs)), make([]error, len(ctxs))
	var callers sync.WaitGroup
	start := func(i int) {
		callers.Go(func() {
			runs[i], errs[i] = client.Run(ctxs[i], "x", anything, WithRequestID(string(rune('a'+i))))
		})
	}
	start(0)
	<-arrived
	for i := 1; i < len(ctxs); i++ {
		start(i)
		for waiting := 0; waiting < i; {
			runtime.Gosched()
			waiting = client.coalescer.waiting(lane{})
		}
	}
	close(release)
	callers.Wait()
	return runs, errs
}

func same(ctx context.Context, count int) []context.Context {
	ctxs := make([]context.Context, count)
	for i := range ctxs {
		ctxs[i] = ctx
	}
	return ctxs
}

func TestRunsThatComeMeanwhileGoTogether(t *testing.T) {
	server := &pretended{}
	runs, errs := concurrently(t, pretend(t, server), server, same(soon(t), 5))
	check(t, errors.Join(errs...))
	if len(server.singles) != 1 || len(server.batches) != 1 || len(server.batches[0].GetRequests()) != 4 {
		t.Error(len(server.singles), server.batches)
	}
	if runs[0].GetName() != "single-a" || runs[3].GetName() != "batched-d" || runs[3].GetPayload().AsMap()["n"] != 1.0 {
		t.Error(runs)
	}
}

func TestABatchExpectsWhomItHasAnsweredBesideThoseThatWait(t *testing.T) {
	client, own := pretend(t, &pretended{}), lane{}
	client.coalescer.join(soon(t), own, nil)
	answered := client.coalescer.join(soon(t), own, &pb.RunTaskRequest{})
	client.coalescer.take(own)
	client.coalescer.join(soon(t), own, nil)
	if crowd := client.coalescer.send(own, []*call{answered}); crowd != 2 {
		t.Error(crowd)
	}
}

func TestABatchThatIsRefusedExpectsNobody(t *testing.T) {
	client, own := pretend(t, &pretended{batch: refuse}), lane{}
	client.coalescer.join(soon(t), own, nil)
	refused := client.coalescer.join(soon(t), own, &pb.RunTaskRequest{})
	if crowd := client.coalescer.send(own, []*call{refused}); crowd != 0 {
		t.Error(crowd)
	}
}

func refuse(context.Context, *pb.BatchRunTasksRequest) ([]*pb.TaskRun, error) {
	return nil, status.Error(codes.NotFound, "one of them")
}

func TestABatchDoesNotWaitForCallersWhoDoNotComeBack(t *testing.T) {
	client, own := pretend(t, &pretended{}), lane{}
	client.coalescer.gather(own, 1)
	if waiting := client.coalescer.waiting(own); waiting != 0 {
		t.Error(waiting)
	}
}

func TestABatchThatIsRefusedIsTakenApart(t *testing.T) {
	server := &pretended{
		batch: refuse,
		runTask: func(_ context.Context, request *pb.RunTaskRequest) (*pb.TaskRun, error) {
			if request.GetRequestId() == "c" {
				return nil, status.Error(codes.NotFound, "this one")
			}
			return &pb.TaskRun{Name: request.GetRequestId()}, nil
		},
	}
	runs, errs := concurrently(t, pretend(t, server), server, same(soon(t), 4))
	if runs[1].GetName() != "b" || errs[1] != nil || status.Code(errs[2]) != codes.NotFound || errs[3] != nil {
		t.Error(runs, errs)
	}
}

func TestARunThatABatchDoesNotAnswerInFullIsAskedForAlone(t *testing.T) {
	server := &pretended{batch: func(_ context.Context, request *pb.BatchRunTasksRequest) ([]*pb.TaskRun, error) {
		runs := answers(request)
		runs[0].Done = true
		return runs, nil
	}}
	runs, errs := concurrently(t, pretend(t, server), server, same(soon(t), 3))
	check(t, errors.Join(errs...))
	names := map[string]bool{}
	for _, run := range runs {
		names[run.GetName()[:1]] = true
	}
	if len(server.singles) != 2 || len(names) != 2 {
		t.Error(runs)
	}
}

func TestAServerThatCannotBeReachedIsTheErrorOfAll(t *testing.T) {
	server := &pretended{batch: func(context.Context, *pb.BatchRunTasksRequest) ([]*pb.TaskRun, error) {
		return nil, status.Error(codes.ResourceExhausted, "full")
	}}
	_, errs := concurrently(t, pretend(t, server), server, same(soon(t), 3))
	if errs[0] != nil || status.Code(errs[1]) != codes.ResourceExhausted || status.Code(errs[2]) != codes.ResourceExhausted {
		t.Error(errs)
	}
}

func TestACallerThatGivesUpLeavesTheOthersAlone(t *testing.T) {
	server := &pretended{}
	ctxs := same(soon(t), 3)
	client := pretend(t, server)
	var cancel context.CancelFunc
	ctxs[1], cancel = context.WithCancel(ctxs[1])
	server.runTask = func(context.Context, *pb.RunTaskRequest) (*pb.TaskRun, error) {
		cancel()
		return &pb.TaskRun{}, nil
	}
	_, errs := concurrently(t, client, server, ctxs)
	if !errors.Is(errs[1], context.Canceled) || errs[0] != nil || errs[2] != nil {
		t.Error(errs)
	}
	for _, batch := range server.batches {
		for _, request := range batch.GetRequests() {
			if request.GetRequestId() == "b" {
				t.Error("a run was sent that nobody waits for")
			}
		}
	}
}

func TestABatchHasAsLongAsTheMostPatientOfItsCallers(t *testing.T) {
	hurried := make(chan struct{})
	server := &pretended{batch: func(ctx context.Context, request *pb.BatchRunTasksRequest) ([]*pb.TaskRun, error) {
		select {
		case <-hurried:
			return answers(request), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	ctxs := same(soon(t), 3)
	var cancel context.CancelFunc
	ctxs[2], cancel = context.WithTimeout(ctxs[2], 300*time.Millisecond)
	defer cancel()
	context.AfterFunc(ctxs[2], func() { close(hurried) })
	_, errs := concurrently(t, pretend(t, server), server, ctxs)
	if errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], context.DeadlineExceeded) {
		t.Error(errs)
	}
}

func TestMetadataOfAnyBytesTellsCallersApart(t *testing.T) {
	one := metadata.AppendToOutgoingContext(t.Context(), "a-bin", "1", "b-bin", "2")
	other := metadata.AppendToOutgoingContext(t.Context(), "a-bin", "1\x00b-bin\x002")
	if textOf(one) == textOf(other) {
		t.Error(textOf(one))
	}
}

func TestNoRunGoesInTheNameOfAnother(t *testing.T) {
	server := &pretended{}
	mine := metadata.AppendToOutgoingContext(soon(t), "authorization", "mine")
	yours := metadata.AppendToOutgoingContext(soon(t), "authorization", "yours")
	var names []string
	server.runTask = func(ctx context.Context, request *pb.RunTaskRequest) (*pb.TaskRun, error) {
		sent, _ := metadata.FromIncomingContext(ctx)
		server.mu.Lock()
		names = append(names, request.GetRequestId()+sent.Get("authorization")[0])
		server.mu.Unlock()
		return &pb.TaskRun{}, nil
	}
	server.batch = func(ctx context.Context, request *pb.BatchRunTasksRequest) ([]*pb.TaskRun, error) {
		sent, _ := metadata.FromIncomingContext(ctx)
		server.mu.Lock()
		for _, one := range request.GetRequests() {
			names = append(names, one.GetRequestId()+sent.Get("authorization")[0])
		}
		server.mu.Unlock()
		return answers(request), nil
	}
	client := pretend(t, server)
	var callers sync.WaitGroup
	for i := range 200 {
		ctx, who := mine, "m"
		if i%2 == 1 {
			ctx, who = yours, "y"
		}
		callers.Go(func() {
			_, err := client.Run(ctx, "x", anything, WithRequestID(who))
			if err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	for _, name := range names {
		if name != "mmine" && name != "yyours" {
			t.Error(name)
		}
	}
	if len(names) != 200 {
		t.Error(len(names))
	}
}

func TestWithoutCoalescingEachRunGoesAlone(t *testing.T) {
	server := &pretended{}
	client := pretend(t, server, WithCoalescing(false))
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() { client.Run(soon(t), "x", anything) })
	}
	callers.Wait()
	if len(server.singles) != 50 || len(server.batches) != 0 {
		t.Error(len(server.singles), len(server.batches))
	}
}
