package taskwheel

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

func double(_ context.Context, run *Run) (any, error) {
	var input struct{ N int }
	if err := run.Bind(&input); err != nil {
		return nil, err
	}
	return map[string]any{"n": 2 * input.N}, nil
}

func TestTheResultOfTheHandlerIsTheResultOfTheRun(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	work(t, client, task, WorkerOptions{}, double)
	var output struct{ N int }
	check(t, client.RunWithResult(soon(t), task, map[string]any{"n": 21}, &output))
	if output.N != 42 {
		t.Error(output)
	}
}

func TestATaskIsRunByItsNameAndByItsUid(t *testing.T) {
	client := connect(t, address)
	id := newTask(t, client)
	task, err := client.Tasks.GetTask(soon(t), &pb.GetTaskRequest{Name: id})
	check(t, err)
	for _, name := range []string{id, task.GetName(), task.GetUid()} {
		run, err := client.Run(soon(t), name, nil, WithPriority(3), WithTags("a"), WithLabels(map[string]string{"k": "v"}))
		check(t, err)
		if run.GetTask() != task.GetName() || run.GetPriority() != 3 || run.GetTags()[0] != "a" || run.GetLabels()["k"] != "v" {
			t.Error(run)
		}
	}
}

func TestErrorsKeepWhatTheServerTells(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	run, err := client.Run(soon(t), task, nil, WithRequestID("once-"+task))
	check(t, err)
	_, err = client.Runs.CancelTaskRun(soon(t), &pb.CancelTaskRunRequest{Name: run.GetName()})
	check(t, err)
	ahead := int64(1 << 60)
	for _, c := range []struct {
		call   func() error
		code   codes.Code
		reason Reason
	}{
		{func() error { _, err := client.Run(soon(t), "no-such-task", nil); return err }, codes.NotFound, TaskNotFound},
		{func() error {
			_, err := client.Run(soon(t), task, map[string]any{"n": 1}, WithRequestID("once-"+task))
			return err
		}, codes.AlreadyExists, RequestIDReused},
		{func() error {
			_, err := client.Tasks.CreateTask(soon(t), &pb.CreateTaskRequest{TaskId: task, Task: &pb.Task{Target: WorkerTarget("h")}})
			return err
		}, codes.AlreadyExists, TaskAlreadyExists},
		{func() error {
			_, err := client.Tasks.PreviewSchedule(soon(t), &pb.PreviewScheduleRequest{
				Source: &pb.PreviewScheduleRequest_Schedule{Schedule: Cron("0 25 * * *", "")},
			})
			return err
		}, codes.InvalidArgument, InvalidSchedule},
		{func() error {
			_, err := client.WatchEvents(soon(t), &pb.WatchEventsRequest{AfterSequence: &ahead})
			return err
		}, codes.OutOfRange, SequenceAhead},
		{func() error {
			for _, err := range client.FollowLogs(soon(t), &pb.StreamTaskRunLogsRequest{Name: "no-such-run"}) {
				return err
			}
			return nil
		}, codes.InvalidArgument, InvalidField},
		{func() error {
			for _, err := range client.ListRuns(soon(t), &pb.ListTaskRunsRequest{Filter: "colour = red"}) {
				return err
			}
			return nil
		}, codes.InvalidArgument, InvalidField},
	} {
		err := c.call()
		var typed *Error
		if !errors.As(err, &typed) || typed.Code != c.code || !errors.Is(err, c.reason) || status.Code(err) != c.code {
			t.Errorf("%v is not %v %v", err, c.code, c.reason)
			continue
		}
		if c.code == codes.InvalidArgument && len(typed.Fields) == 0 || len(typed.Metadata) == 0 {
			t.Errorf("%v has lost fields %v or metadata %v", err, typed.Fields, typed.Metadata)
		}
	}
}

func TestARequestThatIsTooLargeIsNotSent(t *testing.T) {
	client := connect(t, address)
	_, err := client.Run(soon(t), "any", map[string]any{"x": strings.Repeat("x", 5<<20)})
	if !errors.Is(err, ErrRequestTooLarge) || !strings.Contains(err.Error(), "at most 4194304") {
		t.Error(err)
	}
}

func TestAListIsReadPageByPage(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	requests := make([]*pb.RunTaskRequest, 7)
	for i := range requests {
		requests[i] = &pb.RunTaskRequest{Name: task}
	}
	started, err := client.RunMany(soon(t), requests)
	check(t, err)
	request := &pb.ListTaskRunsRequest{Filter: "task = " + task, OrderBy: "create_time", PageSize: 2}
	for range 2 { // a sequence may be read again
		var names []string
		for run, err := range client.ListRuns(soon(t), request) {
			check(t, err)
			names = append(names, run.GetName())
		}
		if len(names) != 7 || names[0] != started[0].GetName() || names[6] != started[6].GetName() {
			t.Error(names)
		}
	}
	count := 0
	for range client.ListTasks(soon(t), nil) {
		if count++; count == 1 {
			break
		}
	}
}

