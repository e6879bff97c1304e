package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	taskwheel "example.com/taskwheel/go"
	pb "example.com/taskwheel/go/taskwheel/v1"
)

func main() {
	client, err := taskwheel.NewClient("")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	worked := make(chan error, 1)
	go func() { worked <- work(ctx, client) }()
	if err := tour(ctx, client); err != nil {
		log.Print(err)
	}
	stop()
	if err := <-worked; err != nil { // once what is under way has ended
		log.Fatal(err)
	}
}

// work is a worker until the context ends.
func work(ctx context.Context, client *taskwheel.Client) error {
	worker := client.NewWorker(taskwheel.WorkerOptions{MaxConcurrentRuns: 20, Grace: 10 * time.Second})
	worker.Handle("print", func(ctx context.Context, run *taskwheel.Run) (any, error) {
		if run.GetAttempt() == 1 {
			return nil, taskwheel.NamedError("PaperJam", errors.New("page 1 is stuck"))
		}
		for page := range 3 {
			select { // the context ends when the run is cancelled, when its lease is lost, and with the grace
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
			run.Log().Info("printed", "page", page+1)
			run.Progress(float64(page+1)/3, "printing")
		}
		return map[string]any{"pages": 3}, nil
	})
	return worker.Run(ctx)
}

func tour(ctx context.Context, client *taskwheel.Client) error {
	task := &pb.Task{
		Target:      taskwheel.WorkerTarget("print"),
		Schedules:   []*pb.Schedule{taskwheel.Cron("30 2 * * *", "Europe/Berlin")},
		RetryPolicy: taskwheel.Retry(4, time.Second/2, 5*time.Second),
	}
	created, err := client.Tasks.CreateTask(ctx, &pb.CreateTaskRequest{TaskId: "nightly-report", Task: task})
	if err != nil {
		return err
	}
	defer client.Tasks.DeleteTask(context.WithoutCancel(ctx), &pb.DeleteTaskRequest{Name: created.GetUid()})
	fmt.Println("next due", created.GetNextRunTime().AsTime())

	// A watch stands once it is answered. Events come in order, each once, also over a broken connection.
	watching, stop := context.WithCancel(ctx)
	defer stop()
	events, err := client.WatchEvents(watching, &pb.WatchEventsRequest{Filter: "task = nightly-report"})
	if err != nil {
		return err
	}
	run, err := client.Run(ctx, "nightly-report", map[string]any{"day": "2026-01-31"}, taskwheel.WithTags("by-hand"))
	if err != nil {
		return err
	}
	for event, err := range events {
		if err != nil {
			return err
		}
		fmt.Println(event.GetSequence(), event.GetType(), event.GetRunSnapshot().GetState())
		if event.GetType() == "run_retried" {
			break
		}
	}

	// The log of the run and of the attempts after it, to their end.
	logs := &pb.StreamTaskRunLogsRequest{Name: run.GetName(), Follow: true, FollowRetries: true}
	for entry, err := range client.FollowLogs(ctx, logs) {
		if err != nil {
			return err
		}
		fmt.Println(entry.GetLevel(), entry.GetMessage(), entry.GetFields().AsMap())
	}

	// A wait has an end that you see: its timeout, the deadline of its context, or a minute.
	waiting, done := context.WithTimeout(ctx, 10*time.Second)
	defer done()
	last, err := client.Wait(waiting, &pb.WaitTaskRunRequest{Name: run.GetName(), FollowRetries: true})
	if err != nil {
		return err
	}
	fmt.Println(last.GetState(), "at attempt", last.GetAttempt(), "with", last.GetResult().AsInterface())

	// A list is read page by page, as far as the loop goes.
	for run, err := range client.ListRuns(ctx, &pb.ListTaskRunsRequest{Filter: "tags:by-hand", PageSize: 10}) {
		if err != nil {
			return err
		}
		fmt.Println(run.GetUid(), run.GetState())
	}

	// Errors are compared by their reason, and tell the rest.
	_, err = client.Runs.CancelTaskRun(ctx, &pb.CancelTaskRunRequest{Name: last.GetName()})
	var told *taskwheel.Error
	if errors.Is(err, taskwheel.RunDone) && errors.As(err, &told) {
		fmt.Println(told.Code, told.Metadata)
	}
	return nil
}
