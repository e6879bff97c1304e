package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hibiken/asynq"
)

const fillers = 32

// Asynq is a queue in Redis.
type Asynq struct{ redis asynq.RedisClientOpt }

func newAsynq() Peer {
	return Asynq{asynq.RedisClientOpt{Addr: os.Getenv("REDIS_ADDRESS"), PoolSize: 2 * fillers}}
}

func task(run Run) *asynq.Task {
	payload, err := json.Marshal(run)
	must(err)
	return asynq.NewTask("noop", payload)
}

func (a Asynq) Setup() {}

func (a Asynq) Producer(int) func(Run) {
	client := asynq.NewClient(a.redis)
	must(client.Ping())
	return func(run Run) {
		_, err := client.Enqueue(task(run))
		must(err)
	}
}

// Fill is many callers at once: asynq has no call for many runs.
func (a Asynq) Fill(runs int64) { produce(a.Producer(fillers), runs, fillers) }

func (a Asynq) Work(seen func(Run)) func() {
	server := asynq.NewServer(a.redis, asynq.Config{Concurrency: 100, LogLevel: asynq.FatalLevel})
	must(server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		var run Run
		if err := json.Unmarshal(task.Payload(), &run); err != nil {
			return err
		}
		seen(run)
		return nil
	})))
	return server.Shutdown
}

func (a Asynq) Schedule(count int64, due time.Time, seen func(Run)) func() {
	ended := a.Work(seen)
	scheduler := asynq.NewScheduler(a.redis, &asynq.SchedulerOpts{Location: time.UTC, LogLevel: asynq.FatalLevel})
	for id := range count {
		_, err := scheduler.Register(fmt.Sprintf("%d %d * * *", due.Minute(), due.Hour()), task(newRun(id)))
		must(err)
	}
	must(scheduler.Start())
	return func() { scheduler.Shutdown(); ended() }
}

func (a Asynq) Left() int64 {
	inspector := asynq.NewInspector(a.redis)
	defer inspector.Close()
	queue, err := inspector.GetQueueInfo("default")
	if errors.Is(err, asynq.ErrQueueNotFound) {
		return 0
	}
	must(err)
	return int64(queue.Size - queue.Completed)
}