func TestAWaitEndsWithTheDeadlineAndTellsWhereTheRunStands(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	run, err := client.Run(soon(t), task, nil)
	check(t, err)
	ctx, cancel := context.WithTimeout(soon(t), 2*time.Second)
	defer cancel()
	_, err = client.Wait(ctx, &pb.WaitTaskRunRequest{Name: run.GetName()})
	var late *RunNotDoneError
	if !errors.As(err, &late) || late.Run.GetState() != pb.TaskRun_PENDING || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for _, timeout := range []time.Duration{0, time.Millisecond} {
		err = client.RunWithResult(soon(t), task, nil, nil, WithWait(timeout))
		if !errors.As(err, &late) || late.Run.GetTaskId() != task {
			t.Error(err)
		}
	}
	ctx, cancel = context.WithCancel(soon(t))
	cancel()
	if _, err = client.Wait(ctx, &pb.WaitTaskRunRequest{Name: run.GetName()}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestARunThatFailsIsAnErrorWithTheRun(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client, func(task *pb.Task) { task.RetryPolicy = Retry(2, time.Millisecond) })
	work(t, client, task, WorkerOptions{}, func(context.Context, *Run) (any, error) {
		return nil, NamedError("CardDeclined", errors.New("by the bank"))
	})
	err := client.RunWithResult(soon(t), task, nil, nil)
	var failed *RunFailedError
	if !errors.As(err, &failed) || failed.Run.GetAttempt() != 2 || failed.Run.GetError().GetName() != "CardDeclined" {
		t.Fatal(err)
	}
	if text := fmt.Sprint(failed.Run.GetName(), " FAILED: CardDeclined: by the bank"); err.Error() != text {
		t.Error(err)
	}
	status, err := client.GetTaskStatus(soon(t), task, "")
	check(t, err)
	if status.GetName() != failed.Run.GetName() {
		t.Error(status)
	}
}

func TestWhatIsUnknownHasNoStatus(t *testing.T) {
	client := connect(t, address)
	task := newTask(t, client)
	for _, id := range []string{"no-such-task", task, "00000000-0000-7000-8000-000000000000", "01990000-0000-7000-8000-000000000000"} {
		if status, err := client.GetTaskStatus(soon(t), id, ""); status != nil || err != nil {
			t.Error(id, status, err)
		}
	}
}

func TestAWatchStandsOnceItIsAnsweredAndSurvivesABrokenConnection(t *testing.T) {
	proxy := newProxy(t, address)
	client, watcher := connect(t, address), connect(t, proxy.address)
	task := newTask(t, client)
	events, err := watcher.WatchEvents(soon(t), &pb.WatchEventsRequest{Filter: "type = run_pending AND task = " + task})
	check(t, err)
	var expected, seen []string
	start := func() {
		run, err := client.Run(soon(t), task, nil)
		check(t, err)
		expected = append(expected, run.GetName())
	}
	start()
	for event, err := range events {
		check(t, err)
		if seen = append(seen, event.GetRun()); len(seen) == 4 {
			break
		}
		if len(seen) == len(expected) {
			proxy.cut(false)
			start()
			start()
		}
	}
	if !reflect.DeepEqual(seen, expected[:4]) {
		t.Error(seen, expected)
	}
}

func TestALogIsFollowedOverABrokenConnectionToItsEnd(t *testing.T) {
	proxy := newProxy(t, address)
	client, reader := connect(t, address), connect(t, proxy.address)
	task := newTask(t, client)
	goOn := make(chan struct{})
	work(t, client, task, WorkerOptions{}, func(_ context.Context, run *Run) (any, error) {
		run.Log().Info("begun", "step", 1)
		<-goOn
		run.Log().Error("ended")
		return nil, nil
	})
	run, err := client.Run(soon(t), task, nil)
	check(t, err)
	var lines []string
	log := reader.FollowLogs(soon(t), &pb.StreamTaskRunLogsRequest{Name: run.GetName(), Follow: true})
	for entry, err := range log {
		check(t, err)
		lines = append(lines, fmt.Sprintf("%d %s %s %v", entry.GetSequence(), entry.GetLevel(), entry.GetMessage(), entry.GetFields().AsMap()))
		if len(lines) == 1 {
			proxy.cut(false)
			close(goOn)
		}
	}
	if !reflect.DeepEqual(lines, []string{"1 INFO begun map[step:1]", "2 ERROR ended map[]"}) {
		t.Error(lines)
	}
	again := 0
	for _, err := range log {
		check(t, err)
		again++
	}
	if again != len(lines) {
		t.Errorf("a second loop has %d of %d lines", again, len(lines))
	}
}

func TestAnOutageIsHeardOf(t *testing.T) {
	client := connect(t, "127.0.0.1:1")
	_, err := client.Run(soon(t), "any", nil)
	if status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	if _, err := client.WatchEvents(soon(t), nil); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
}
