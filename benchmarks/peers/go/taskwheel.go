package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	taskwheel "example.com/taskwheel/go"
	pb "example.com/taskwheel/go/taskwheel/v1"
)

const (
	noop     = "noop"
	creators = 32
	slots    = 4000
)

// Taskwheel is a server, whatever its database, with the Go client and worker; it is at TASKWHEEL_ADDRESS.
type Taskwheel struct {
	ctx    context.Context
	client *taskwheel.Client
}

func newTaskwheel() Peer { return connect() }

// newPlain makes a unary call for each run, as a load tool does.
func newPlain() Peer { return connect(taskwheel.WithCoalescing(false)) }

func connect(options ...taskwheel.Option) Taskwheel {
	client, err := taskwheel.NewClient("", options...)
	must(err)
	return Taskwheel{context.Background(), client}
}

func (t Taskwheel) Setup() { t.create(noop, &pb.Task{Target: taskwheel.WorkerTarget(noop)}) }

func (t Taskwheel) create(id string, task *pb.Task) {
	_, err := t.client.Tasks.CreateTask(t.ctx, &pb.CreateTaskRequest{TaskId: id, Task: task})
	must(err)
}

func (t Taskwheel) Producer(int) func(Run) {
	_, err := t.client.Admin.GetServerInfo(t.ctx, &pb.GetServerInfoRequest{})
	must(err)
	return func(run Run) {
		_, err := t.client.Run(t.ctx, noop, payload(run))
		must(err)
	}
}

func (t Taskwheel) Fill(runs int64) {
	batches := make(chan int64)
	var done sync.WaitGroup
	for range 2 { // so that the server has one while the client makes the next
		done.Go(func() {
			for first := range batches {
				requests := make([]*pb.RunTaskRequest, 0, batch)
				for id := first; id < min(first+batch, runs); id++ {
					request, err := taskwheel.NewRunRequest(noop, payload(newRun(id)))
					must(err)
					requests = append(requests, request)
				}
				_, err := t.client.RunMany(t.ctx, requests)
				must(err)
			}
		})
	}
	for first := int64(0); first < runs; first += batch {
		batches <- first
	}
	close(batches)
	done.Wait()
}

func (t Taskwheel) Work(seen func(Run)) func() {
	worker := t.client.NewWorker(taskwheel.WorkerOptions{MaxConcurrentRuns: slots})
	worker.Handle(noop, func(_ context.Context, run *taskwheel.Run) (any, error) {
		fields := run.GetPayload().GetFields()
		seen(Run{ID: int64(fields["id"].GetNumberValue()), Time: int64(fields["time"].GetNumberValue())})
		return nil, nil
	})
	ctx, stop := context.WithCancel(t.ctx)
	ended := make(chan error, 1)
	go func() { ended <- worker.Run(ctx) }()
	return func() {
		stop()
		must(<-ended)
	}
}

func (t Taskwheel) Schedule(count int64, due time.Time, seen func(Run)) func() {
	schedule := taskwheel.Cron(fmt.Sprintf("%d %d * * *", due.Minute(), due.Hour()), "")
	produce(func(run Run) {
		carried, err := taskwheel.Payload(payload(run))
		must(err)
		t.create(noop+strconv.FormatInt(run.ID, 10), &pb.Task{
			Target:    taskwheel.WorkerTarget(noop),
			Schedules: []*pb.Schedule{schedule},
			Input:     &pb.Task_Payload{Payload: carried},
		})
	}, count, creators)
	return t.Work(seen)
}

func (t Taskwheel) Left() (left int64) {
	for _, err := range t.client.ListRuns(t.ctx, &pb.ListTaskRunsRequest{Filter: "done = false", PageSize: 1000}) {
		must(err)
		left++
	}
	return left
}

func payload(run Run) map[string]any {
	return map[string]any{"id": run.ID, "time": run.Time, "text": run.Text}
}
