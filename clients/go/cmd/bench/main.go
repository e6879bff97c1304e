// Command bench is the load of the Go client itself. It prints one line of JSON: what was done, in how many seconds and
// CPU seconds.
//
//	bench drain HOST:PORT RUNS    a worker, from its start to the last acknowledgement
//	bench call HOST:PORT RUNS     32 callers that start a run a call
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	taskwheel "example.com/taskwheel/go"
	pb "example.com/taskwheel/go/taskwheel/v1"
)

const (
	callers       = 32
	maxConcurrent = 1000
	task          = "go-bench"
)

var payload = map[string]any{
	"to": "ann@example.org", "subject": "Your report is ready", "report": 4711, "urgent": false,
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: bench drain|call HOST:PORT RUNS")
	}
	slog.SetLogLoggerLevel(slog.LevelError)
	runs, err := strconv.Atoi(os.Args[3])
	check(err)
	client, err := taskwheel.NewClient(os.Args[2])
	check(err)
	ctx := context.Background()
	_, err = client.Tasks.CreateTask(ctx, &pb.CreateTaskRequest{
		TaskId: task, Task: &pb.Task{Target: taskwheel.WorkerTarget(task)}, RequestId: task,
	})
	check(err)
	switch os.Args[1] {
	case "drain":
		enqueue(ctx, client, runs)
		measure(runs, func() { drain(ctx, client, runs) })
	case "call":
		call(ctx, client, callers)
		measure(runs, func() { call(ctx, client, runs) })
	default:
		log.Fatal("drain or call, not ", os.Args[1])
	}
}

func enqueue(ctx context.Context, client *taskwheel.Client, runs int) {
	requests := make([]*pb.RunTaskRequest, runs)
	for i := range requests {
		request, err := taskwheel.NewRunRequest(task, payload)
		check(err)
		requests[i] = request
	}
	_, err := client.RunMany(ctx, requests)
	check(err)
}

func drain(ctx context.Context, client *taskwheel.Client, runs int) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	worker := client.NewWorker(taskwheel.WorkerOptions{MaxConcurrentRuns: maxConcurrent})
	var worked atomic.Int64
	worker.Handle(task, func(context.Context, *taskwheel.Run) (any, error) {
		if worked.Add(1) == int64(runs) {
			stop()
		}
		return nil, nil
	})
	check(worker.Run(ctx))
}

func call(ctx context.Context, client *taskwheel.Client, runs int) {
	var left atomic.Int64
	left.Store(int64(runs))
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				_, err := client.Run(ctx, task, payload)
				check(err)
			}
		})
	}
	group.Wait()
}

func measure(runs int, work func()) {
	cpu, began := cpuSeconds(), time.Now()
	work()
	seconds := time.Since(began).Seconds()
	fmt.Printf("{\"runs\": %d, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", runs, seconds, cpuSeconds()-cpu)
}

// cpuSeconds is the CPU time of this process so far.
func cpuSeconds() float64 {
	var used syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
