package taskwheel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

type unwritable struct{}

func (unwritable) MarshalJSON() ([]byte, error) { panic("not like this") }

func TestWhatAHandlerDoesIsTheErrorOfTheRunAndTheWorkerGoesOn(t *testing.T) {
	client := connect(t, address)
	var misbehave atomic.Pointer[Handler]
	task := newTask(t, client)
	work(t, client, task, WorkerOptions{}, func(ctx context.Context, run *Run) (any, error) {
		return (*misbehave.Load())(ctx, run)
	})
	var nothing []int
	for _, c := range []struct {
		handler             Handler
		kind, name, message string
	}{
		{func(context.Context, *Run) (any, error) { return nil, errors.New("no") }, "errors.errorString", "errorString", "no"},
		{func(context.Context, *Run) (any, error) {
			return nil, fmt.Errorf("while reading: %w", &fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist})
		}, "fs.PathError", "PathError", "while reading: open x: file does not exist"},
		{func(context.Context, *Run) (any, error) {
			return nil, fmt.Errorf("paying: %w", NamedError("CardDeclined", errors.New("by the bank")))
		}, "errors.errorString", "CardDeclined", "paying: by the bank"},
		{func(context.Context, *Run) (any, error) { return nothing[1], nil }, "taskwheel.panicError", "panic", "index out of range"},
		{func(context.Context, *Run) (any, error) { runtime.Goexit(); return nil, nil }, "errors.errorString", "errorString", "Goexit"},
		{func(context.Context, *Run) (any, error) { return func() {}, nil }, "taskwheel.UnsupportedValueError", "UnsupportedValue", "result: func() is not JSON"},
		{func(context.Context, *Run) (any, error) { return map[string]any{"n": 1 << 60}, nil }, "taskwheel.UnsupportedValueError", "UnsupportedValue", "result.n: an integer beyond 2^53"},
		{func(context.Context, *Run) (any, error) { return strings.Repeat("x", 1<<20), nil }, "system", "resultTooLarge", "more than 1 MiB"},
		{func(context.Context, *Run) (any, error) { return nil, (*fs.PathError)(nil) }, "taskwheel.panicError", "panic", "nil pointer"},
		{func(context.Context, *Run) (any, error) { return unwritable{}, nil }, "taskwheel.panicError", "panic", "not like this"},
		{func(context.Context, *Run) (any, error) { return nil, errors.New(strings.Repeat("é", 1<<20)) }, "errors.errorString", "errorString", "éé"},
	} {
		misbehave.Store(&c.handler)
		var failed *RunFailedError
		if err := client.RunWithResult(soon(t), task, nil, nil); !errors.As(err, &failed) {
			t.Fatal(err)
		}
		got := failed.Run.GetError()
		if got.GetType() != c.kind || got.GetName() != c.name || !strings.Contains(got.GetMessage(), c.message) || len(got.GetMessage()) > 8192 {
			t.Errorf("%v is not %s %s %s", got, c.kind, c.name, c.message)
		}
		if c.message == "index out of range" && !strings.HasPrefix(got.GetStack(), "example.com/taskwheel/go.TestWhat") {
			t.Error("the stack does not begin with the handler:", got.GetStack())
		}
	}
}

func TestAnyJSONValueIsAResult(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	work(t, client, task, WorkerOptions{}, func(_ context.Context, run *Run) (any, error) {
		return run.GetPayload().AsMap()["give"], nil
	})
	for _, value := range []any{nil, 0.0, "text", []any{1.0, map[string]any{"a": nil}}, true, 1.5, float64(1 << 53)} {
		var result any = "unset"
		check(t, client.RunWithResult(soon(t), task, map[string]any{"give": value}, &result))
		if fmt.Sprint(result) != fmt.Sprint(value) {
			t.Error(result, "is not", value)
		}
	}
}

func TestACancelledRunEndsTheContextOfItsHandler(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	begun := make(chan struct{})
	work(t, client, task, WorkerOptions{}, func(ctx context.Context, run *Run) (any, error) {
		close(begun)
		<-ctx.Done()
		if cause := context.Cause(ctx); cause != ErrRunCancelled {
			t.Error(cause)
		}
		return nil, ctx.Err()
	})
	run, err := client.Run(soon(t), task, nil)
	check(t, err)
	<-begun
	_, err = client.Runs.CancelTaskRun(soon(t), &pb.CancelTaskRunRequest{Name: run.GetName(), Reason: "enough"})
	check(t, err)
	run, err = client.Wait(soon(t), &pb.WaitTaskRunRequest{Name: run.GetName()})
	check(t, err)
	if run.GetState() != pb.TaskRun_CANCELLED || run.GetStateReason() != "enough" {
		t.Error(run)
	}
}

func TestProgressAndLogsArriveBeforeTheResult(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	work(t, client, task, WorkerOptions{}, func(_ context.Context, run *Run) (any, error) {
		log := run.Log().With("shop", 7).WithGroup("page")
		for n := range 3 {
			log.Warn("printed", "n", n, "why", errors.New("no ink"), "odd", math.NaN())
			run.Progress(float64(n+1)/2, "printing")
		}
		run.Log().Debug(strings.Repeat("é", 1<<16), slog.Group("g", "for", time.Second))
		return nil, nil
	})
	run, err := client.Run(soon(t), task, nil)
	check(t, err)
	run, err = client.Wait(soon(t), &pb.WaitTaskRunRequest{Name: run.GetName()})
	check(t, err)
	if run.GetProgress().GetRatio() != 1 || run.GetProgress().GetMessage() != "printing" || run.GetLogCount() != 4 {
		t.Error(run)
	}
	var fields []string
	for entry, err := range client.FollowLogs(soon(t), &pb.StreamTaskRunLogsRequest{Name: run.GetName()}) {
		check(t, err)
		fields = append(fields, fmt.Sprint(entry.GetLevel(), entry.GetFields().AsMap(), len(entry.GetMessage())))
	}
	if fields[2] != "WARNING map[page:map[n:2 odd:NaN why:no ink] shop:7] 7" || fields[3] != "DEBUG map[] 65536" {
		t.Error(fields)
	}
}

func TestResultsSurviveABrokenStream(t *testing.T) {
	proxy := newProxy(t, address)
	client, far := connect(t, address), connect(t, proxy.address)
	task := newTask(t, client)
	goOn := make(chan struct{})
	var begun sync.WaitGroup
	begun.Add(20)
	var seen sync.Map
	work(t, far, task, WorkerOptions{MaxConcurrentRuns: 20}, func(_ context.Context, run *Run) (any, error) {
		// One whose assignment was cut off while it was being written may be assigned again.
		if _, again := seen.LoadOrStore(run.GetName(), true); !again {
			begun.Done()
		}
		<-goOn
		return run.GetAttempt(), nil
	})
	requests := make([]*pb.RunTaskRequest, 20)
	for i := range requests {
		requests[i] = &pb.RunTaskRequest{Name: task}
	}
	runs, err := client.RunMany(soon(t), requests)
	check(t, err)
	begun.Wait()
	proxy.cut(true)
	close(goOn)
	time.AfterFunc(300*time.Millisecond, func() { proxy.cut(false) })
	for _, run := range runs {
		run, err := client.Wait(soon(t), &pb.WaitTaskRunRequest{Name: run.GetName()})
		check(t, err)
		if run.GetState() != pb.TaskRun_SUCCEEDED || run.GetResult().GetNumberValue() != 1 {
			t.Fatal(run)
		}
	}
}

func TestAWorkerThatStopsFinishesWhatIsUnderWayAndHandsBackTheRest(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	begun := make(chan struct{}, 10)
	goOn := make(chan struct{})
	stop := work(t, client, task, WorkerOptions{MaxConcurrentRuns: 1}, func(context.Context, *Run) (any, error) {
		begun <- struct{}{}
		<-goOn
		return "done", nil
	})
	first, err := client.Run(soon(t), task, nil)
	check(t, err)
	<-begun
	second, err := client.Run(soon(t), task, nil)
	check(t, err)
	time.AfterFunc(100*time.Millisecond, func() { close(goOn) })
	stop()
	for name, state := range map[string]pb.TaskRun_State{first.GetName(): pb.TaskRun_SUCCEEDED, second.GetName(): pb.TaskRun_PENDING} {
		run, err := client.Runs.GetTaskRun(soon(t), &pb.GetTaskRunRequest{Name: name})
		check(t, err)
		if run.GetState() != state {
			t.Error(run)
		}
	}
}

func TestAfterItsGraceAWorkerEndsTheContextsOfItsHandlers(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	begun := make(chan struct{})
	stop := work(t, client, task, WorkerOptions{Grace: -1}, func(ctx context.Context, _ *Run) (any, error) {
		close(begun)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	run, err := client.Run(soon(t), task, nil)
	check(t, err)
	<-begun
	stop()
	run, err = client.Wait(soon(t), &pb.WaitTaskRunRequest{Name: run.GetName()})
	check(t, err)
	if run.GetState() != pb.TaskRun_FAILED || run.GetError().GetName() != "WorkerStopped" {
		t.Error(run)
	}
}

func TestLeasesAreRenewedWhileAHandlerWorks(t *testing.T) {
	server, err := startServer(t.TempDir(), "--lease", "3s")
	check(t, err)
	defer server.stop()
	client := connect(t, server.address)
	task := newTask(t, client)
	work(t, client, task, WorkerOptions{}, func(context.Context, *Run) (any, error) {
		return nil, sleep(context.Background(), 4*time.Second)
	})
	check(t, client.RunWithResult(soon(t), task, nil, nil))
}

func TestAWorkerIsRefusedForWhatItIs(t *testing.T) {
	client := connect(t, address)
	worker := client.NewWorker(WorkerOptions{})
	if worker.Run(soon(t)) == nil {
		t.Error("a worker without handlers works")
	}
	worker = client.NewWorker(WorkerOptions{MaxConcurrentRuns: -1})
	worker.Handle("x", double)
	if err := worker.Run(soon(t)); !errors.Is(err, InvalidField) {
		t.Error(err)
	}
}

func TestAWorkerEndsWithItsClient(t *testing.T) {
	client := connect(t, address)
	worker := client.NewWorker(WorkerOptions{})
	worker.Handle("x", double)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(soon(t)) }()
	client.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a worker whose client was closed has ended as if it had been asked to")
		}
	case <-soon(t).Done():
		t.Error("a worker whose client was closed goes on")
	}
}

func TestAWorkerGoesOnAtAServerThatWasRestarted(t *testing.T) {
	folder := t.TempDir()
	first, err := startServer(folder)
	check(t, err)
	proxy := newProxy(t, first.address)
	client := connect(t, proxy.address)
	task := newTask(t, client)
	work(t, client, task, WorkerOptions{}, double)
	check(t, client.RunWithResult(soon(t), task, map[string]any{"n": 1}, nil))
	first.stop()
	second, err := startServer(folder)
	check(t, err)
	defer second.stop()
	proxy.mu.Lock()
	proxy.target = second.address
	proxy.mu.Unlock()
	for {
		err := client.RunWithResult(soon(t), task, map[string]any{"n": 1}, nil)
		if err == nil {
			break
		}
		if !broken(err) {
			t.Fatal(err)
		}
	}
}
